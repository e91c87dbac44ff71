"""site.yml on bare hosts, and again; then the assistant through the balancer, as people use it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from app.samples import QUESTIONS, files
from tests.browser.conftest import CHROMIUM, FLAGS, PATIENCE
from tests.fleet.fleet import Fleet
from tests.load import api
from tests.load.http import Client
from tests.load.outcome import Outcomes
from tests.load.workload import Workload

SECONDS = 300


@pytest.fixture
def page(fleet: Fleet) -> Iterator[Page]:
    """The assistant's page in a browser that knows the balancer by its name, with another's certificate."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    resolver = f"--host-resolver-rules=MAP balancer1 {fleet.lab.address('balancer1')}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, resolver])
        opened = browser.new_context(ignore_https_errors=True).new_page()
        opened.set_default_timeout(PATIENCE)
        opened.goto("https://balancer1/")
        yield opened
        browser.close()


async def load_samples(client: Client, knowledge_base: str) -> None:
    """The sample documents in a knowledge base, which is made if it isn't there; they are ready."""
    made = await client.post(api.ROOT, {"name": knowledge_base})
    assert made.status in {201, 409}, made.body
    taken = await client.post(f"{api.ROOT}/{knowledge_base}/samples", {})
    assert taken.status == 202, taken.body
    deadline = time.monotonic() + 120
    while {one["state"] for one in await api.documents(client, knowledge_base)} != {"ready"}:
        assert time.monotonic() < deadline, "the samples are not ready"
        await asyncio.sleep(0.5)


def test_a_second_run_of_site_changes_nothing_on_any_host(fleet: Fleet) -> None:
    fleet.wait_whole(60)
    played = fleet.play("site")
    assert set(played.changed) == set(fleet.lab.record().hosts)
    assert not any(played.changed.values()), played.output


def test_check_mode_reports_no_difference_on_the_running_fleet(fleet: Fleet) -> None:
    played = fleet.play("site", "--check", "--diff")
    assert not any(played.changed.values()), played.output


def test_verify_finds_nothing_wrong(fleet: Fleet) -> None:
    played = fleet.play("verify")
    assert not any(played.changed.values()), played.output


def test_documents_of_many_kinds_are_answered_with_their_pages_through_the_balancer(fleet: Fleet) -> None:
    name = f"samples-{secrets.token_hex(3)}"
    fleet.loop.run(load_samples(fleet.client, name))
    for question in QUESTIONS:
        event, answer = api.last_event(fleet.loop.run(api.ask(fleet.client, name, question.text)))
        assert event == "done", answer
        assert not answer["degraded"]
        pages = [(one["document"], one["page"]) for one in answer["citations"]]
        assert (question.document, question.page) in pages, answer["text"]


def test_uploads_are_kept_and_answered_while_others_ask(fleet: Fleet) -> None:
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare())
    with fleet.loop.load(workload.acts()) as load:
        time.sleep(10)
    outcomes = Outcomes(load.outcomes)
    assert not outcomes.troubles()
    assert fleet.loop.run(workload.ledger.audit(fleet.client, patience=60)).clean


def test_the_page_answers_with_its_source_through_the_balancer(fleet: Fleet, page: Page) -> None:
    fleet.loop.run(load_samples(fleet.client, "default"))
    page.reload()
    expect(page.get_by_text(f"{len(files())} documents ready")).to_be_visible(timeout=PATIENCE)
    page.locator("#question-box textarea").fill(QUESTIONS[0].text)
    page.keyboard.press("Enter")
    expect(page.locator("#current")).to_contain_text("Extract", timeout=PATIENCE)
    page.locator("#current .chip").last.click()
    source = page.locator(".sheet:popover-open")
    expect(source.get_by_role("heading", name=QUESTIONS[0].document)).to_be_visible(timeout=PATIENCE)
