"""What the UI shows: everything escaped, the cited words marked, and nothing left unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.answering.events import Citation, Cited, Degraded, Done, Kind, Restarted, Sources, Token
from app.retrieval.passage import Passage
from app.stores.documents import STATES, Document, State
from app.ui.render import answer as answers
from app.ui.render import documents, passage
from app.ui.render.answer import Turn
from app.ui.render.text import esc, notice, place, plural, size

ID = UUID("0a0f0000-0000-4000-8000-000000000001")
HOSTILE = "<script>alert(1)</script>\"><img src=x onerror=alert(2)> ' & {{value}} ${value} \x00\u202e"
TEXTS = st.text(st.sampled_from("ab <>&\"'|#-*•1.\n\r\\`[]\u202eäü漢"), max_size=400)


class Parsed(HTMLParser):
    """Tags, attributes and text of some HTML, and the text inside of ``<mark>``."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.marked = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "not all tags are closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"br", "input", "path"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "mark" in self._open:
            self.marked += data


def squeezed(text: str) -> str:
    return "".join(text.split())


def is_harmless(html: str) -> bool:
    parsed = Parsed(html)
    return not {"script", "img"} & set(parsed.tags) and not any(
        n.startswith("on") for n, _ in parsed.attributes
    )


def citation(number: int = 1, page: int = 3, name: str = "manual.pdf", quote: str = "60 percent") -> Citation:
    return Citation(number, ID, name, page, "page", "Battery", 10, 10 + len(quote), quote)


def passage_of(page: int) -> Passage:
    return Passage(page, ID, "manual.pdf", page, "page", None, 0, 5, "", "words")


def done(kind: Kind = "generated", text: str = "Text. [1]", dropped: int = 0, *whys: Degraded) -> Done:
    return Done(kind, text, (citation(),) if kind != "refused" else (), dropped, whys, 0.25)


def document(state: State = "ready", **changes: object) -> Document:
    now = datetime(2026, 1, 22, tzinfo=UTC)
    whole = Document(
        id=ID,
        knowledge_base_id=1,
        knowledge_base="default",
        name="manual.pdf",
        version=1,
        sha256="0" * 64,
        size_bytes=1_400_000,
        language=None,
        state=state,
        message=None,
        pages=4,
        parsed=True,
        chunks_done=5,
        chunks_total=10,
        job_id=None,
        created_at=now,
        updated_at=now,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # any field may be changed


@given(TEXTS)
@settings(deadline=None, max_examples=100)
def test_text_comes_back_from_html_as_it_was(text: str) -> None:
    kept = text.replace("\u202e", "")
    assert Parsed(f"<p>{esc(text)}</p>").text == kept
    assert Parsed(f'<p title="{esc(text)}"></p>').attributes == [("title", kept)]


@given(st.text(st.sampled_from("ab <>&\"'\n."), min_size=1, max_size=400), st.data())
@settings(deadline=None, max_examples=150)
def test_exactly_the_cited_words_are_marked(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    around = data.draw(st.sampled_from([0, 20, 900]))
    parsed = Parsed(passage.page(text, start, end, around))
    assert squeezed(parsed.marked) == squeezed(text[start:end])
    assert squeezed(parsed.text.strip("…")) in squeezed(text)


@given(TEXTS, st.integers(0, 400), st.integers(0, 400))
@settings(deadline=None, max_examples=150)
def test_any_page_with_any_span_is_sound_html_of_few_tags(text: str, start: int, end: int) -> None:
    parsed = Parsed(passage.page(text, start, end, 50))
    assert set(parsed.tags) <= {"p", "br", "mark", "h3", "div", "table", "tr", "td"}


@given(TEXTS)
@settings(deadline=None, max_examples=100)
def test_any_answer_text_is_sound_html_of_few_tags(text: str) -> None:
    parsed = Parsed(answers.markdown(text, {1: "<b>1</b>"}))
    assert set(parsed.tags) <= {"p", "br", "ul", "ol", "li", "strong", "code", "b"}


def test_a_row_of_a_table_is_marked_cell_by_cell() -> None:
    text = "# Codes\n\n| Code | Meaning |\n| --- | --- |\n| E07 | too hot |\n| E12 | no signal |"
    start = text.index("| E07")
    parsed = Parsed(passage.page(text, start, text.index("\n", start)))
    assert parsed.tags.count("tr") == 3
    assert parsed.tags.count("td") == 6
    assert squeezed(parsed.marked) == "E07toohot"
    assert "---" not in parsed.text


def test_a_long_page_is_cut_around_the_mark_at_whole_words() -> None:
    text = "word " * 2000 + "the cited words " + "more " * 2000
    start = text.index("the cited")
    html = passage.page(text, start, start + 15)
    assert len(html) < 2500
    parsed = Parsed(html)
    assert parsed.text.startswith("…word ")
    assert parsed.text.endswith(" more…")
    assert parsed.marked == "the cited words"


def test_lines_broken_by_the_margin_flow_and_others_stay() -> None:
    wide = "a line that goes from margin to margin, as lines of a page do"
    html = passage.page(f"Title\n{wide}\n{wide}\nend", 0, 5)
    assert html == f"<p><mark>Title</mark><br>{wide} {wide} end</p>"


def test_a_page_that_is_gone_is_told() -> None:
    assert "removed or replaced" in passage.page(None, 0, 5)


def test_nothing_from_documents_or_people_becomes_markup() -> None:
    turn = Turn(1, HOSTILE).after(Cited(citation(name=HOSTILE))).after(Token(f"{HOSTILE} [1]"))
    pages: Mapping[tuple[object, int], str | None] = {(ID, 3): HOSTILE}
    assert is_harmless(answers.answer(turn))
    assert is_harmless(answers.sheets(turn, pages))
    assert is_harmless(answers.earlier([(turn, "")]))
    counts: dict[State, int] = {"damaged": 1}
    one = document("damaged", name=HOSTILE, message=HOSTILE)
    assert is_harmless(documents.listing([one], counts, "all"))
    assert is_harmless(documents.suggestions([HOSTILE]))
    assert is_harmless(documents.dropzone(HOSTILE))
    assert is_harmless(notice(HOSTILE, HOSTILE))


def test_a_citation_is_a_button_that_opens_its_panel() -> None:
    turn = Turn(4, "Why?").after(Cited(citation())).after(Token("Store it at 60 percent [1], not full [2]."))
    shown, panels = (
        Parsed(answers.answer(turn)),
        Parsed(answers.sheets(turn, {(ID, 3): "x" * 10 + "60 percent"})),
    )
    assert ("popovertarget", "source-4-1") in shown.attributes
    assert ("id", "source-4-1") in panels.attributes
    assert panels.marked == "60 percent"
    assert ("href", f"/api/v1/documents/{ID}/content") in panels.attributes
    assert "[2]" in shown.text, "a number without a citation stays text"
    assert ("aria-label", "Source 1: manual.pdf, page 3 · Battery") in shown.attributes


def test_places_on_one_page_share_a_row_of_the_sources() -> None:
    turn = Turn(1, "Why?", text="A [1] b [2] c [3].")
    for one in (citation(1), citation(2), citation(3, page=4)):
        turn = turn.after(Cited(one))
    assert answers.answer(turn).count('class="source"') == 2


def test_a_restart_takes_back_what_was_shown_and_says_why() -> None:
    why = Degraded("llm_broke", "The language model broke off.")
    turn = Turn(1, "Why?").after(Cited(citation())).after(Token("Half an ans")).after(Restarted(why))
    assert turn.text == ""
    assert not turn.citations
    assert "Half" not in answers.answer(turn)
    assert "The language model broke off." in answers.answer(turn)


@pytest.mark.parametrize(("kind", "word"), [("extractive", "Extract"), ("generated", "Answer")])
def test_an_answer_says_what_it_is(kind: Kind, word: str) -> None:
    html = answers.answer(Turn(1, "Why?").after(done(kind)))
    assert f"<strong>{word}</strong>" in html
    assert "0.2 s" in html


def test_what_was_missing_and_what_was_dropped_is_told() -> None:
    why = Degraded("index_unavailable", "Passages were found by their words alone.")
    html = answers.answer(Turn(1, "Why?").after(done("generated", "Text.", 2, why)))
    assert "Passages were found by their words alone." in html
    assert "2 citations did not pass the check and were dropped." in html


def test_a_refusal_offers_the_closest_passages_and_cites_nothing() -> None:
    turn = Turn(1, "Why?").after(Sources(tuple(passage_of(n) for n in range(1, 6))))
    turn = turn.after(done("refused", "The documents don't say."))
    parsed = Parsed(answers.answer(turn))
    assert "The documents don't say." in parsed.text
    assert [number for number in (1, 2, 3, 4) if f"page {number}" in parsed.text] == [1, 2, 3]
    assert answers.sheets(turn, {}).count("<section") == 3


def test_an_answer_that_is_not_complete_looks_so() -> None:
    turn = Turn(1, "Why?")
    assert 'aria-busy="true"' in answers.answer(turn)
    assert "Looking through the documents" in answers.answer(turn)
    assert 'aria-busy="false"' in answers.answer(turn.after(done()))
    assert "You stopped this answer" in answers.answer(replace(turn, stopped=True))
    faulty = answers.answer(replace(turn, fault=("The database cannot be reached.", "Try again.")))
    assert "The database cannot be reached." in faulty
    assert "caret" not in faulty


def test_lists_and_emphasis_of_an_answer_are_shown() -> None:
    html = answers.markdown(
        "# Care\nTwo things:\n- **air** [1]\n- oil\n\n1. `ride`\n2. rest", {1: "<b>1</b>"}
    )
    assert html == (
        "<p><strong>Care</strong></p><p>Two things:</p><ul><li><strong>air</strong> <b>1</b></li>"
        "<li>oil</li></ul><ol><li><code>ride</code></li><li>rest</li></ol>"
    )


def test_each_state_has_a_word_of_its_own() -> None:
    assert set(documents.WORDS) == set(STATES)
    assert len(set(documents.WORDS.values())) == len(STATES)


def test_a_document_in_work_shows_how_far_it_is() -> None:
    html = documents.listing([document("indexing")], {"indexing": 1}, "all")
    assert 'aria-valuenow="55"' in html
    assert "Indexing" in html
    assert 'data-act="retry"' not in html


def test_an_unreadable_document_shows_its_advice_and_can_be_tried_again() -> None:
    one = document("damaged", message="The file is damaged. Save it again.", pages=0)
    html = documents.listing([one], {"damaged": 1, "ready": 3}, "unreadable")
    assert "The file is damaged. Save it again." in html
    assert 'data-act="retry"' in html
    assert 'data-filter="unreadable" aria-pressed="true"' in html
    assert Parsed(html).text.startswith("All 4Ready 3Not readable 1")


def test_more_documents_than_shown_can_be_asked_for() -> None:
    html = documents.listing([document()], {"ready": 120}, "all")
    assert "Show more of 120 documents" in html
    assert "Show more" not in documents.listing([document()], {"ready": 1}, "all")
    assert documents.listing([], {}, "all") == ""


@pytest.mark.parametrize(
    ("name", "pages", "told"),
    [
        ("a.pdf", 1, "1 page"),
        ("a.PPTX", 6, "6 slides"),
        ("a.xlsx", 2, "2 sheets"),
        ("a.md", 1, ""),
        ("a.eml", 2, "2 parts"),
    ],
)
def test_length_is_told_in_what_a_document_is_made_of(name: str, pages: int, told: str) -> None:
    text = Parsed(documents.listing([document(name=name, pages=pages)], {"ready": 1}, "all")).text
    assert f"{told} · 1.4 MB" in text if told else "page" not in text.split(name)[1]


def test_the_summary_tells_what_answers_and_what_does_not() -> None:
    text = Parsed(documents.summary({"ready": 1, "queued": 2, "damaged": 1})).text
    assert text == "1 document ready · 2 documents being read · 1 could not be read"
    assert documents.summary({}) == ""


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_400, "1.4 kB"), (999_600, "1.0 MB"), (250_000_000, "250 MB")],
)
def test_sizes_are_told_for_people(count: int, told: str) -> None:
    assert size(count) == told


def test_places_and_counts_are_told_for_people() -> None:
    assert place("slide", 2, "Key figures") == "slide 2 · Key figures"
    assert place("part", 1, None) == ""
    assert place("part", 2, "b.txt") == "part 2 · b.txt"
    assert (plural(1, "page"), plural(12_000, "page")) == ("1 page", "12,000 pages")
