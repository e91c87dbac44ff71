"""Dashboards and console pages on a fleet in use: each panel has data, each page says what is so."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.prometheus import firing, query, wait
from tests.load.workload import Workload
from tests.support.panels import SHOWN, Query

SECONDS = 600
# until every panel has data: rates need two readings, and some rules are used once a minute
FILLED = 180.0
SOON = 120.0
# of a page as Prometheus serves it; they hold all that they show, so that a browser can open the files
KEPT = Path(__file__).parent.parent.parent / "build" / "consoles"
RATES = {"ask": 2.0, "search": 1.0, "list": 1.0, "upload": 0.5}
# what a whole fleet has nothing to show of, and why
EMPTY = {
    "Alerts": "none fires",
    "page": "none fires",
    "Services that cannot be read": "all are",
    "release": "no deploy within minutes",
    "primary": "no failover within minutes",
    "Errors of ours a minute, by route": "there are none",
    "Errors of ours a minute, by host": "there are none",
    "Less than they could be, by cause": "none is",
    "Answers that are less than they could be, a minute, by host": "none is",
    "Answers found by words alone, a minute": "none is",
    "Restarts": "no host waits for one",
    "Security updates": "hosts of a lab have never seen a list of packages",
}


@pytest.fixture
def in_use(fleet: Fleet) -> Iterator[Fleet]:
    """A fleet that is asked and given documents all the time."""
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare())
    try:
        with fleet.loop.load(workload.acts(RATES)):
            yield fleet
    finally:
        fleet.loop.run(workload.ledger.settle(fleet.client))
        fleet.loop.run(workload.ledger.clear(fleet.client))


def without_data(fleet: Fleet, wanted: list[Query]) -> list[Query]:
    """Queries for which Prometheus has no number now."""
    return [one for one in wanted if all(map(math.isnan, query(fleet, one.expression).values()))]


def page(fleet: Fleet, name: str, kept: str) -> str:
    """A page as the monitoring host has it, which is kept under a name."""
    text = fleet.output("monitoring1", f"curl -sSf 'http://127.0.0.1:9090/consoles/{name}'")
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{kept}.html").write_text(text, encoding="utf-8")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_every_panel_has_data_on_a_fleet_in_use(in_use: Fleet) -> None:
    assert EMPTY.keys() <= {one.title for one in SHOWN}
    lacking = [one for one in SHOWN if one.title not in EMPTY]

    def filled() -> bool:
        lacking[:] = without_data(in_use, lacking)
        return not lacking

    try:
        wait(filled, FILLED)
    except AssertionError:
        pytest.fail("\n".join(f"{one.place}, {one.title}: {one.expression}" for one in lacking))


def test_the_page_of_a_fleet_at_rest_says_that_all_is_well(fleet: Fleet) -> None:
    wait(lambda: firing(fleet) == {"Watchdog"}, SOON)
    hosts = fleet.lab.record().hosts
    told = page(fleet, "index.html", "lab-quiet")
    assert f"All is well. {len(hosts)} of {len(hosts)} hosts" in told
    assert f"Primary {fleet.member('leader')}" in told
    for name in hosts:
        assert name in told
        assert "Nothing on it needs anybody." in page(fleet, f"host.html?host={name}", f"lab-{name}")


def test_the_page_says_what_is_wrong_and_what_to_do_until_it_is_mended(fleet: Fleet) -> None:
    fleet.output("chroma1", "systemctl stop chroma")
    try:
        wait(lambda: "ChromaDown" in firing(fleet), SOON)
        told = page(fleet, "index.html", "lab-fault")
        assert "needs somebody now" in told or "need somebody now" in told
        assert "Chroma on chroma1 does not answer" in told
        assert "Something on it needs somebody now." in page(
            fleet, "host.html?host=chroma1", "lab-fault-chroma1"
        )
        runbook = fleet.output(
            "monitoring1", "curl -sSf http://127.0.0.1:9090/consoles/runbooks/ChromaDown.md"
        )
        assert runbook.startswith("# ChromaDown: ")
    finally:
        fleet.output("chroma1", "systemctl start chroma")
    wait(lambda: "ChromaDown" not in firing(fleet), SOON)
    wait(lambda: not query(fleet, 'ALERTS{severity="page"}'), SOON)
