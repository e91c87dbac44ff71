"""What is broken on purpose, and what an operator does about it, if anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fleet.fleet import Fleet

ETCD_SILENCE = 10.0
OBJECTS_AWAY = 60.0
CHROMA_AWAY = 5.0
API_AWAY = 10.0


@dataclass(frozen=True)
class Blow:
    """A fault that has found its host. ``mend`` gives back what was taken; what then heals does so itself."""

    strike: Callable[[], object]
    mend: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    ``aim`` looks at the fleet and says what will be done. ``database``: it hits the database alone, so
    questions have to be answered as if nothing were. ``lasts`` are the seconds until it is mended; it is not
    before writes are acknowledged again. ``ceiling``: seconds that writes may be away on a busy machine.
    """

    name: str
    what: str
    aim: Callable[[Fleet], Blow]
    database: bool = False
    lasts: float = 0.0
    ceiling: float = 60.0


def _kill_postgres(fleet: Fleet) -> Blow:
    primary = fleet.member("leader")
    return Blow(lambda: fleet.output(primary, "kill -9 $(head -n 1 /data/postgres/17/postmaster.pid)"))


def _cut_power_of_primary(fleet: Fleet) -> Blow:
    primary = fleet.member("leader")
    return Blow(lambda: fleet.lab.kill(primary), lambda: fleet.lab.start(primary))


def _cut_off_primary(fleet: Fleet) -> Blow:
    primary = fleet.member("leader")
    return Blow(lambda: fleet.lab.cut(primary), lambda: fleet.lab.heal(primary))


def _lose_replica(fleet: Fleet) -> Blow:
    standby = fleet.member("sync_standby")
    return Blow(lambda: fleet.lab.kill(standby), lambda: fleet.lab.start(standby))


def _silence_etcd(fleet: Fleet) -> Blow:
    leader = fleet.etcd_leader()
    return Blow(
        lambda: fleet.output(leader, "systemctl kill --signal=STOP etcd"),
        lambda: fleet.output(leader, "systemctl kill --signal=KILL etcd"),
    )


def _cut_power_of_api(fleet: Fleet) -> Blow:
    return Blow(lambda: fleet.lab.kill("api1"), lambda: fleet.lab.start("api1"))


def _cut_power_of_chroma(fleet: Fleet) -> Blow:
    return Blow(lambda: fleet.lab.kill("chroma1"), lambda: fleet.lab.start("chroma1"))


def _replace_chroma(fleet: Fleet) -> Blow:
    return Blow(lambda: fleet.lab.replace("chroma1"), lambda: fleet.play("site", "--limit", "chroma1"))


def _lose_chroma_disk(fleet: Fleet) -> Blow:
    def strike() -> None:
        fleet.lab.kill("chroma1")
        fleet.lab.place.disk("chroma1").unlink()
        fleet.lab.replace("chroma1")

    return Blow(strike, lambda: fleet.play("site", "--limit", "chroma1"))


def _cut_off_objects(fleet: Fleet) -> Blow:
    return Blow(lambda: fleet.lab.cut("objects1"), lambda: fleet.lab.heal("objects1"))


def _restart_balancer(fleet: Fleet) -> Blow:
    return Blow(lambda: fleet.output("balancer1", "systemctl restart haproxy"))


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("switchover", "planned switchover", lambda fleet: Blow(fleet.switchover), database=True),
        Fault("kill-9", "`kill -9` of PostgreSQL on the primary", _kill_postgres, database=True),
        Fault("power-cut", "power cut of the primary's host", _cut_power_of_primary, database=True),
        Fault("partition", "the primary's network cut", _cut_off_primary, database=True),
        Fault("replica", "power cut of the synchronous standby", _lose_replica, database=True),
        Fault("etcd", "etcd's leader silent", _silence_etcd, database=True, lasts=ETCD_SILENCE),
        Fault("api", "power cut of an API host", _cut_power_of_api, lasts=API_AWAY),
        Fault("chroma", "power cut of Chroma's host", _cut_power_of_chroma, lasts=CHROMA_AWAY),
        Fault("chroma-replaced", "Chroma's host replaced, with its data disk", _replace_chroma),
        Fault("chroma-disk", "Chroma's host and its data disk lost", _lose_chroma_disk),
        Fault("objects", "object store away for a minute", _cut_off_objects, lasts=OBJECTS_AWAY),
        Fault("balancer", "balancer restarted", _restart_balancer),
    )
}
