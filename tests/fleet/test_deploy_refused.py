"""More releases that are not taken, and one that is, though it was taken back."""

from __future__ import annotations

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.releases import MEMORY, Releases, not_taken, refused, running
from tests.fleet.used import visits

SECONDS = 900


@pytest.mark.parametrize(
    ("name", "word"), [("slow", "is slow"), ("broken", "9001_broken"), ("taking", "9001_takes")]
)
@pytest.mark.usefixtures("pair")
def test_a_bad_release_is_not_taken_and_nobody_notices(
    fleet: Fleet, releases: Releases, name: str, word: str
) -> None:
    assert word in not_taken(fleet, releases, name)


def test_a_release_that_was_taken_back_is_deployed_when_somebody_answers_for_it(
    fleet: Fleet, releases: Releases, pair: tuple[str, str]
) -> None:
    new = releases.options(pair[1])
    fleet.play("deploy", *new, "-e", "rollout_watch=0")
    fleet.play("rollback")
    fleet.play("deploy", *new, "-e", "rollout_marked_bad=true", "-e", "rollout_watch=0")
    assert running(fleet) == {releases.path(pair[1])}


def test_a_release_is_good_only_among_the_others(
    fleet: Fleet, releases: Releases, pair: tuple[str, str]
) -> None:
    """The first host is out alone; the second one keeps the old release when the first is not good."""
    with visits(fleet, 20):
        refused(fleet, "deploy", *releases.options("wrong"))
    fleet.play("deploy", *releases.options(pair[1]), "-e", "rollout_watch=5")
    assert running(fleet) == {releases.path(pair[1])}
    assert not fleet.output("api1", f"ls {MEMORY}/bad 2> /dev/null || :")
