"""Services run with what is written for them, whatever became of the run that wrote it; nobody notices."""

from __future__ import annotations

import time

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.used import visits
from tests.lab.errors import LabError
from tests.load.outcome import Outcomes

SECONDS = 600
API, WORKER = "assistant-api.service", "assistant-worker@1.service"


def pid(fleet: Fleet, host: str, unit: str) -> str:
    return fleet.output(host, f"systemctl show --property MainPID --value {unit}")


def test_a_run_that_ended_between_writing_and_restarting_is_made_good_by_the_next(fleet: Fleet) -> None:
    before = {unit: pid(fleet, "api1", unit) for unit in (API, WORKER)}
    fleet.output("api1", "touch /etc/knowledge-assistant/config.toml")
    played = fleet.play("site", "--tags", "assistant", "--limit", "api")
    assert played.changed["api1"] == 2, played.output
    assert played.changed["api2"] == 0, played.output
    assert all(pid(fleet, "api1", unit) != old for unit, old in before.items())
    assert not any(fleet.play("site", "--tags", "assistant", "--limit", "api").changed.values())


def test_what_concerns_the_api_alone_leaves_the_workers_alone(fleet: Fleet) -> None:
    before = {unit: pid(fleet, "api1", unit) for unit in (API, WORKER)}
    try:
        name = '{"assistant_names": ["assistant.example"]}'
        fleet.play("site", "--tags", "assistant", "--limit", "api", "-e", name)
        assert pid(fleet, "api1", WORKER) == before[WORKER]
        assert pid(fleet, "api1", API) != before[API]
    finally:
        fleet.play("site", "--tags", "assistant", "--limit", "api")


def test_new_settings_of_the_api_fail_no_request(fleet: Fleet) -> None:
    with visits(fleet) as load:
        time.sleep(2)
        for host in fleet.hosts("api"):
            fleet.output(host, f"touch -c /etc/systemd/system/{API}")
        fleet.play("site", "--tags", "assistant", "--limit", "api")
        time.sleep(2)
    assert Outcomes(load.outcomes).share_ok() == 1, Outcomes(load.outcomes).troubles()


def test_an_api_that_does_not_start_stops_the_run_before_the_next_host(fleet: Fleet) -> None:
    before = {host: pid(fleet, host, API) for host in fleet.hosts("api")}
    with pytest.raises(LabError) as told:
        fleet.play("site", "--tags", "assistant", "--limit", "api", "-e", "assistant_connections=0")
    assert API in str(told.value)
    try:
        assert any(pid(fleet, host, API) == old for host, old in before.items())
    finally:
        fleet.play("site", "--tags", "assistant", "--limit", "api")
        fleet.wait_whole(60)
