"""Faults, and what Prometheus says of them: the right alert, no other page, soon, and not for too long."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.fleet.faults import FAULTS, Blow
from tests.fleet.fleet import Fleet
from tests.fleet.prometheus import firing, wait
from tests.load import api
from tests.load.facts import Fact

SECONDS = 600
# from the fault to its alert, and from the end of the fault to that of its alert
SOON = 120.0
# until a fleet that was just mended is at rest
REST = 300.0
WORKER = "assistant-worker@1"


@dataclass(frozen=True)
class Trouble:
    """A fault of the services, and the alert that tells of it."""

    what: str
    alert: str
    aim: Callable[[Fleet], Blow]


def stop(host: str, unit: str) -> Callable[[Fleet], Blow]:
    """A unit is stopped, until it is started."""
    return lambda fleet: Blow(
        lambda: fleet.output(host, f"systemctl stop {unit}"),
        lambda: fleet.output(host, f"systemctl start {unit}"),
    )


def put(host: str, script: str) -> Callable[[Fleet], Blow]:
    """A script puts something into /data/alert-test, which is removed again."""
    place = "/data/alert-test"
    return lambda fleet: Blow(
        lambda: fleet.output(host, f"mkdir -p {place} && cd {place} && {script}", timeout=120),
        lambda: fleet.output(host, f"rm -rf {place}", timeout=120),
    )


def lose_etcd(fleet: Fleet) -> Blow:
    """A member that does not lead is stopped."""
    leader = fleet.etcd_leader()
    return stop(next(name for name in fleet.hosts("postgres") if name != leader), "etcd")(fleet)


def hold_workers(fleet: Fleet) -> Blow:
    """All workers hang, and a document comes in."""

    def signal(name: str) -> None:
        for host in fleet.hosts("api"):
            fleet.output(host, f"systemctl kill --signal={name} {WORKER}")

    def strike() -> None:
        signal("STOP")
        knowledge_base = f"held-{secrets.token_hex(3)}"
        made = fleet.loop.run(fleet.client.post(api.ROOT, {"name": knowledge_base}))
        sent = fleet.loop.run(api.upload(fleet.client, knowledge_base, Fact(secrets.token_hex(4))))
        assert (made.status, sent.status) == (201, 202)

    return Blow(strike, lambda: signal("CONT"))


def hold_replay(fleet: Fleet) -> Blow:
    """A standby applies nothing any more, while the primary writes."""
    standby, primary = fleet.member("replica"), fleet.member("leader")
    ask = "runuser -u postgres -- psql -XAtq -h /run/postgresql -d postgres -c"
    return Blow(
        lambda: (
            fleet.output(standby, f"{ask} 'SELECT pg_wal_replay_pause()'"),
            fleet.output(primary, f"{ask} \"SELECT pg_logical_emit_message(true, 'alert-test', '')\""),
        ),
        lambda: fleet.output(standby, f"{ask} 'SELECT pg_wal_replay_resume()'"),
    )


TROUBLES = [
    Trouble("an API host is down", "HostDown", FAULTS["api"].aim),
    Trouble("the primary is lost", "HostDown", FAULTS["power-cut"].aim),
    Trouble("one of two API hosts is out", "OneApiHostLeft", stop("api1", "assistant-api")),
    Trouble("HAProxy is gone", "BalancerDown", stop("balancer1", "haproxy")),
    Trouble("workers hang", "WorkersStuck", hold_workers),
    Trouble("a replica lags", "ReplicaLagging", hold_replay),
    Trouble("a member of etcd is lost", "EtcdMemberLost", lose_etcd),
    Trouble("Chroma is down", "ChromaDown", stop("chroma1", "chroma")),
    Trouble("the object store is down", "ObjectsDown", stop("objects1", "objects")),
    Trouble(
        "a disk is full",
        "DiskFull",
        put("objects1", "fallocate -l $(($(df --output=avail -B1 . | tail -n 1) * 98 / 100)) big"),
    ),
    Trouble(
        "a disk can hold hardly any more files",
        "InodesShort",
        put("objects1", "seq $(($(df --output=iavail . | tail -n 1) * 98 / 100)) | xargs touch"),
    ),
    Trouble("an exporter is gone", "ExporterDown", stop("api1", "prometheus-node-exporter")),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.what)
def test_a_fault_brings_its_alert_and_no_other_page_until_it_is_mended(
    fleet: Fleet, trouble: Trouble
) -> None:
    wait(lambda: firing(fleet) == {"Watchdog"}, REST)
    blow = trouble.aim(fleet)
    try:
        blow.strike()
        wait(lambda: trouble.alert in firing(fleet), SOON)
        assert firing(fleet, "page") <= {trouble.alert}
    finally:
        blow.mend()
    wait(lambda: trouble.alert not in firing(fleet), SOON)
