"""Faults of everything but the database, under load: nothing acknowledged is lost, no answer is wrong."""

from __future__ import annotations

import pytest

from tests.fleet.faults import FAULTS
from tests.fleet.fleet import Fleet
from tests.fleet.trial import Trial, endure

SECONDS = 600
pytestmark = pytest.mark.usefixtures("green_afterwards")


def unharmed(trial: Trial) -> None:
    """What holds after every fault."""
    record = trial.record()
    assert trial.audit.clean, record
    assert trial.wrong == 0, record


def answered_on(trial: Trial) -> None:
    """The fault is none of those that questions may notice."""
    assert trial.answered >= 0.99, trial.record()


def test_one_api_host_without_power_is_noticed_and_the_other_serves_alone(fleet: Fleet) -> None:
    trial = endure(fleet, FAULTS["api"])
    unharmed(trial)
    assert trial.gap <= trial.fault.ceiling, trial.record()


def test_while_chroma_has_no_power_questions_are_answered_by_words(fleet: Fleet) -> None:
    trial = endure(fleet, FAULTS["chroma"])
    unharmed(trial)
    answered_on(trial)


def test_a_new_host_for_chroma_with_the_old_disk_serves_the_old_index(fleet: Fleet) -> None:
    trial = endure(fleet, FAULTS["chroma-replaced"])
    unharmed(trial)
    answered_on(trial)


def test_an_index_whose_disk_is_lost_is_made_again_from_the_database(fleet: Fleet) -> None:
    trial = endure(fleet, FAULTS["chroma-disk"])
    unharmed(trial)
    answered_on(trial)


def test_without_the_object_store_questions_are_answered_and_uploads_are_refused_honestly(
    fleet: Fleet,
) -> None:
    trial = endure(fleet, FAULTS["objects"])
    unharmed(trial)
    answered_on(trial)
    assert trial.outcomes.count("upload")["refused"], trial.record()


def test_a_restarted_balancer_serves_again_at_once(fleet: Fleet) -> None:
    trial = endure(fleet, FAULTS["balancer"])
    unharmed(trial)
    assert trial.gap <= trial.fault.ceiling, trial.record()
