"""Age of what a restore has lost, and the page of losses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fleet import losing_page
from tests.fleet.lost import missing
from tests.load.ledger import Audit, Ledger

LOSS: dict[str, Any] = {
    "busy": True,
    "acknowledged": 700,
    "missing": 120,
    "oldest": 31.5,
    "later": 0,
    "harmed": {},
    "hosts": 80.0,
    "database": 40.0,
    "answers": 70.0,
}
SIZES = [
    {**LOSS, "bytes": 1e9, "base": 1e9, "saved": 30.0, "database": 60.0},
    {**LOSS, "bytes": 5e9, "base": 5e9, "saved": 90.0, "database": 140.0},
]
FOUND: dict[str, Any] = {
    "machine": "a machine",
    "load": 2.0,
    "losses": [LOSS, {**LOSS, "busy": False, "oldest": 44.0}],
    "returns": [21.0, 25.0, 30.0],
    "cost": [{"without": 0.2, "with": 0.22, "base": 0.4}, {"without": 0.2, "with": 0.21, "base": 0.5}],
    "growth": {"idle": {"seconds": 900.0, "bytes": 1_000_000, "requests": 0}},
    "rebuild": {"vectors": 2000, "seconds": 20.0, "questions": 100, "right": 100, "wrong": 0},
    "sizes": SIZES,
}


def ledger(**moments: float) -> Ledger:
    found = Ledger("some")
    found.moments.update(moments)
    return found


def test_a_missing_write_is_as_old_as_its_acknowledgement_at_the_loss() -> None:
    ages, later = missing(ledger(a=10, b=40, c=55), Audit(3, lost=["c", "b"]), 60)
    assert ages == [20, 5]
    assert later == 0


def test_what_was_written_after_the_loss_is_not_of_it() -> None:
    assert missing(ledger(a=10, b=70), Audit(2, lost=["b"]), 60) == ([], 0)


def test_a_later_write_that_is_there_is_a_hole_unless_both_came_at_once() -> None:
    assert missing(ledger(a=10, b=10.5, c=30), Audit(3, lost=["a"]), 60)[1] == 1


def test_the_line_through_two_sizes_leads_to_ten_gigabytes() -> None:
    rest, slope = losing_page.line(SIZES)
    assert rest == pytest.approx(40)
    assert slope * 1e9 == pytest.approx(20)
    page = losing_page.document(FOUND, [])
    assert "**10 GB: 240 s** (at most 300), calculated from the line." in page
    assert "| 1 TB | 5.6 |" in page


def test_the_page_tells_the_worst_loss_and_what_backups_cost() -> None:
    page = losing_page.document(FOUND, [{"what": "disaster", "seconds": 700.0, "missing": 9, "oldest": 12.0}])
    assert "**In 2 losses the oldest missing write was 44 s old** (at most 60); 240 of 1,400" in page
    assert "1.07 of 2 pairs | 1.2 |" in page
    assert "| 100 |" in page
    assert "| disaster | 1 | 700 | 9, the oldest 12 s |" in page
    assert "96, calculated from 15 minutes" in page


@pytest.mark.parametrize(
    "change",
    [
        {"losses": [{**LOSS, "oldest": 61.0}]},
        {"losses": [{**LOSS, "later": 1}]},
        {"losses": [{**LOSS, "harmed": {"damaged": ["x"]}}]},
        {"returns": [61.0]},
        {"cost": [{"without": 0.2, "with": 0.3, "base": 0.2}]},
        {"rebuild": {**FOUND["rebuild"], "wrong": 1}},
        {"sizes": [SIZES[0], {**SIZES[1], "database": 200.0}]},
    ],
)
def test_what_was_promised_and_does_not_hold_is_no_success(change: dict[str, Any]) -> None:
    assert losing_page.kept(FOUND)
    assert not losing_page.kept(FOUND | change)
