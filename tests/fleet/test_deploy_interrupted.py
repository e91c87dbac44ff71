"""Deploys that die in the middle, or meet."""

from __future__ import annotations

import time

from tests.fleet.fleet import Fleet
from tests.fleet.releases import DRAINED, MEMORY, Releases, begun, kill, refused, running, wait_for_file
from tests.fleet.used import all_answered

SECONDS = 900


def test_a_deploy_that_dies_in_the_middle_is_cleared_up_by_the_next(
    fleet: Fleet, releases: Releases, pair: tuple[str, str]
) -> None:
    new = pair[1]
    with all_answered(fleet):
        with begun(fleet, "deploy", *releases.options(new)) as process:
            wait_for_file(fleet, "api1", f"{DRAINED}/rollout", 120)
            kill(process)
        time.sleep(10)
        played = fleet.play("deploy", *releases.options(new))
    assert "did not end it" in played.output
    assert running(fleet) == {releases.path(new)}
    assert not fleet.output("api1", f"find {DRAINED} {MEMORY}/lock -type f 2> /dev/null || :")


def test_of_two_deploys_at_once_the_second_is_told_whose_turn_it_is(
    fleet: Fleet, releases: Releases, pair: tuple[str, str]
) -> None:
    old, new = pair
    with begun(fleet, "deploy", *releases.options(new)) as process:
        wait_for_file(fleet, "api1", f"{MEMORY}/lock", 120)
        word = refused(fleet, "deploy", *releases.options(old))
        assert "has it since" in word
        assert releases.path(new) in word
        assert process.wait(400) == 0
    assert running(fleet) == {releases.path(new)}
