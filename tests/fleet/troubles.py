"""What is broken so that people are told of it, and what they should be told."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.fleet.faults import Blow
from tests.fleet.fleet import Fleet
from tests.fleet.people import Told
from tests.load import api
from tests.load.facts import Fact
from tests.load.ledger import Ledger

WORKER = "assistant-worker@1"
PSQL = "psql -XAtq -h /run/postgresql -v ON_ERROR_STOP=1"
# a unit that goes on causing the fault until it is stopped
UNIT = "alert-test"
WAITING = 200
# Chroma's own API, asked beside it: every collection goes, and so does each that is made again
FORGET = """
import json, time, urllib.request
base = "http://127.0.0.1:{port}/api/v2/tenants/default_tenant/databases/default_database/collections"
while True:
    try:
        for one in json.load(urllib.request.urlopen(base)):
            urllib.request.urlopen(urllib.request.Request(base + "/" + one["name"], method="DELETE"))
    except OSError:
        pass
    time.sleep(0.5)
"""
Find = Callable[[Fleet], str]


@dataclass(frozen=True)
class Trouble:
    """One fault. ``find`` names the host that it hits; ``named``: whether its alert is about that host."""

    what: str
    alert: str
    find: Find
    hit: Callable[[Fleet, str], Blow]
    named: bool = True

    def aim(self, fleet: Fleet) -> tuple[Told, Blow]:
        """What people should hear, and what brings it about."""
        host = self.find(fleet)
        return (self.alert, host if self.named else ""), self.hit(fleet, host)


@dataclass(frozen=True)
class Together:
    """Faults that do not disturb each other, and requests a second, by kind, that are made meanwhile."""

    troubles: tuple[Trouble, ...]
    rates: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(one.what for one in self.troubles)


def at(host: str) -> Find:
    """Always this one."""
    return lambda fleet: host


def leader(fleet: Fleet) -> str:
    """The primary's host."""
    return fleet.member("leader")


def replica(fleet: Fleet) -> str:
    """The standby for which no write waits."""
    return fleet.member("replica")


def etcd_follower(fleet: Fleet) -> str:
    """A member of etcd that does not lead; not beside the primary, if another can be had."""
    followers = [name for name in fleet.hosts("postgres") if name != fleet.etcd_leader()]
    primary = fleet.member("leader")
    return next((name for name in followers if name != primary), followers[0])


def stop(unit: str) -> Callable[[Fleet, str], Blow]:
    """A unit is stopped, until it is started."""
    return lambda fleet, host: Blow(
        lambda: fleet.output(host, f"systemctl stop {unit}"),
        lambda: fleet.output(host, f"systemctl start {unit}"),
    )


def fill(script: str) -> Callable[[Fleet, str], Blow]:
    """A script puts something into /data/alert-test, which is removed again."""
    place = "/data/alert-test"
    return lambda fleet, host: Blow(
        lambda: fleet.output(host, f"mkdir -p {place} && cd {place} && {script}", timeout=120),
        lambda: fleet.output(host, f"rm -rf {place}", timeout=120),
    )


def cut_power(fleet: Fleet, host: str) -> Blow:
    """A host is off, until it is switched on."""
    return Blow(lambda: fleet.lab.kill(host), lambda: fleet.lab.start(host))


def certify(fleet: Fleet, host: str) -> Blow:
    """A certificate that holds for three days, until a usual one comes."""
    options = ("--tags", "pki", "--limit", host, "-e", "pki_renew=true")
    return Blow(
        lambda: fleet.play("site", *options, "-e", "pki_days=3"), lambda: fleet.play("site", *options)
    )


def repeat(fleet: Fleet, host: str, *command: str, user: str = "root") -> Blow:
    """A command runs on a host for as long as it takes."""
    start = shlex.join(["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", f"--uid={user}", *command])
    return Blow(
        lambda: fleet.output(host, start), lambda: fleet.output(host, f"systemctl stop {UNIT}", timeout=120)
    )


def signal_workers(fleet: Fleet, name: str) -> None:
    """The same signal to all of them."""
    for host in fleet.hosts("api"):
        fleet.output(host, f"systemctl kill --signal={name} {WORKER}")


def bring_documents(fleet: Fleet, count: int) -> Ledger:
    """Upload documents into a knowledge base of their own, and wait for none."""
    ledger = Ledger(f"held-{secrets.token_hex(3)}")

    async def send() -> None:
        made = await fleet.client.post(api.ROOT, {"name": ledger.knowledge_base})
        assert made.status == 201
        for _ in range(count):
            sent = await api.upload(fleet.client, ledger.knowledge_base, Fact(secrets.token_hex(4)))
            assert sent.status == 202

    fleet.loop.run(send())
    return ledger


def hold_workers(fleet: Fleet, _host: str) -> Blow:
    """All workers hang, and a document comes in."""
    ledgers: list[Ledger] = []

    def strike() -> None:
        signal_workers(fleet, "STOP")
        ledgers.append(bring_documents(fleet, 1))

    def mend() -> None:
        signal_workers(fleet, "CONT")
        clear(fleet, ledgers)

    return Blow(strike, mend)


def slow_workers(fleet: Fleet, _host: str) -> Blow:
    """All workers work two seconds of twenty, and many documents come in."""
    ledgers: list[Ledger] = []
    turn = f"systemctl kill --signal=STOP {WORKER}; sleep 18; systemctl kill --signal=CONT {WORKER}; sleep 2"
    blows = [repeat(fleet, host, "sh", "-c", f"while :; do {turn}; done") for host in fleet.hosts("api")]

    def strike() -> None:
        for blow in blows:
            blow.strike()
        ledgers.append(bring_documents(fleet, WAITING))

    def mend() -> None:
        for blow in blows:
            blow.mend()
        signal_workers(fleet, "CONT")
        clear(fleet, ledgers)

    return Blow(strike, mend)


def clear(fleet: Fleet, ledgers: list[Ledger]) -> None:
    """The documents go again."""
    for ledger in ledgers:
        fleet.loop.run(ledger.clear(fleet.client))


def hold_replay(fleet: Fleet, standby: str) -> Blow:
    """A standby applies nothing any more, while the primary writes.

    The process that applies is stopped, since a replay that is only paused Patroni may resume.
    """
    ask = f"runuser -u postgres -- {PSQL} -d postgres -c"
    process = f"$({ask} \"SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'\")"
    note = "\"SELECT pg_logical_emit_message(true, 'alert-test', '')\""

    def strike() -> None:
        fleet.output(standby, f"kill -STOP {process}")
        fleet.output(fleet.member("leader"), f"{ask} {note}")

    return Blow(strike, lambda: fleet.output(standby, f"kill -CONT {process}"))


def leave_behind(fleet: Fleet, standby: str) -> Blow:
    """A standby applies nothing any more, so that it stays on the old timeline when the primary changes."""
    held = hold_replay(fleet, standby)

    def strike() -> None:
        held.strike()
        fleet.switchover()

    return Blow(strike, held.mend)


def lock_pages(fleet: Fleet, primary: str) -> Blow:
    """Each question waits for up to ten seconds for its sources, on whatever host."""
    hold = f"{PSQL} -d assistant -c 'BEGIN; LOCK TABLE pages; SELECT pg_sleep(10); COMMIT'"
    return repeat(fleet, primary, "sh", "-c", f"while :; do {hold}; sleep 0.5; done", user="postgres")


def take_pages_away(fleet: Fleet, primary: str) -> Blow:
    """Searches end in an error."""
    rename = f"runuser -u postgres -- {PSQL} -d assistant -c 'ALTER TABLE {{}} RENAME TO {{}}'"
    return Blow(
        lambda: fleet.output(primary, rename.format("pages", "pages_away")),
        lambda: fleet.output(primary, rename.format("pages_away", "pages")),
    )


def break_index(fleet: Fleet, host: str) -> Blow:
    """Chroma answers, but what was in it is gone, as often as it is made again."""
    unit = fleet.output(host, "systemctl show -P ExecStart chroma")
    port = unit.partition("--port ")[2].split()[0]
    return repeat(fleet, host, "python3", "-c", FORGET.format(port=port))


BYTES = "fallocate -l $(($(df --output=avail -B1 . | tail -n 1) * 90 / 100)) big"
FILES = "seq $(($(df --output=iavail . | tail -n 1) * 98 / 100)) | xargs touch"
# among these the known question from outside, every twenty seconds, is rare; and workers have something to do
ASKED = {"ask": 2.0, "upload": 0.2}
# no more than that wait at a time for what is locked, or a host has no connection left and is no longer ready
SLOWLY = {"ask": 0.8}
SEARCHED = {"search": 4.0}

# what takes long to bring about comes first, and goes last
TOGETHER = (
    Together(
        (
            Trouble("a certificate is near its end", "CertificateEnds", at("api1"), certify),
            Trouble("a disk can hold hardly any more files", "DiskFull", at("objects1"), fill(FILES)),
            Trouble("a disk is 90 % full and fills", "DiskFull", at("backup1"), fill(BYTES)),
            Trouble("an exporter is gone", "ExporterDown", at("api2"), stop("prometheus-node-exporter")),
            Trouble("a member of etcd is lost", "EtcdMemberLost", etcd_follower, stop("etcd")),
            Trouble("Chroma is down", "ChromaDown", at("chroma1"), stop("chroma")),
        )
    ),
    Together(
        (
            Trouble("a replica lags", "ReplicaLagging", replica, hold_replay),
            Trouble("the object store is down", "ObjectsDown", at("objects1"), stop("objects")),
            Trouble("an API host is down", "HostDown", at("api1"), cut_power),
        )
    ),
    Together(
        (
            Trouble("one of two API hosts is out", "OneApiHostLeft", at("api1"), stop("assistant-api")),
            Trouble("workers hang", "WorkersStuck", at("api1"), hold_workers, named=False),
        )
    ),
    Together((Trouble("the primary is lost", "HostDown", leader, cut_power),)),
    Together(
        (
            Trouble("a standby's timeline differs", "TimelineDiffers", replica, leave_behind),
            Trouble("HAProxy is gone", "BalancerDown", at("balancer1"), stop("haproxy")),
        )
    ),
    Together((Trouble("the queue grows", "QueueGrowing", at("api1"), slow_workers, named=False),)),
    # before many are asked, since it is a share of the answers of five minutes
    Together((Trouble("all API hosts are slow", "AnswersSlow", leader, lock_pages, named=False),), SLOWLY),
    Together(
        (Trouble("the index is broken", "IndexUnusable", at("chroma1"), break_index, named=False),), ASKED
    ),
)
# for the hour after a deploy
AFTER_DEPLOY = Together(
    (Trouble("searches fail", "ErrorsAfterDeploy", leader, take_pages_away, named=False),), SEARCHED
)
