"""Hosts that are taken out of the balancer by hand."""

from __future__ import annotations

import time

from tests.fleet.fleet import Fleet
from tests.fleet.releases import DRAINED, begun, refused, wait_for_file
from tests.fleet.used import all_answered

SECONDS = 900
CA = "/etc/knowledge-assistant/tls/knowledge-assistant/ca.crt"


def test_a_drained_host_stays_out_over_a_restart_until_it_is_let_in(fleet: Fleet) -> None:
    fleet.play("drain", "-e", "traffic_host=api1")
    try:
        fleet.output("api1", "systemctl restart assistant-api.service")
        assert "No other API host serves" in refused(fleet, "drain", "-e", "traffic_host=api2")
        with all_answered(fleet):
            time.sleep(3)
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
