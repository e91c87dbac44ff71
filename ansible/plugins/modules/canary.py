#!/usr/bin/python
"""Watch one server among the others, by the balancer's own log of requests."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: canary
short_description: Watch one server among the others, by the balancer's own log of requests
description:
  - Compares its share of errors, and its time to the first byte by kind of request, with those of all others.
  - Ends at once when it is worse by more than is allowed.
options:
  name: {type: str, required: true, description: The server's name in the balancer.}
  seconds: {type: int, required: true, description: How long.}
  errors: {type: float, required: true, description: What its share of errors may be above the others'.}
  slower: {type: float, required: true, description: How many times as long its requests may take.}
  slower_ms: {type: float, required: true, description: And how many milliseconds more.}
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: Among the others
  canary: {name: api1, seconds: 15, errors: 0.01, slower: 2, slower_ms: 100}
"""
RETURN = """
told: {type: str, returned: always, description: What was seen, as a sentence.}
"""
SPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "seconds": {"type": "int", "required": True},
    "errors": {"type": "float", "required": True},
    "slower": {"type": "float", "required": True},
    "slower_ms": {"type": "float", "required": True},
}
PAUSE = 2.0
ENOUGH = 10  # requests of one kind, on either side, before they are compared
BROKEN = 5  # errors of the one, at least, before they count
UNCHECKED = "-unchecked"  # the same host, asked although the balancer's checks find none
IDS = re.compile(r"/(?=[^/]*\d)[^/]+")


@dataclass
class Seen:
    """Requests to one side."""

    count: int = 0
    errors: int = 0
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, entry: dict[str, Any]) -> None:
        """One line of the log."""
        self.count += 1
        status, first = int(entry["status"]), float(entry["first_byte_ms"])
        if status >= 500 or status < 0:
            self.errors += 1
        elif first >= 0:
            self.times[f"{entry['method']} {IDS.sub('/*', entry['path'])}"].append(first)

    @property
    def share(self) -> float:
        """Of errors."""
        return self.errors / self.count if self.count else 0.0


def parse(lines: Iterable[str], name: str) -> tuple[Seen, Seen]:
    """The one, and all others."""
    one, others = Seen(), Seen()
    for line in lines:
        try:
            entry = json.loads(line)
            if not entry["host"].startswith("<"):  # no server at all
                (one if entry["host"].removesuffix(UNCHECKED) == name else others).add(entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return one, others


def fault(one: Seen, others: Seen, limits: dict[str, Any]) -> str:
    """What is worse than allowed, as a sentence, or nothing."""
    if one.errors >= BROKEN and one.share > others.share + limits["errors"]:
        elsewhere = f"{others.errors} of {others.count}"
        return f"{one.errors} of {one.count} requests failed there, {elsewhere} elsewhere."
    for kind, times in one.times.items():
        if min(len(times), len(others.times.get(kind, []))) < ENOUGH:
            continue
        ours, theirs = statistics.median(times), statistics.median(others.times[kind])
        if ours > theirs * limits["slower"] + limits["slower_ms"]:
            return f"{kind} takes {ours:.0f} ms there (median of {len(times)}), on others {theirs:.0f} ms."
    return ""


def summary(one: Seen, others: Seen, name: str) -> str:
    """What was seen, and whether it says anything."""
    few = "" if min(one.count, others.count) >= ENOUGH else "; too few to tell"
    ours = f"{one.count} requests to {name} ({one.errors} failed)"
    return f"{ours}, {others.count} to others ({others.errors} failed){few}"


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(argument_spec=SPEC)
    limits = module.params
    begun = time.time()
    while True:
        time.sleep(PAUSE)
        command = ["journalctl", "--unit=haproxy", "--output=cat", "--no-pager", f"--since=@{begun:.0f}"]
        _, out, _ = module.run_command(command)
        one, others = parse(out.splitlines(), limits["name"])
        if wrong := fault(one, others, limits):
            module.fail_json(msg=f"{limits['name']} is worse than the others: {wrong}")
        if time.time() >= begun + limits["seconds"]:
            break
    module.exit_json(told=summary(one, others, limits["name"]))


if __name__ == "__main__":
    main()
