"""Faults of everything but the database, under load: nothing acknowledged is lost, no answer is wrong."""

from __future__ import annotations

import pytest

from tests.fleet.faults import FAULTS
from tests.fleet.fleet import Fleet
from tests.fleet.trial import endure
from tests.fleet.verdicts import answered_on, unharmed, written_again

SECONDS = 600
pytestmark = pytest.mark.usefixtures("green_afterwards")


def test_one_api_host_without_power_is_noticed_and_the_other_serves_alone(fleet: Fleet) -> None:
    trial = endure(fleet, FAULTS["api"])
    unharmed(trial)
    written_again(trial)


def test_while_chroma_has_no_power_questions_are_answered_by_words(fleet: Fleet) -> None:
    trial = endure(fleet, FAULTS["chroma"])
    unharmed(trial)
    answered_on(trial)


def test_a_restarted_balancer_serves_again_at_once(fleet: Fleet) -> None:
    trial = endure(fleet, FAULTS["balancer"])
    unharmed(trial)
    written_again(trial)
