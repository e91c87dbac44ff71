"""More faults, and what people hear of them: the right alerts, no other page, soon, and soon of their end."""

from __future__ import annotations

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.people import People, people, receivers
from tests.fleet.telling import told_until_mended
from tests.fleet.troubles import TOGETHER, Together

__all__ = ["people", "receivers"]
SECONDS = 900


@pytest.mark.parametrize("together", TOGETHER[1:], ids=str)
def test_faults_bring_their_alerts_and_no_other_page_until_they_are_mended(
    fleet: Fleet, people: People, together: Together
) -> None:
    told_until_mended(fleet, people, together)
