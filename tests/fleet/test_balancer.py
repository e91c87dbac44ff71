"""The way in: fair to all, true to a browser, silent about what people ask, and never why a request fails."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx
import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.used import visits
from tests.load.outcome import Outcomes

SECONDS = 400
HAPROXY = "haproxy.service"
CA = "/etc/knowledge-assistant/tls/ca.crt"
RATE = 60  # requests in ten seconds, for the test of it
UPLOAD = 199 * 2**20  # bytes, one MiB below what the API takes


def logged(fleet: Fleet, request: str) -> dict[str, Any]:
    """The balancer's line about a request."""
    for _ in range(20):
        lines = fleet.output(
            "balancer1", f"journalctl --no-pager -o cat -u {HAPROXY} | grep -F '{request}' || :"
        )
        if lines:
            found: dict[str, Any] = json.loads(lines.splitlines()[-1])
            return found
        time.sleep(0.5)
    pytest.fail(f"the balancer has not logged {request}")


def host_of(fleet: Fleet, answer: httpx.Response) -> str:
    """Which API host has answered."""
    return str(logged(fleet, answer.headers["x-request-id"])["host"])


def test_who_asks_too_often_is_told_when_to_come_again_and_nobody_else_notices(
    fleet: Fleet, browser: httpx.Client
) -> None:
    try:
        fleet.play("site", "--tags", "balancer", "--limit", "balancer1", "-e", f"balancer_rate={RATE}")
        answers = [browser.get("/version") for _ in range(2 * RATE)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused, "all were served"
        assert refused[0].headers["content-type"] == "application/problem+json"
        assert int(refused[0].headers["retry-after"]) > 0
        assert refused[0].json()["code"] == "too-many-requests"
        name = refused[0].json()["request"]
        assert name == refused[0].headers["x-request-id"]
        assert logged(fleet, name)["status"] == 429
        other = f"curl -s -o /dev/null -w '%{{http_code}}' --cacert {CA} https://balancer1/version"
        assert fleet.output("api1", other) == "200"
    finally:
        fleet.play("site", "--tags", "balancer", "--limit", "balancer1")


def test_a_browser_stays_on_its_host_and_goes_on_with_the_other_when_that_is_lost(
    fleet: Fleet, browser: httpx.Client
) -> None:
    first = browser.get("/version")
    assert "KA_HOST" in browser.cookies
    host = host_of(fleet, first)
    assert {host_of(fleet, browser.get("/version")) for _ in range(6)} == {host}
    fleet.lab.kill(host)
    try:
        after = browser.get("/version")
        assert after.status_code == 200
        assert host_of(fleet, after) != host
    finally:
        fleet.lab.start(host)
        fleet.wait_whole(180)


def test_a_request_has_one_id_everywhere_and_no_log_holds_what_was_asked(
    fleet: Fleet, browser: httpx.Client
) -> None:
    claimed = {"X-Request-Id": "00000000-claimed-by-the-client"}
    answer = browser.get("/version?question=poisonous", headers=claimed)
    name = answer.headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f-]{36}", name)
    line = logged(fleet, name)
    assert (line["request"], line["path"], line["status"]) == (name, "/version", 200)
    for host in ("balancer1", *fleet.hosts("api")):
        assert fleet.output(host, "journalctl --no-pager | grep -cF poisonous || :") == "0", host


def test_an_error_on_our_side_is_found_in_the_log_of_the_api_by_the_id_in_its_answer(
    fleet: Fleet, browser: httpx.Client
) -> None:
    fleet.lab.run("objects1", "systemctl stop objects")
    try:
        answer = browser.post(
            "/api/v1/knowledge-bases/default/documents", files={"file": ("refused.txt", b"A sentence.")}
        )
    finally:
        fleet.lab.run("objects1", "systemctl start objects")
        fleet.wait_whole(60)
    assert answer.status_code == 503
    name = answer.headers["x-request-id"]
    journal = f"journalctl --no-pager -o cat -u assistant-api | grep -F {name} || :"
    assert any(fleet.output(host, journal) for host in fleet.hosts("api"))


def test_new_settings_of_the_balancer_cost_nobody_a_request(fleet: Fleet) -> None:
    with visits(fleet) as load:
        for _ in range(3):
            time.sleep(2)
            fleet.output("balancer1", f"systemctl reload {HAPROXY}")
        time.sleep(2)
    assert Outcomes(load.outcomes).share_ok() == 1, Outcomes(load.outcomes).troubles()


def test_a_restarted_balancer_is_back_within_seconds(fleet: Fleet, browser: httpx.Client) -> None:
    fleet.output("balancer1", f"systemctl restart {HAPROXY}")
    begun = time.monotonic()
    while True:
        try:
            if browser.get("/version").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() - begun < 10
        time.sleep(0.1)


def test_an_upload_near_the_limit_passes(fleet: Fleet, browser: httpx.Client) -> None:
    content = b"A long sentence about nothing at all. " * (UPLOAD // 38)
    answer = browser.post(
        "/api/v1/knowledge-bases/default/documents", files={"file": ("long.txt", content)}, timeout=300
    )
    assert answer.status_code in (200, 202), answer.text
    assert browser.delete(f"/api/v1/documents/{answer.json()['document']['id']}").status_code == 204


def test_a_stream_that_lasts_longer_than_any_silence_may_is_not_cut(browser: httpx.Client) -> None:
    session = f"stream-{time.time_ns()}"
    begun = time.monotonic()
    with browser.stream("GET", f"/gradio_api/heartbeat/{session}", timeout=60) as stream:
        for _ in stream.iter_raw():
            if time.monotonic() - begun > 75:  # the balancer's longest silence of a client is 60 s
                return
    pytest.fail(f"cut after {time.monotonic() - begun:.0f} s")
