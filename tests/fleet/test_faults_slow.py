"""Faults of services beside the database, under load, that take longer to mend or to bear."""

from __future__ import annotations

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.verdicts import answered_on, endured

SECONDS = 600
pytestmark = pytest.mark.usefixtures("green_afterwards")


def test_a_new_host_for_chroma_with_the_old_disk_serves_the_old_index(fleet: Fleet) -> None:
    answered_on(endured(fleet, "chroma-replaced"))


def test_an_index_whose_disk_is_lost_is_made_again_from_the_database(fleet: Fleet) -> None:
    answered_on(endured(fleet, "chroma-disk"))


def test_without_the_object_store_questions_are_answered_and_uploads_are_refused_honestly(
    fleet: Fleet,
) -> None:
    trial = endured(fleet, "objects")
    answered_on(trial)
    assert trial.outcomes.count("upload")["refused"], trial.record()
