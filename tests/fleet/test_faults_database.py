"""Faults of the database under load: nothing that was acknowledged is lost, and questions are answered on."""

from __future__ import annotations

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.verdicts import answered_on, endured, written_again

SECONDS = 600
pytestmark = pytest.mark.usefixtures("green_afterwards")


def borne(fleet: Fleet, fault: str) -> None:
    """Nothing is lost, questions are answered on, and writes come back."""
    trial = endured(fleet, fault)
    answered_on(trial)
    written_again(trial)


def test_a_planned_switchover_loses_nothing_and_no_question(fleet: Fleet) -> None:
    before = fleet.member("leader")
    borne(fleet, "switchover")
    assert fleet.member("leader") != before


def test_killing_postgresql_on_the_primary_loses_nothing_and_no_question(fleet: Fleet) -> None:
    borne(fleet, "kill-9")


def test_a_power_cut_of_the_primary_loses_nothing_and_the_old_primary_comes_back_as_a_replica(
    fleet: Fleet,
) -> None:
    before = fleet.member("leader")
    borne(fleet, "power-cut")
    assert fleet.member("leader") != before


def test_a_primary_that_is_cut_off_and_comes_back_keeps_no_second_truth(fleet: Fleet) -> None:
    before = fleet.member("leader")
    borne(fleet, "partition")
    assert fleet.member("leader") != before


def test_without_its_synchronous_standby_the_primary_takes_the_other_and_writes_go_on(fleet: Fleet) -> None:
    before = fleet.member("leader")
    borne(fleet, "replica")
    assert fleet.member("leader") == before


def test_a_silent_leader_of_etcd_is_replaced_and_the_database_serves_on(fleet: Fleet) -> None:
    borne(fleet, "etcd")
