"""The UI in a real browser on the real service, as people use it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.samples import QUESTIONS, files
from tests.browser.conftest import PATIENCE, Open
from tests.fakes.openai_chat import FakeChat
from tests.support.running import Service

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)
BATTERY = QUESTIONS[0]
HOSTILE = "<img src=x onerror=document.title='owned'> {{value}} ${document.title='owned'}"


def ask(page: Page, question: str) -> None:
    page.locator("#question-box textarea").fill(question)
    page.keyboard.press("Enter")


def new_base(page: Page, name: str) -> None:
    page.get_by_role("button", name="New", exact=True).click()
    page.get_by_label("Name of the new knowledge base").fill(name)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#base input")).to_have_value(name)


def upload(page: Page, *paths: Path) -> None:
    page.get_by_role("tab", name="Documents").click()
    page.locator("#drop input").set_input_files([str(path) for path in paths])


def load_samples(page: Page, service: Service) -> None:
    """The samples in the default knowledge base, whichever test comes first."""
    service.request("POST", "/api/v1/knowledge-bases/default/samples").raise_for_status()
    assert {one["state"] for one in service.settled()} == {"ready"}
    page.reload()
    expect(page.get_by_text(f"{len(files())} documents ready")).to_be_visible()


def no_overflow(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_from_an_empty_start_to_a_source_with_its_words_marked(open_page: Open, requests: list[str]) -> None:
    page = open_page()
    expect(page.get_by_role("heading", name="Ask your own documents")).to_be_visible()
    page.get_by_role("button", name="Load the sample documents").click()
    expect(page.get_by_text(f"{len(files())} documents ready")).to_be_visible()
    expect(page.get_by_role("heading", name="Ask your own documents")).to_be_hidden()

    page.get_by_role("tab", name="Documents").click()
    expect(page.locator("#listing .state.ready")).to_have_count(len(files()))
    page.get_by_role("tab", name="Ask").click()

    page.get_by_role("button", name=BATTERY.text).click()
    expect(page.locator("#current")).to_contain_text("Extract")
    expect(page.locator("#current")).to_contain_text("language model", ignore_case=True)
    page.locator("#current .chip").last.click()
    sheet = page.locator(".sheet:popover-open")
    expect(sheet.get_by_role("heading", name=BATTERY.document)).to_be_visible()
    expect(sheet).to_contain_text(f"Page {BATTERY.page}")
    expect(sheet.locator("mark").first).to_be_in_viewport()
    answer, source = page.locator("#current .turn").bounding_box(), sheet.bounding_box()
    assert answer
    assert source
    assert answer["x"] + answer["width"] <= source["x"], "the answer stays readable beside its source"
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)

    origin = page.url.rstrip("/")
    assert requests
    assert [url for url in requests if not url.startswith((origin, "data:", "blob:"))] == []


def test_the_document_can_be_downloaded_from_its_source(open_page: Open, service: Service) -> None:
    page = open_page()
    load_samples(page, service)
    ask(page, "What does error code E07 mean?")
    page.locator("#current .chip").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the document").click()
    assert download.value.path().read_bytes() == next(f for f in files() if f.suffix == ".pdf").read_bytes()


def test_an_answer_streams_in_and_can_be_stopped(open_page: Open, service: Service, llm: FakeChat) -> None:
    page = open_page()
    load_samples(page, service)
    llm.behaviour = "slow"
    llm.hung_up.clear()
    ask(page, BATTERY.text)
    answer = page.locator("#current .answer")
    expect(answer).to_contain_text(re.compile("bike|battery"))
    early = answer.inner_text()
    expect(answer).not_to_have_text(early)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("You stopped this answer")).to_be_visible()
    assert llm.hung_up.wait(10), "the language model was told to stop too"
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()


def test_a_dropped_citation_is_told_and_earlier_questions_stay(
    open_page: Open, service: Service, llm: FakeChat
) -> None:
    page = open_page()
    load_samples(page, service)
    ask(page, "Who won the football world cup of 1954?")
    expect(page.locator("#current .label")).to_be_visible()
    llm.behaviour = "wrong_quote"
    ask(page, "How many days of holiday do employees have?")
    expect(page.locator("#current")).to_contain_text("1 citation did not pass the check and was dropped.")
    earlier = page.locator("details.earlier")
    expect(earlier).to_have_count(1)
    earlier.locator("summary").click()
    expect(earlier.locator(".answer")).to_be_visible()


def test_a_damaged_file_shows_its_advice_and_can_be_deleted(open_page: Open, tmp_path: Path) -> None:
    broken, notes = tmp_path / "broken.docx", tmp_path / f"{HOSTILE.replace('/', '')}.txt"
    broken.write_bytes(b"PK\x03\x04" + b"nothing of an archive" * 50)
    notes.write_text(f"The room Aurora has 12 seats. {HOSTILE}\n" * 3, encoding="utf-8")
    page = open_page()
    new_base(page, "uploads")
    upload(page, broken, notes)
    row = page.locator("#listing li").filter(has_text="broken.docx")
    expect(row.locator(".state")).to_have_text("Damaged")
    expect(row).to_contain_text("save it again and upload the result")
    expect(page.locator("#listing .state.ready")).to_have_count(1)
    page.get_by_role("button", name="Not readable").click()
    expect(page.locator("#listing li")).to_have_count(1)
    page.get_by_role("button", name="Try again broken.docx").click()
    expect(row.locator(".state")).to_have_text("Damaged")

    page.get_by_role("button", name="Delete broken.docx").click()
    page.get_by_role("button", name="Keep").click()
    expect(row).to_have_count(1)
    page.get_by_role("button", name="Delete broken.docx").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(row).to_have_count(0)

    page.get_by_role("tab", name="Ask").click()
    ask(page, "How many seats has the room Aurora?")
    page.locator("#current .chip").first.click()
    expect(page.locator(".sheet:popover-open")).to_contain_text("${document.title='owned'}")
    assert "owned" not in page.title()


def test_a_refused_upload_says_why(open_page: Open, service: Service, tmp_path: Path) -> None:
    fine = tmp_path / "fine.txt"
    fine.write_text("Some text of a small document.", encoding="utf-8")
    page = open_page()
    new_base(page, "refused")
    # the same as a file that is too large, without sending 200 MB
    problem = {"title": "The upload is larger than 10 bytes.", "detail": "Split the document."}
    page.route("**/documents", lambda route: route.fulfill(status=413, json=problem))
    upload(page, fine)
    expect(page.locator(".uploads .failed")).to_contain_text("larger than 10 bytes. Split the document.")
    page.unroute("**/documents")
    upload(page, fine)
    expect(page.locator(".uploads .failed")).to_have_count(0)
    expect(page.locator("#listing .state.ready")).to_have_count(1)
    assert [one["name"] for one in service.documents("refused")] == ["fine.txt"]


def test_a_bad_name_for_a_knowledge_base_is_explained(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="New", exact=True).click()
    page.get_by_label("Name of the new knowledge base").fill("über/alles")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("cannot name a knowledge base")
    expect(page.get_by_label("Name of the new knowledge base")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(
    open_page: Open, service: Service, dark: bool
) -> None:
    page = open_page(390, 844, dark=dark)
    load_samples(page, service)
    assert no_overflow(page)
    ask(page, "What does a rain cover for the box cost?")
    page.locator("#current .chip").first.click()
    sheet = page.locator(".sheet:popover-open")
    expect(sheet).to_be_visible()
    assert no_overflow(page)
    assert page.evaluate("document.querySelector('.sheet:popover-open').scrollWidth") <= 390
    page.get_by_role("button", name="Close").locator("visible=true").click()
    page.get_by_role("tab", name="Documents").click()
    expect(page.locator("#listing li").first).to_be_visible()
    assert no_overflow(page)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(22, 26, 25)") is dark


def test_the_keyboard_is_enough(open_page: Open, service: Service) -> None:
    page = open_page()
    load_samples(page, service)
    page.locator("#question-box textarea").focus()
    page.keyboard.type("What does error code E07 mean?")
    page.keyboard.press("Enter")
    chip = page.locator("#current .chip").first
    expect(chip).to_be_enabled()
    chip.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".sheet:popover-open mark").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(chip).to_be_focused()
    unnamed = page.locator("button:visible").evaluate_all(
        "all => all.filter(b => !(b.innerText.trim() || b.getAttribute('aria-label'))).map(b => b.outerHTML)"
    )
    assert unnamed == []
