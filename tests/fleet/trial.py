"""One fault under load, with clients that go on asking and writing, and an audit of what was acknowledged."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from tests.fleet.database_probe import Probe, database_probe
from tests.fleet.faults import Fault
from tests.fleet.fleet import Fleet
from tests.lab.errors import LabError
from tests.load.generator import Generator
from tests.load.ledger import Audit
from tests.load.outcome import Outcomes
from tests.load.workload import USUAL, Workload

LEAD, TAIL = 3.0, 3.0  # seconds of load before the fault and after the fleet is whole
BACK = 120.0  # until writes are acknowledged again
WHOLE = 180.0  # until nothing is wrong any more
READY = 120.0  # until the last document is
_WRITES = 10  # acknowledged in a row: they are back


@dataclass(frozen=True)
class Trial:
    """What a fault did to clients.

    ``healed``: seconds from mending until the fleet was whole. ``database_gap``: longest time in which the
    database itself acknowledged no write, if the fault is one of the database.
    """

    fault: Fault
    outcomes: Outcomes
    audit: Audit
    healed: float
    database_gap: float | None

    @property
    def gap(self) -> float:
        """Longest time in seconds in which no write was acknowledged."""
        return self.outcomes.gap("write")

    @property
    def answered(self) -> float:
        """Share of the questions that got their right answer."""
        return self.outcomes.share_ok("ask", "search")

    @property
    def wrong(self) -> int:
        """Answers that were none."""
        return self.outcomes.count()["wrong"]

    def record(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        questions, everything = self.outcomes.count("ask", "search"), self.outcomes.count()
        return {
            "fault": self.fault.name,
            "gap": round(self.gap, 2),
            "database_gap": None if self.database_gap is None else round(self.database_gap, 2),
            "load": round(os.getloadavg()[0], 1),
            "questions": questions.total(),
            "answered": questions["ok"],
            "requests": everything.total(),
            "errors": everything["failed"] + everything["refused"],
            "wrong": self.wrong,
            "healed": round(self.healed, 1),
            "audit": asdict(self.audit),
            "troubles": dict(self.outcomes.troubles()),
            "kinds": self.outcomes.summary(),
        }


def endure(fleet: Fleet, fault: Fault, rates: Mapping[str, float] = USUAL) -> Trial:
    """Let the fault happen to a whole fleet under load.

    Raises:
        LabError: the fleet was not whole before, writes did not come back, or it did not heal.
        Broken: the assistant did not answer before or after, when nothing was broken.
    """
    fleet.wait_whole(WHOLE)
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare())
    blow = fault.aim(fleet)
    with ExitStack() as stack:
        # from a host that is hit by none of these faults
        probe = stack.enter_context(database_probe(fleet, "api2")) if fault.database else Probe()
        load = stack.enter_context(fleet.loop.load(workload.acts(rates)))
        time.sleep(LEAD)
        struck = time.monotonic()
        try:
            blow.strike()
            _wait_for_writes(load, struck)
            time.sleep(max(0.0, struck + fault.lasts - time.monotonic()))
        finally:
            mended = time.monotonic()
            blow.mend()  # also for the tests that come after a failed one
        _wait_whole(fleet, workload)
        healed = time.monotonic() - mended
        time.sleep(TAIL)
    audit = fleet.loop.run(workload.ledger.close(fleet.client, patience=READY))
    return Trial(fault, Outcomes(load.outcomes), audit, healed, probe.gap)


def _wait_for_writes(load: Generator, since: float) -> None:
    """Return when as many writes in a row as it takes, all sent since then, were acknowledged."""
    deadline = time.monotonic() + BACK
    while time.monotonic() < deadline:
        sent = [one for one in list(load.outcomes) if one.kind == "write" and one.at > since]
        last = sorted(sent, key=lambda one: one.at)[-_WRITES:]
        if len(last) == _WRITES and all(one.verdict == "ok" for one in last):
            return
        time.sleep(0.1)
    raise LabError(f"No writes were acknowledged within {BACK:.0f} s of the fault.")


def _wait_whole(fleet: Fleet, workload: Workload) -> None:
    """Every part is well, and questions are answered with all that belongs to it."""
    deadline = time.monotonic() + WHOLE
    fleet.wait_whole(WHOLE)
    while lacks := fleet.loop.run(workload.lacks()):
        if time.monotonic() > deadline:
            raise LabError(f"Answers are not what they were after {WHOLE:.0f} s: {lacks}")
        time.sleep(0.5)
