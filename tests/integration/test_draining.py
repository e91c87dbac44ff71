"""A service behind a load balancer: it says that it will stop, serves until that was noticed, then stops."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.running import Service, environment, serving, wait_until

NOTICE = 3.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[Service]:
    settings = {"KA_SERVER__NOTICE_SECONDS": str(NOTICE), "KA_LOG__FORMAT": "json"}
    folder = tmp_path_factory.mktemp("draining")
    with serving(folder / "data", environment(model_dir, settings), options=["--workers", "0"]) as service:
        yield service


def test_a_request_keeps_the_id_that_the_load_balancer_gave_it(service: Service) -> None:
    name = "0d1c8c6e-7d4f-4a58-9df3-7a1c52e1f2aa"
    answer = service.request("GET", "/api/v1/knowledge-bases", headers={"X-Request-Id": name})
    assert answer.headers["x-request-id"] == name
    lost = service.request("GET", "/readyz", headers={"X-Request-Id": 'odd"id'})
    assert lost.headers["x-request-id"] != 'odd"id'


def test_it_serves_until_the_load_balancer_has_noticed_that_it_will_stop(service: Service) -> None:
    name = "11111111-2222-3333-4444-555555555555"
    with httpx.Client(base_url=service.url, timeout=10, trust_env=False) as kept:
        assert kept.get("/version").headers.get("connection") != "close"
        service.main.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        wait_until(lambda: kept.get("/readyz").status_code == 503, 1, "/readyz to tell")
        kept.get("/readyz", headers={"X-Request-Id": name})
        # the headers of all answers are made anew once a second
        wait_until(lambda: kept.get("/version").headers.get("connection") == "close", 2, "connections to end")
        while time.monotonic() < began + NOTICE - 0.5:
            assert kept.get("/version").is_success
            time.sleep(0.1)
    assert service.main.process.wait(20) == 0
    lines = [json.loads(line) for line in service.main.told().splitlines() if line.startswith("{")]
    assert [line for line in lines if line.get("request") == name and "/readyz" in line["message"]]


@contextmanager
def long_drained(folder: Path, model_dir: Path) -> Iterator[Service]:
    """A service that somebody has drained an hour ago."""
    wish = folder / "drained" / "operator"
    wish.parent.mkdir()
    wish.touch()
    os.utime(wish, (time.time() - 3600,) * 2)
    settings = {"KA_SERVER__NOTICE_SECONDS": str(NOTICE), "KA_SERVER__DRAIN_FOLDER": str(wish.parent)}
    with serving(folder / "data", environment(model_dir, settings), options=["--workers", "0"]) as service:
        yield service


def answers(service: Service) -> bool:
    """Whether it takes requests."""
    try:
        return service.request("GET", "/version").is_success
    except httpx.TransportError:
        return False


def test_it_stops_at_once_when_load_balancers_have_long_been_told(tmp_path: Path, model_dir: Path) -> None:
    with long_drained(tmp_path, model_dir) as service:
        wait_until(lambda: idle_seconds(service) > 1, 10, "nobody to ask any more")
        service.main.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not answers(service), NOTICE - 0.5, "it to take nothing more")
        assert service.main.process.wait(20) == 0


def test_it_serves_on_when_requests_come_although_it_is_drained(tmp_path: Path, model_dir: Path) -> None:
    with long_drained(tmp_path, model_dir) as service:
        assert answers(service)
        service.main.process.send_signal(signal.SIGTERM)
        time.sleep(NOTICE / 2)
        assert answers(service)
        assert service.main.process.wait(20) == 0


def idle_seconds(service: Service) -> float:
    """For how long it has had nothing to do, as it says itself."""
    return float(service.request("GET", "/readyz").json()["idle_seconds"])
