"""What site.yml does with a fleet's Prometheus: it waits for what is read, and takes in settings."""

from __future__ import annotations

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.prometheus import down, wait
from tests.lab.errors import LabError

SECONDS = 300


def test_site_ends_with_the_name_of_a_service_that_cannot_be_read(fleet: Fleet) -> None:
    fleet.output("objects1", "systemctl stop metrics")
    try:
        wait(lambda: bool(down(fleet)))
        with pytest.raises(LabError, match=r"node of objects1: .*connection refused"):
            fleet.play("site", "--tags", "prometheus", "-e", "prometheus_patience=1")
    finally:
        fleet.output("objects1", "systemctl start metrics")
    wait(lambda: not down(fleet))


def test_new_settings_are_taken_in_without_a_restart(fleet: Fleet) -> None:
    pid = fleet.output("monitoring1", "systemctl show -P MainPID prometheus")
    played = fleet.play("site", "--tags", "prometheus", "-e", "prometheus_interval=14")
    assert played.changed["monitoring1"] == 2, "written, and reloaded"
    assert fleet.play("site", "--tags", "prometheus").changed["monitoring1"] == 2, "and back"
    assert fleet.output("monitoring1", "systemctl show -P MainPID prometheus") == pid
