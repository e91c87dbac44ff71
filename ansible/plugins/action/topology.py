"""Whether the hosts of an inventory can be a fleet; all that is wrong is said at once, before all else."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from ansible.plugins.action import ActionBase

# how many hosts each group may have, and why
ONE, SOME = range(1, 2), range(1, 1000)
GROUPS: dict[str, tuple[range, str]] = {
    "balancer": (SOME, "nothing would lead to the api hosts"),
    "api": (SOME, "nobody would answer"),
    "chroma": (ONE, "the vector index lives on one host"),
    "postgres": (range(1, 10, 2), "a majority must be left when one is lost: 1, 3 or 5"),
    "objects": (ONE, "documents are kept on one host, or by a cloud's S3"),
    "monitoring": (ONE, "one host watches all"),
    "backup": (ONE, "one host keeps the backups, or a bucket elsewhere"),
}
# What a cloud may provide instead.
ELSEWHERE = ("balancer", "objects", "monitoring", "backup")
NAME = re.compile(r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")


class ActionModule(ActionBase):
    """Arguments: ``subnet``, ``external`` (groups provided elsewhere), ``addresses`` (by host)."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with one line per problem."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        groups = {name: list(hosts) for name, hosts in (task_vars or {})["groups"].items()}
        arguments = self._task.args
        problems = [
            *_groups(groups, arguments["external"]),
            *_hosts(groups),
            *_addresses(arguments["addresses"], arguments["subnet"]),
        ]
        if problems:
            result.update(failed=True, msg="\n".join(problems))
        return result


def _groups(groups: dict[str, list[str]], external: list[str]) -> Iterator[str]:
    for name in sorted(set(groups) - {"all", "ungrouped", *GROUPS}):
        near = difflib.get_close_matches(name, GROUPS, n=1)
        yield f"There is no group {name}" + (f": {near[0]}?" if near else f"; there are {', '.join(GROUPS)}.")
    for name in sorted(set(external) - set(ELSEWHERE)):
        yield f"fleet_external names {name}; it can name {', '.join(ELSEWHERE)}."
    for name, (allowed, why) in GROUPS.items():
        count = len(groups.get(name, []))
        if not count and name in external:
            continue
        if count not in allowed:
            hosts = f"{count} host{'' if count == 1 else 's'}"
            may = not count and name in ELSEWHERE
            elsewhere = " If somebody else provides it, name it in fleet_external." if may else ""
            yield f"{name} has {hosts}: {why}.{elsewhere}"


def _hosts(groups: dict[str, list[str]]) -> Iterator[str]:
    for host in groups["all"]:
        member = [name for name in GROUPS if host in groups.get(name, [])]
        if len(member) != 1:
            yield f"{host} must be in one group, it is in {' and '.join(member) or 'none'}."
        if not NAME.match(host):
            yield f"{host} is no name for a host: at most 32 small letters, digits, hyphens; a letter first."


def _addresses(addresses: dict[str, str], subnet: str) -> Iterator[str]:
    try:
        network = ipaddress.ip_network(subnet)
    except ValueError:
        yield f"fleet_subnet is {subnet}; it must be a network like 192.0.2.0/24."
        return
    seen: dict[str, str] = {}
    for host, text in addresses.items():
        try:
            inside = ipaddress.ip_address(text) in network
        except ValueError:
            yield f"{host}: fleet_address (or ansible_host) is {text}; it must be an address, not a name."
            continue
        if not inside:
            yield f"{host}: {text} is not in fleet_subnet, {subnet}."
        if text in seen:
            yield f"{host} and {seen[text]} have the same address, {text}."
        seen[text] = host
