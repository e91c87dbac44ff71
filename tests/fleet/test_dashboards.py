"""Dashboards and console pages on a fleet in use: each panel has data, and all is well."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.pages import page
from tests.fleet.prometheus import firing, query, wait
from tests.fleet.used import used
from tests.support.panels import SHOWN, Query

SECONDS = 600
# until every panel has data: rates need two readings, and some rules are used once a minute
FILLED = 180.0
SOON = 120.0
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
    with used(fleet, RATES):
        yield fleet


def without_data(fleet: Fleet, wanted: list[Query]) -> list[Query]:
    """Queries for which Prometheus has no number now."""
    return [one for one in wanted if all(map(math.isnan, query(fleet, one.expression).values()))]


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
