"""The database lost with all its disks, restored, and what of the acknowledged writes was missing then."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from tests.fleet.fleet import FOLDER, Fleet
from tests.fleet.saved import restored, sets, sql
from tests.fleet.trial import READY, WHOLE
from tests.lab.errors import LabError
from tests.load.ledger import Audit, Ledger
from tests.load.workload import Workload

# one line for each restore, also of tests: what, and seconds
RESULTS = FOLDER / "restores.jsonl"
LATEST = 60.0  # seconds of acknowledged writes that may be missing
SLIP = 1.0  # seconds by which two acknowledgements may overtake each other
BUSY: Mapping[str, float] = {"ask": 2, "search": 1, "upload": 2, "write": 5}
IDLE: Mapping[str, float] = {"write": 0.1}
HOSTS, RESTORE = 900.0, 1800.0  # seconds that playbooks may take
_OURS = "SELECT NOT pg_is_in_recovery() AND system_identifier = {} FROM pg_control_system()"
Record = dict[str, Any]


@dataclass(frozen=True)
class Loss:
    """What became of writes, and seconds.

    ``ages`` are those of the missing ones at the moment of the loss; ``later`` counts writes that are there
    though one that was acknowledged before them is not. ``hosts``: new ones with empty disks made ready.
    ``database``, ``answers``: from the beginning of restore.yml until the restored one was primary, and until
    questions were answered rightly.
    """

    acknowledged: int
    ages: list[float]
    later: int
    hosts: float
    database: float
    answers: float
    audit: Audit

    @property
    def oldest(self) -> float:
        """Age of the oldest write that is missing; 0 where none is."""
        return max(self.ages, default=0.0)

    def record(self) -> Record:
        """All figures, ready for JSON."""
        return {
            "acknowledged": self.acknowledged,
            "missing": len(self.ages),
            "oldest": round(self.oldest, 1),
            "later": self.later,
            "harmed": harm(self.audit),
            "hosts": round(self.hosts, 1),
            "database": round(self.database, 1),
            "answers": round(self.answers, 1),
        }


def harm(audit: Audit) -> dict[str, list[str]]:
    """What is there and is not as it should be."""
    found = asdict(audit)
    return {key: found[key] for key in ("doubled", "damaged", "unready", "unanswered") if found[key]}


def note(what: str, record: Record) -> None:
    """Write it down for the page."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, **record}) + "\n")


def lose_disks(fleet: Fleet, *names: str) -> None:
    """These hosts lose their power and their disks; returns at once."""
    fleet.lab.kill(*names)
    for name in names:
        fleet.lab.place.disk(name).unlink(missing_ok=True)


def lose_database(
    fleet: Fleet,
    rates: Mapping[str, float],
    seconds: float,
    *,
    documents: int = 20,
    options: tuple[str, ...] = (),
) -> Loss:
    """Use a fleet for some seconds, take all disks of its database, put new hosts there, restore, and look.

    ``options`` are restore.yml's. There has to be a set. What was brought is removed at the end.

    Raises:
        LabError: a playbook failed, or the fleet was not whole before or after.
        Broken: the assistant did not answer when nothing was broken.
    """
    fleet.wait_whole(WHOLE)
    names, system = fleet.hosts("postgres"), str(sets(fleet)[-1]["system"])
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare(documents, patience=READY + documents))
    with fleet.loop.load(workload.acts(rates)):
        time.sleep(seconds)
        lose_disks(fleet, *names)
        lost = time.monotonic()
    fleet.lab.replace(*names)
    hosts = fleet.play("site", "--limit", "postgres", timeout=HOSTS).seconds
    with database_back(fleet, system) as back:
        answers = restored(fleet, *options, timeout=RESTORE).seconds
    fleet.wait_whole(WHOLE)
    found = judged(fleet, workload.ledger)
    ages, later = missing(workload.ledger, found, lost)
    acknowledged = sum(at <= lost for at in workload.ledger.moments.values())
    return Loss(acknowledged, ages, later, hosts, back[0] if back else answers, answers, found)


def judged(fleet: Fleet, ledger: Ledger) -> Audit:
    """What the audit finds; nothing of it stays."""
    try:
        fleet.loop.run(ledger.settle(fleet.client))
        return fleet.loop.run(ledger.audit(fleet.client, patience=READY))
    finally:
        fleet.loop.run(ledger.clear(fleet.client))


def missing(ledger: Ledger, audit: Audit, lost: float) -> tuple[list[float], int]:
    """Ages in seconds of the missing writes at the moment ``lost``, oldest first.

    And how many later ones are there nevertheless: a restored database is one of the past, without holes.
    """
    gone = set(audit.lost)
    before = {name: at for name, at in ledger.moments.items() if at <= lost}
    ages = sorted((lost - at for name, at in before.items() if name in gone), reverse=True)
    if not ages:
        return [], 0
    first = lost - ages[0] + SLIP
    return ages, sum(at > first for name, at in before.items() if name not in gone)


@contextmanager
def database_back(fleet: Fleet, system: str) -> Iterator[list[float]]:
    """Seconds from now until a database with this identifier is primary; none, if it never is within."""
    found: list[float] = []
    ended = threading.Event()
    begun = time.monotonic()

    def look() -> None:
        names = fleet.hosts("postgres")
        while not ended.wait(1):
            if any(_ours(fleet, name, system) for name in names):
                found.append(time.monotonic() - begun)
                return

    thread = threading.Thread(target=look, name="database", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def _ours(fleet: Fleet, host: str, system: str) -> bool:
    try:
        return sql(fleet, host, _OURS.format(int(system)), "postgres", timeout=20) == "t"
    except LabError:
        return False
