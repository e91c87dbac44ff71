"""Deploys that die, meet, or lose a host; and hosts that are taken out by hand."""

from __future__ import annotations

import time

from tests.fleet.fleet import Fleet
from tests.fleet.releases import (
    DRAINED,
    MEMORY,
    Releases,
    answers_as,
    begun,
    kill,
    refused,
    running,
    wait_for_file,
)
from tests.fleet.test_balancer import visits
from tests.fleet.test_deploy import from_base, releases
from tests.load.outcome import Outcomes

__all__ = ["from_base", "releases"]
SECONDS = 900
CA = "/etc/knowledge-assistant/tls/knowledge-assistant/ca.crt"


def test_a_deploy_that_dies_in_the_middle_is_cleared_up_by_the_next(fleet: Fleet, releases: Releases) -> None:
    with visits(fleet) as load:
        with begun(fleet, "deploy", *releases.options("good")) as process:
            wait_for_file(fleet, "api1", f"{DRAINED}/rollout", 120)
            kill(process)
        time.sleep(10)
        played = fleet.play("deploy", *releases.options("good"))
    assert "did not end it" in played.output
    assert running(fleet) == {releases.path("good")}
    assert not fleet.output("api1", f"ls {DRAINED} {MEMORY}/lock 2> /dev/null || :")
    outcomes = Outcomes(load.outcomes)
    assert outcomes.share_ok() == 1, outcomes.troubles()


def test_a_deploy_that_dies_in_the_middle_can_be_taken_back(fleet: Fleet, releases: Releases) -> None:
    with begun(fleet, "deploy", *releases.options("good")) as process:
        wait_for_file(fleet, "api1", f"{DRAINED}/rollout", 120)
        time.sleep(3)
        kill(process)
    fleet.play("rollback", "-e", f"rollout_to={releases.path('base')}")
    assert running(fleet) == {releases.path("base")}


def test_of_two_deploys_at_once_the_second_is_told_whose_turn_it_is(fleet: Fleet, releases: Releases) -> None:
    with begun(fleet, "deploy", *releases.options("good")) as process:
        wait_for_file(fleet, "api1", f"{MEMORY}/lock", 120)
        word = refused(fleet, "deploy", *releases.options("better"))
        assert "has it since" in word
        assert releases.path("good") in word
        assert process.wait(400) == 0
    assert running(fleet) == {releases.path("good")}


def test_a_host_lost_in_the_middle_is_named_and_the_same_deploy_goes_on_later(
    fleet: Fleet, releases: Releases
) -> None:
    with visits(fleet) as load:
        with begun(fleet, "deploy", *releases.options("good")) as process:
            wait_for_file(fleet, "api2", f"{DRAINED}/rollout", 300)
            fleet.lab.kill("api2")
            assert process.wait(400) != 0
        assert answers_as(fleet, "api1") == releases.path("good")
        fleet.lab.start("api2")
        fleet.play("deploy", *releases.options("good"))
    assert running(fleet) == {releases.path("good")}
    outcomes = Outcomes(load.outcomes)
    assert outcomes.share_ok() > 0.99, outcomes.troubles()


def test_a_drained_host_stays_out_over_a_restart_until_it_is_let_in(fleet: Fleet) -> None:
    fleet.play("drain", "-e", "traffic_host=api1")
    try:
        fleet.output("api1", "systemctl restart assistant-api.service")
        assert "No other API host serves" in refused(fleet, "drain", "-e", "traffic_host=api2")
        with visits(fleet, 20) as load:
            time.sleep(3)
        outcomes = Outcomes(load.outcomes)
        assert outcomes.share_ok() == 1, outcomes.troubles()
        count = 'journalctl -u haproxy -o cat --since -3s | grep -c \'"host":"api1"\' || :'
        assert fleet.output("balancer1", count) == "0"
    finally:
        fleet.play("resume", "-e", "traffic_host=api1")
    assert (
        fleet.output(
            "api1", f"curl -sS -o /dev/null -w '%{{http_code}}' --cacert {CA} https://api1:8443/readyz"
        )
        == "200"
    )


def test_a_stream_in_flight_survives_the_drain(fleet: Fleet) -> None:
    """The events of a job that nobody works on yet; its end comes while the host is being drained."""
    workers = "systemctl {} assistant-worker@1.service"
    hosts = fleet.hosts("api")
    for host in hosts:
        fleet.output(host, workers.format("stop"))
    try:
        base = "https://api1:8443/api/v1"
        curl = f"curl -sS --cacert {CA}"
        fleet.output("api1", "echo The key of the boathouse hangs behind the door. > /tmp/key.txt")
        made = fleet.output("api1", f"{curl} -F file=@/tmp/key.txt {base}/knowledge-bases/default/documents")
        job = made.partition('"job_id":')[2].partition(",")[0].strip()
        fleet.output("api1", f"({curl} -N {base}/jobs/{job}/events > /tmp/events 2>&1 &)")
        with begun(fleet, "drain", "-e", "traffic_host=api1", "-e", "traffic_seconds=60") as process:
            wait_for_file(fleet, "api1", f"{DRAINED}/operator", 120)
            time.sleep(6)
            assert process.poll() is None
            fleet.output("api2", workers.format("start"))
            assert process.wait(120) == 0
        assert "event: done" in fleet.output("api1", "cat /tmp/events")
    finally:
        for host in hosts:
            fleet.output(host, workers.format("start"))
        fleet.play("resume", "-e", "traffic_host=api1")
