"""Whether a fleet is all right, from what its hosts have said: a sentence for each thing that is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.plugins.action import ActionBase

GIB = 2**30
# with the fleet's own settings, which it does not look for by itself
PATRONICTL = "patronictl -c /etc/patroni/config.yml"
# what a host needs to get an address from the network: DHCP's clients
UDP_CLIENTS = {68, 546}
Parts = Mapping[str, Any]


class ActionModule(ActionBase):
    """Arguments: ``hosts`` (names), ``unasked`` (those of them that are not judged), ``groups`` (names by
    group), ``limits``, ``ports`` (the matrix), ``closure`` (the release that is wanted, or nothing) and
    ``mixed`` (whether there may be several). What the hosts have said stands in their variables
    ``health_looked`` and ``questions_asked``, as the modules health and questions have returned it.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``problems`` and ``facts``, sentences both; ``parts``, what was found, by host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        unasked = set(arguments["unasked"])
        names = [name for name in arguments["hosts"] if name not in unasked]
        hosts = _said((task_vars or {})["hostvars"], names, arguments["groups"])
        limits = {name: _number(value) for name, value in arguments["limits"].items()}
        fleet = Fleet(hosts, limits)
        problems = [
            *fleet.silent(),
            *fleet.unknown(),
            *answers(hosts),
            *apis(fleet, unasked),
            *database(fleet),
            *etcd(fleet),
            *([] if arguments["mixed"] else releases(fleet, arguments["closure"])),
            *certificates(fleet),
            *disks(fleet),
            *ports(fleet, arguments["ports"]),
            *units(fleet),
            *backups(fleet),
        ]
        result.update(changed=False, problems=list(dict.fromkeys(problems)), facts=list(facts(fleet, hosts)))
        result["parts"] = fleet.found
        return result


def _number(given: str | float) -> float:
    """A limit, which comes as text with -e; without a fraction where it has none."""
    number = float(given)
    return int(number) if number.is_integer() else number


class Fleet:
    """What was found on the hosts that answer, by host and part."""

    def __init__(self, hosts: Mapping[str, Any], limits: Mapping[str, float]) -> None:
        self.hosts = hosts
        self.limits = limits
        looked = {name: host.get("looked") or {} for name, host in hosts.items()}
        self.parts: dict[str, Parts] = {name: one.get("parts") or {} for name, one in looked.items()}
        self.found: dict[str, Parts] = {
            name: {part: value["found"] for part, value in parts.items() if "found" in value}
            for name, parts in self.parts.items()
        }
        self.why = {name: str(one.get("msg", "it was not asked")) for name, one in looked.items()}

    def each(self, part: str) -> Iterator[tuple[str, Any]]:
        """Host and what was found there, where it was."""
        for name, found in self.found.items():
            if part in found:
                yield name, found[part]

    def silent(self) -> Iterator[str]:
        """Hosts that could not be asked at all."""
        for name, parts in self.parts.items():
            if not parts:
                why = " ".join(self.why[name].split()).rpartition("ssh: ")[2].rstrip(".")
                yield f"{name} cannot be reached ({why}): start it, or see why SSH does not let us in."

    def unknown(self) -> Iterator[str]:
        """Parts that could not be looked at."""
        ask = {
            "api": ("its API does not answer", "journalctl -u assistant-api"),
            "patroni": ("Patroni does not answer", "journalctl -u patroni"),
            "etcd": ("etcd does not answer", "journalctl -u etcd"),
            "balancer": ("HAProxy does not answer", "journalctl -u haproxy"),
        }
        for name, parts in self.parts.items():
            for part, value in parts.items():
                if "error" in value:
                    what, where = ask.get(part, (f"{part} cannot be looked at", "the host"))
                    yield f"{name}: {what} ({value['error']}). See there: {where}"


def _said(variables: Mapping[str, Any], names: list[str], groups: Mapping[str, list[str]]) -> dict[str, Any]:
    """Each host's group, and what it has said."""
    member = {name: group for group, hosts in groups.items() if group != "all" for name in hosts}
    return {
        name: {
            "group": member.get(name, ""),
            "looked": variables[name].get("health_looked"),
            "asked": variables[name].get("questions_asked"),
        }
        for name in names
    }


def answers(hosts: Mapping[str, Any]) -> Iterator[str]:
    """Known questions."""
    asked = {name: host["asked"] for name, host in hosts.items() if host.get("asked")}
    for name, one in asked.items():
        for problem in one.get("problems", []):
            yield f"{name}: {problem}"
    if not any("right" in one for one in asked.values()):
        yield "No known question could be asked: nobody knows whether answers are right."


def apis(fleet: Fleet, unasked: set[str]) -> Iterator[str]:
    """Each API host's parts, and whether the balancers send it requests."""
    for name, parts in fleet.each("api"):
        for part, state in parts.items():
            if state != "ok":
                yield f"{name} is not wholly ready: {part}: {state}. See there: journalctl -u assistant-api"
    for name, backends in fleet.each("balancer"):
        for backend in backends:
            if backend["name"] not in unasked and not backend["status"].startswith("UP"):
                yield (
                    f"{name} sends no requests to {backend['name']}, which is {backend['status']}"
                    f" ({backend['why'] or 'no reason given'}). See whether its API runs and can be reached."
                )


def database(fleet: Fleet) -> Iterator[str]:
    """One primary in everybody's eyes, a synchronous standby, everybody on its timeline and close behind."""
    views = dict(fleet.each("patroni"))
    if not views:
        return
    leaders = {name: _names(view["members"], "leader") for name, view in views.items()}
    if len({tuple(found) for found in leaders.values()}) > 1 or any(len(x) != 1 for x in leaders.values()):
        seen = "; ".join(f"{name} sees {', '.join(found) or 'none'}" for name, found in leaders.items())
        yield f"The database has not one primary that all agree on: {seen}. See there: journalctl -u patroni"
        return
    members = next(iter(views.values()))["members"]
    expected = sorted(name for name, host in fleet.hosts.items() if host["group"] == "postgres")
    for name in sorted(set(expected) - {member["name"] for member in members}):
        yield f"{name} is no member of the database: start Patroni there, or run site.yml."
    if len(expected) > 1 and not _names(members, "sync_standby"):
        yield "The database has no synchronous standby: writes wait until there is one. Start the others."
    if any(view["paused"] for view in views.values()):
        yield f"Patroni is paused: no failover happens by itself. Resume it: {PATRONICTL} resume"
    timeline = max(int(member.get("timeline", 0)) for member in members)
    for member in members:
        yield from _member(member, timeline)
    yield from _lag(fleet)


def _member(member: Parts, timeline: int) -> Iterator[str]:
    name, state = member["name"], member["state"]
    if state not in ("running", "streaming"):
        yield f"{name}'s PostgreSQL is {state}. See there: journalctl -u patroni"
    elif int(member.get("timeline", 0)) != timeline:
        yield (
            f"{name}'s PostgreSQL is on timeline {member.get('timeline')}, not {timeline}: it does not follow"
            f" the primary. If that lasts: {PATRONICTL} reinit knowledge-assistant {name}"
        )


def _lag(fleet: Fleet) -> Iterator[str]:
    most, longest = fleet.limits["lag_bytes"], fleet.limits["lag_seconds"]
    for primary, view in fleet.each("patroni"):
        for standby in view["standbys"] or []:
            if float(standby["bytes"]) > most or float(standby["seconds"]) > longest:
                yield (
                    f"{_standby(standby)} {primary} (limits: {most} bytes, {longest} s)."
                    " See its disk, its load and the network."
                )


def etcd(fleet: Fleet) -> Iterator[str]:
    """Every member healthy, one leader, nobody missing or too many."""
    expected = sorted(name for name, host in fleet.hosts.items() if host["group"] == "postgres")
    for name, one in fleet.each("etcd"):
        if not one["healthy"] or not one["leader"]:
            yield f"{name}'s etcd has no leader or is not healthy. See there: journalctl -u etcd"
        for alarm in one["alarms"]:
            yield f"{name}'s etcd raises an alarm: {alarm}. See: etcdctl alarm list"
    members = {tuple(one["members"]) for _, one in fleet.each("etcd")}
    for found in sorted(members - {tuple(expected)}):
        yield f"etcd's members are {', '.join(found)} instead of {', '.join(expected)}: run site.yml."
    leaders = {one["leader"] for _, one in fleet.each("etcd") if one["leader"]}
    if len(leaders) > 1:
        yield f"etcd's members name different leaders: {', '.join(sorted(leaders))}. Look again soon."


def releases(fleet: Fleet, wanted: str) -> Iterator[str]:
    """The same release everywhere."""
    found: dict[str, list[str]] = {}
    for name, path in fleet.each("release"):
        found.setdefault(path, []).append(name)
    right = wanted or max(found, key=lambda path: len(found[path]), default="")
    for path, names in found.items():
        if path != right:
            whose = "that is wanted" if wanted else "of most hosts"
            yield f"{', '.join(names)}: release {path} runs, not {right}, the one {whose}. Deploy it there."


def certificates(fleet: Fleet) -> Iterator[str]:
    """Days left, in files and in what services show."""
    for name, found in fleet.each("certificates"):
        for one in found:
            authority = one["where"].endswith("/ca.crt")
            limit = fleet.limits["ca_days" if authority else "days"]
            if "error" in one:
                yield f"{name}: {one['where']} shows no certificate of ours ({one['error']}). Run site.yml."
            elif one["days"] < limit:
                what = "the authority's certificate" if authority else "the certificate"
                yield (
                    f"{name}: {what} at {one['where']} holds {one['days']} days more; the limit is {limit}."
                    " Renew it: rotate.yml."
                )


def disks(fleet: Fleet) -> Iterator[str]:
    """Room on each disk: too little is both a small share and few bytes."""
    percent, gib = fleet.limits["free_percent"], fleet.limits["free_gib"]
    for name, found in fleet.each("disks"):
        for disk in found:
            if disk["percent"] < percent and disk["bytes"] < gib * GIB:
                free = f"{disk['bytes'] / GIB:.1f} GiB, {disk['percent']:.0f} %"
                yield (
                    f"{name}: {disk['mount']} has {free} free; less than {gib:g} GiB and {percent:g} %."
                    " Make room, or give it a larger disk."
                )
            if disk["files_percent"] < percent:
                left = f"{disk['files_percent']:.0f} %"
                yield f"{name}: {disk['mount']} can take only {left} of its number of files. Make room."


def ports(fleet: Fleet, matrix: list[dict[str, Any]]) -> Iterator[str]:
    """What listens is what the matrix says, and the firewall's rules are those that it makes."""
    for name, found in fleet.each("listening"):
        rows = [row for row in matrix if row["to"] in ("all", fleet.hosts[name]["group"])]
        allowed = {row["port"] for row in rows}
        there = {one["port"] for one in found if one["protocol"] == "tcp"}
        for one in found:
            known = allowed if one["protocol"] == "tcp" else UDP_CLIENTS
            if one["port"] not in known:
                where = f"{one['protocol']} port {one['port']} of {one['address']}"
                yield f"{name}: {one['program']} listens on {where}, which ports.yml does not name. Stop it."
        for row in rows:
            if row["port"] not in there and not row.get("idle"):
                what = f"port {row['port']} ({row['what']})"
                yield f"{name}: nothing listens on {what}. Run site.yml, or see its unit."
    for name, rules in fleet.each("firewall"):
        different = [f"lacks “{line}”" for line in rules["lacking"]]
        different += [f"has “{line}”" for line in rules["foreign"]]
        if different:
            more = f" and {len(different) - 1} lines more" if different[1:] else ""
            yield f"{name}'s firewall {different[0]}{more}. Run site.yml --tags firewall."


def units(fleet: Fleet) -> Iterator[str]:
    """Failed units, and clocks that are off."""
    for name, failed in fleet.each("failed"):
        for unit in failed:
            mend = f"journalctl -u {unit}; then: systemctl reset-failed {unit}"
            yield f"{name}: {unit} has failed. See there: {mend}"
    limit = fleet.limits["clock_seconds"]
    for name, offset in fleet.each("clock"):
        if abs(offset) > limit:
            way = "ahead of" if offset > 0 else "behind"
            yield f"{name}'s clock is {abs(offset):.1f} s {way} the controller's: see there: chronyc tracking"


def backups(fleet: Fleet) -> Iterator[str]:
    """Jobs that have failed, sets that could not be restored, repositories that are damaged."""
    for name, found in fleet.each("figures"):
        for one in found:
            what, value = one["labels"].get("what", ""), one["value"]
            if one["name"] == "ka_backup_failed" and value:
                yield f"{name}: the backup of {what} fails. See there: journalctl -u backup-{what}"
            elif one["name"] == "ka_backup_set_good" and not value:
                which = f"the newest set, {one['labels'].get('id', '')}, could not be restored"
                yield f"{name}: {which}. See there: journalctl -u backup-sets; then: backup.yml"
            elif one["name"] == "ka_drill_passed" and not value:
                yield f"{name}: the last drill did not pass. See there: journalctl -u drill; then: drill.yml"
            elif one["name"] == "ka_repository_damaged" and value:
                what = (
                    f"{value:.0f} files of the repository {one['labels'].get('repository', '')} are damaged"
                )
                yield f"{name}: {what}. See there: journalctl -u repository-check; then: backup.yml"


def facts(fleet: Fleet, hosts: Mapping[str, Any]) -> Iterator[str]:
    """One line for each thing that people want to know."""
    reached = [name for name, parts in fleet.parts.items() if parts]
    found = sorted({path for _, path in fleet.each("release")})
    yield f"hosts: {len(reached)} of {len(hosts)} answer; release {', '.join(found) or 'unknown'}"
    for name, host in hosts.items():
        asked = host.get("asked") or {}
        if "right" in asked:
            right = f"{asked['right']} of {asked['right'] + len(asked['problems'])} right"
            yield f"questions: {right} through {name}, the slowest in {asked['slowest']} s"
    ready = [name for name, parts in fleet.each("api") if set(parts.values()) == {"ok"}]
    yield f"api: {', '.join(ready) or 'none'} wholly ready"
    for primary, view in fleet.each("patroni"):
        if view["standbys"] is not None:
            standbys = [f"{_standby(one)} ({one['sync']})" for one in view["standbys"]]
            yield f"database: {primary} is primary; {'; '.join(standbys) or 'no standby'}"
    leaders = sorted({one["leader"] for _, one in fleet.each("etcd")})
    yield f"etcd: {len(list(fleet.each('etcd')))} members answer; leader {', '.join(leaders) or 'none'}"
    yield from _saved(fleet)
    ends = [(one["days"], name) for name, all_ in fleet.each("certificates") for one in all_ if "days" in one]
    if ends:
        yield f"certificates: the first to end holds {min(ends)[0]} days more, on {min(ends)[1]}"
    space = [(disk["percent"], name, disk["mount"]) for name, all_ in fleet.each("disks") for disk in all_]
    if space:
        yield f"disks: the fullest has {min(space)[0]:.0f} % free: {min(space)[2]} of {min(space)[1]}"


def _saved(fleet: Fleet) -> Iterator[str]:
    """What would be lost, and how long it would take, by the last drill."""
    figures = {
        (one["name"], *one["labels"].values()): one["value"]
        for _, found in fleet.each("figures")
        for one in found
    }
    good = "ka_backup_set_timestamp_seconds"
    sets = [(value, *key[1:]) for key, value in figures.items() if key[0] == good]
    if sets:
        yield f"backup: the newest set that could be restored is {max(sets)[-1]}"
    took = "ka_drill_rto_seconds"
    names = [("ka_drill_rpo_seconds",), (took, "database"), (took, "answers")]
    if all(name in figures for name in names):
        rpo, database, whole = (f"{figures[name]:.0f} s" for name in names)
        yield f"drill: the last one lost {rpo}; it took {database} to the database, {whole} to right answers"


def _standby(standby: Parts) -> str:
    return f"{standby['name']} is {standby['bytes']} bytes and {float(standby['seconds']):.1f} s behind"


def _names(members: list[dict[str, Any]], role: str) -> list[str]:
    return [member["name"] for member in members if member["role"] == role]
