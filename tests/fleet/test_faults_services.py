"""Faults of everything but the database, under load: nothing acknowledged is lost, no answer is wrong."""

from __future__ import annotations

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.verdicts import answered_on, endured, written_again

SECONDS = 600
pytestmark = pytest.mark.usefixtures("green_afterwards")


def test_one_api_host_without_power_is_noticed_and_the_other_serves_alone(fleet: Fleet) -> None:
    written_again(endured(fleet, "api"))


def test_while_chroma_has_no_power_questions_are_answered_by_words(fleet: Fleet) -> None:
    answered_on(endured(fleet, "chroma"))


def test_a_restarted_balancer_serves_again_at_once(fleet: Fleet) -> None:
    written_again(endured(fleet, "balancer"))
