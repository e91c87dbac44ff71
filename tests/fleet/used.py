"""A fleet that is used."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.fleet.fleet import Fleet
from tests.load.generator import Generator
from tests.load.outcome import Outcomes
from tests.load.workload import Workload

WHOLE = 180.0


@contextmanager
def used(fleet: Fleet, rates: Mapping[str, float]) -> Iterator[tuple[Workload, Generator]]:
    """Clients make so many requests a second, by kind; what they have brought is removed at the end."""
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare())
    try:
        with fleet.loop.load(workload.acts(rates)) as load:
            yield workload, load
    finally:
        fleet.loop.run(workload.ledger.settle(fleet.client))
        fleet.loop.run(workload.ledger.clear(fleet.client))


@contextmanager
def unnoticed(fleet: Fleet) -> Iterator[None]:
    """Clients ask, upload and write during the block: all is answered rightly, nothing lost."""
    fleet.wait_whole(WHOLE)
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare())
    with fleet.loop.load(workload.acts()) as load:
        time.sleep(3)
        yield
        time.sleep(3)
    audit = fleet.loop.run(workload.ledger.close(fleet.client, patience=WHOLE))
    outcomes = Outcomes(load.outcomes)
    assert audit.clean, audit
    assert set(outcomes.count()) == {"ok"}, outcomes.troubles()


@contextmanager
def visits(fleet: Fleet, rate: float = 20) -> Iterator[Generator]:
    """Somebody outside reads all the time."""
    with fleet.loop.load(Workload(fleet.client, "visits").acts({"visit": rate})) as load:
        yield load


@contextmanager
def all_answered(fleet: Fleet, rate: float = 20) -> Iterator[None]:
    """Somebody outside reads all the time, and gets a right answer each time."""
    with visits(fleet, rate) as load:
        yield
    outcomes = Outcomes(load.outcomes)
    assert outcomes.share_ok() == 1, outcomes.troubles()
