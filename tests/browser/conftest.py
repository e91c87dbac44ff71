"""A real service with the UI, and pages of a real browser that look at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.fakes.openai_chat import FakeChat
from tests.support.running import Service, environment, serving

# Chromium as root and without a network: no sandbox, and nothing that calls home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 20_000  # milliseconds
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def llm() -> Iterator[FakeChat]:
    """The language model of the service; its ``behaviour`` can be changed."""
    with FakeChat("error") as chat:
        yield chat


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, model_dir: Path, llm: FakeChat) -> Iterator[Service]:
    """The service, stopped at the end."""
    settings = {"KA_SERVER__UI": "true", "KA_LLM__BASE_URL": llm.base_url, "KA_LLM__MODEL": "fake"}
    data = tmp_path_factory.mktemp("browser") / "data"
    with serving(data, environment(model_dir, settings)) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser. It ends with its module: while it is open, no test of another may run an event loop."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def requests() -> list[str]:
    """Addresses that the pages of this test asked for."""
    return []


@pytest.fixture
def open_page(chromium: Browser, service: Service, llm: FakeChat, requests: list[str]) -> Iterator[Open]:
    """Opens the UI in a window of a size; no page may have an error of its scripts."""
    llm.behaviour = "error"
    errors: list[str] = []
    contexts = []

    def open_one(width: int = 1366, height: int = 800, *, dark: bool = False) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(service.url)
        page.locator("#question-box textarea").wait_for()
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []
