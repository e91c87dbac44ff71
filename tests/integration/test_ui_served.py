"""The UI as the service serves it: whole without the internet, and no obstacle to stopping."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.running import Service, environment, serving

DRAIN = 60  # seconds that open requests may take; far more than the test waits


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[Service]:
    settings = {"KA_SERVER__UI": "true", "KA_SERVER__DRAIN_SECONDS": str(DRAIN)}
    data = tmp_path_factory.mktemp("ui") / "data"
    with serving(data, environment(model_dir, settings)) as running:
        yield running


def test_the_page_loads_nothing_from_elsewhere(service: Service) -> None:
    page = service.request("GET", "/").raise_for_status().text
    loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]*?(?:src|href)=["']?(https?:[^"' >]+)""", page)
    assert [address for address in loaded if not address.startswith(service.url)] == []
    assert "Knowledge assistant" in page
    assert '"analytics_enabled":false' in page.replace(" ", "")


def test_the_api_answers_beside_the_ui(service: Service) -> None:
    assert service.get("/knowledge-bases")[0]["name"] == "default"
    missing = service.request("GET", "/api/v1/knowledge-bases/none")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")


@pytest.fixture
def no_default(service: Service) -> Iterator[None]:
    """The knowledge base that the page shows at first has gone."""
    service.request("DELETE", "/api/v1/knowledge-bases/default").raise_for_status()
    yield
    service.make("default")


@pytest.mark.usefixtures("no_default")
def test_what_goes_wrong_in_the_ui_is_told_with_the_id_of_the_request(service: Service) -> None:
    """The page's own protocol: a question, and what is shown of its answer."""
    config = service.request("GET", "/config").raise_for_status().json()
    box = next(one["id"] for one in config["components"] if one["props"].get("elem_id") == "question-box")
    asking = next(one for one in config["dependencies"] if [box, "submit"] in one["targets"])
    name = "0d1c8c6e-7d4f-4a58-9df3-7a1c52e1f2aa"
    event = {"data": ["Why?", "default", None], "fn_index": asking["id"], "session_hash": "a-session"}
    service.request("POST", "/gradio_api/queue/join", json=event, headers={"X-Request-Id": name})
    shown = service.request("GET", "/gradio_api/queue/data", params={"session_hash": "a-session"}).text
    assert "There is no knowledge base" in shown
    assert f"(Request {name})" in shown


def test_files_go_to_the_api_and_nowhere_else(service: Service) -> None:
    answer = service.request("POST", "/gradio_api/upload", files={"files": ("a.txt", b"some bytes")})
    assert answer.status_code >= 400


def test_an_open_page_does_not_hold_up_a_stop(service: Service) -> None:
    with (
        httpx.Client(base_url=service.url, trust_env=False, timeout=DRAIN) as client,
        client.stream("GET", "/gradio_api/heartbeat/a-page") as page,
    ):
        alive = page.iter_lines()
        assert next(alive) == "data: ALIVE"
        started = time.monotonic()
        assert service.main.stop(seconds=DRAIN / 2) == 0
        assert time.monotonic() - started < DRAIN / 2
    assert "Traceback" not in service.main.told()
