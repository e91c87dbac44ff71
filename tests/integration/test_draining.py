"""A service behind a load balancer: it says that it will stop, serves until that was noticed, then stops."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
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


def test_it_stops_at_once_when_load_balancers_have_long_been_told(tmp_path: Path, model_dir: Path) -> None:
    wish = tmp_path / "drained" / "operator"
    wish.parent.mkdir()
    wish.touch()
    os.utime(wish, (time.time() - 3600,) * 2)
    settings = {"KA_SERVER__NOTICE_SECONDS": "60", "KA_SERVER__DRAIN_FOLDER": str(wish.parent)}
    given = environment(model_dir, settings)
    with serving(tmp_path / "data", given, options=["--workers", "0"]) as service:
        service.main.process.send_signal(signal.SIGTERM)
        assert service.main.process.wait(30) == 0
