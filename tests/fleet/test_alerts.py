"""Six faults at once, and what people hear of them: the right alerts, no other page, and soon."""

from __future__ import annotations

from tests.fleet.fleet import Fleet
from tests.fleet.people import People, people, receivers
from tests.fleet.telling import told_until_mended
from tests.fleet.troubles import TOGETHER

__all__ = ["people", "receivers"]
SECONDS = 900


def test_faults_of_six_kinds_bring_their_alerts_and_no_other_page_until_they_are_mended(
    fleet: Fleet, people: People
) -> None:
    told_until_mended(fleet, people, TOGETHER[0])
