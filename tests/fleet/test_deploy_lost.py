"""Deploys that lose a host, or die and are taken back."""

from __future__ import annotations

import time

from tests.fleet.fleet import Fleet
from tests.fleet.releases import DRAINED, Releases, answers_as, begun, kill, running, wait_for_file
from tests.fleet.used import visits
from tests.load.outcome import Outcomes

SECONDS = 900


def test_a_deploy_that_dies_in_the_middle_can_be_taken_back(
    fleet: Fleet, releases: Releases, pair: tuple[str, str]
) -> None:
    old, new = pair
    with begun(fleet, "deploy", *releases.options(new)) as process:
        wait_for_file(fleet, "api1", f"{DRAINED}/rollout", 120)
        time.sleep(3)
        kill(process)
    fleet.play("rollback", "-e", f"rollout_to={releases.path(old)}")
    assert running(fleet) == {releases.path(old)}


def test_a_host_lost_in_the_middle_is_named_and_the_same_deploy_goes_on_later(
    fleet: Fleet, releases: Releases, pair: tuple[str, str]
) -> None:
    new = pair[1]
    with visits(fleet) as load:
        with begun(fleet, "deploy", *releases.options(new)) as process:
            wait_for_file(fleet, "api2", f"{DRAINED}/rollout", 300)
            fleet.lab.kill("api2")
            assert process.wait(400) != 0
        assert answers_as(fleet, "api1") == releases.path(new)
        fleet.lab.start("api2")
        fleet.play("deploy", *releases.options(new))
    assert running(fleet) == {releases.path(new)}
    outcomes = Outcomes(load.outcomes)
    assert outcomes.share_ok() > 0.99, outcomes.troubles()
