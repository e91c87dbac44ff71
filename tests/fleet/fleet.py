"""A serving fleet: a lab on which site.yml was run, and what tests ask of it."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.fleet.plays import ROOT, Played, Plays
from tests.lab import creation, image, topology
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.load.http import Client
from tests.load.running import Loop

FOLDER = ROOT / "build" / "fleet"
PATRONI = "patronictl -c /etc/patroni/config.yml"
_ETCD = (
    "ETCDCTL_CACERT={0}/ca.crt ETCDCTL_CERT={0}/host.crt ETCDCTL_KEY={0}/host.key etcdctl"
    " --endpoints=https://$(hostname):2379"
).format("/etc/knowledge-assistant/tls/etcd")
_LOOK = 0.5


@dataclass(frozen=True)
class Member:
    """A database server as Patroni lists it; ``role`` is leader, sync_standby or replica."""

    name: str
    role: str
    state: str
    timeline: int | None


class Fleet:
    """Handle on a lab's hosts as one service.

    ``home`` is the operator's: authority, secrets and the playbooks' output are in there.
    """

    def __init__(self, lab: Lab, home: Path) -> None:
        self.lab = lab
        self.home = home
        self.loop = Loop()
        self._client: Client | None = None
        self.plays = Plays(lab.place.folder / "inventory.yml", home)

    def close(self) -> None:
        """End what this handle runs; the hosts run on."""
        if self._client:
            self.loop.run(self._client.close())
        self.loop.close()

    def play(self, verb: str, *options: str, timeout: float = 600) -> Played:
        """Run a playbook; raises LabError with the end of its output if it fails."""
        return self.plays.run(verb, *options, timeout=timeout)

    @property
    def ca(self) -> Path:
        """File of the fleet's authority."""
        return self.home / ".local/share/knowledge-assistant" / self.lab.place.name / "ca.crt"

    @property
    def client(self) -> Client:
        """To the assistant through the balancer; there is none before site.yml has made the authority."""
        if self._client is None:
            self._client = Client(self.lab.address("balancer1"), "balancer1", self.ca)
        return self._client

    @property
    def names(self) -> list[str]:
        """Of all hosts."""
        return [host.name for host in self.lab.record().hosts.values()]

    def everywhere(self, script: str) -> dict[str, str]:
        """What a script prints, by host; also where it fails."""
        return {name: done.stdout.strip() for name, done in self.lab.run_on(self.names, script).items()}

    def hosts(self, group: str) -> list[str]:
        """Names of the hosts in a group."""
        return [host.name for host in self.lab.record().hosts.values() if host.plan.group == group]

    def output(self, host: str, script: str, *, timeout: float = 60) -> str:
        """What a shell script prints on a host; raises LabError if it fails."""
        done = self.lab.run(host, script, timeout=timeout)
        if done.returncode:
            raise LabError(f"{host}: {script[:60]}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout.strip()

    def members(self, ask: Sequence[str] = ()) -> list[Member]:
        """The database servers, as told by the first of ``ask`` that answers; all are asked by default."""
        last = ""
        for name in ask or self.hosts("postgres"):
            try:
                found = json.loads(self.output(name, f"timeout 10 {PATRONI} list -f json", timeout=20))
            except (LabError, ValueError) as error:
                last = str(error)
                continue
            return [
                Member(
                    str(one["Member"]),
                    str(one["Role"]).lower().replace(" ", "_"),
                    str(one["State"]),
                    int(one["TL"]) if one.get("TL") else None,
                )
                for one in found
            ]
        raise LabError(f"No database server tells who is what: {last}")

    def member(self, role: str) -> str:
        """The database server in this role; raises LabError if there is none."""
        for member in self.members():
            if member.role == role:
                return member.name
        raise LabError(f"There is no {role} among the database servers.")

    def etcd_leader(self) -> str:
        """Name of the host whose etcd leads."""
        for name in self.hosts("postgres"):
            status = json.loads(self.output(name, f"{_ETCD} endpoint status -w json"))[0]["Status"]
            if status["leader"] == status["header"]["member_id"]:
                return name
        raise LabError("No member of etcd leads.")

    def switchover(self) -> None:
        """Make the synchronous standby the primary, in order."""
        leader, standby = self.member("leader"), self.member("sync_standby")
        self.output(leader, f"{PATRONI} switchover --leader {leader} --candidate {standby} --force")

    def trouble(self) -> str:
        """What keeps the fleet from being whole, in a sentence; empty if nothing does."""
        try:
            members = self.members()
            away = [self._unready(name) for name in self.hosts("api")]
        except (LabError, ValueError, subprocess.TimeoutExpired) as error:
            return str(error)
        roles = sorted(member.role for member in members)
        timelines = {member.timeline for member in members}
        resting = {member.state for member in members if member.role != "leader"} - {"streaming"}
        if roles != ["leader", *["replica"] * (len(roles) - 2), "sync_standby"]:
            return f"the database's roles are {roles}"
        if len(timelines) > 1 or resting:
            return f"the database servers are not at one: {members}"
        return next((reason for reason in away if reason), "")

    def wait_whole(self, seconds: float) -> float:
        """Return once nothing is wrong any more, and how long that took.

        Raises:
            LabError: something still is after ``seconds``.
        """
        begun = time.monotonic()
        while trouble := self.trouble():
            if time.monotonic() - begun > seconds:
                raise LabError(f"Not whole after {seconds:.0f} s: {trouble}")
            time.sleep(_LOOK)
        return time.monotonic() - begun

    def _unready(self, name: str) -> str:
        """What /readyz of an API host complains about."""
        url = f"https://{name}:8443/readyz"
        ca = "/etc/knowledge-assistant/tls/knowledge-assistant/ca.crt"
        told = self.output(name, f"curl -sS --max-time 10 --cacert {ca} {shlex.quote(url)}", timeout=20)
        parts: dict[str, Any] = json.loads(told)["parts"]
        return "; ".join(f"{name}: {part}: {state}" for part, state in parts.items() if state != "ok")


@contextmanager
def running_fleet(lab: Lab, home: Path) -> Iterator[Fleet]:
    """A handle that is closed at the end."""
    fleet = Fleet(lab, home)
    try:
        yield fleet
    finally:
        fleet.close()


def bring_up(name: str, hosts: Sequence[str] = ("full",), disk: int = 0) -> tuple[Lab, Path]:
    """The lab ``name``, made if it isn't up, and the home for its operator. site.yml was not run on it.

    Data disks have at least ``disk`` GiB, which take up no room until they are used.
    """
    lab = Lab.named(name)
    try:
        lab.record()
    except LabError:
        plans = [
            replace(plan, disk=max(plan.disk, disk)) if plan.disk else plan for plan in topology.choose(hosts)
        ]
        creation.up(lab.place, plans, image.inspect(image.chosen(None)))
    return lab, FOLDER / name


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Hosts that say something else than before."""
    return {name for name in before if after[name] != before[name]}
