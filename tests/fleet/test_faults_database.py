"""Faults of the database under load: nothing that was acknowledged is lost, and questions are answered on."""

from __future__ import annotations

import pytest

from tests.fleet.faults import FAULTS
from tests.fleet.fleet import Fleet
from tests.fleet.trial import Trial, endure

SECONDS = 600
pytestmark = pytest.mark.usefixtures("green_afterwards")


def unharmed(trial: Trial) -> None:
    """What holds after every fault of the database, however busy the machine is."""
    record = trial.record()
    assert trial.audit.clean, record
    assert trial.wrong == 0, record
    assert trial.answered >= 0.99, record
    assert trial.gap <= trial.fault.ceiling, record


def test_a_planned_switchover_loses_nothing_and_no_question(fleet: Fleet) -> None:
    before = fleet.member("leader")
    unharmed(endure(fleet, FAULTS["switchover"]))
    assert fleet.member("leader") != before


def test_killing_postgresql_on_the_primary_loses_nothing_and_no_question(fleet: Fleet) -> None:
    unharmed(endure(fleet, FAULTS["kill-9"]))


def test_a_power_cut_of_the_primary_loses_nothing_and_the_old_primary_comes_back_as_a_replica(
    fleet: Fleet,
) -> None:
    before = fleet.member("leader")
    unharmed(endure(fleet, FAULTS["power-cut"]))
    assert fleet.member("leader") != before


def test_a_primary_that_is_cut_off_and_comes_back_keeps_no_second_truth(fleet: Fleet) -> None:
    before = fleet.member("leader")
    unharmed(endure(fleet, FAULTS["partition"]))
    assert fleet.member("leader") != before


def test_without_its_synchronous_standby_the_primary_takes_the_other_and_writes_go_on(fleet: Fleet) -> None:
    before = fleet.member("leader")
    unharmed(endure(fleet, FAULTS["replica"]))
    assert fleet.member("leader") == before


def test_a_silent_leader_of_etcd_is_replaced_and_the_database_serves_on(fleet: Fleet) -> None:
    unharmed(endure(fleet, FAULTS["etcd"]))
