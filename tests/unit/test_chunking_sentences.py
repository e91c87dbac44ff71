"""Sentences end where a reader would say."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chunking.sentences import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    "expected",
    [
        ["Dr. Smith came by train, e.g. from Rome.", "He paid 3.50 dollars."],
        ["J. R. R. Tolkien wrote it.", "Nobody else did."],
        ["Das gilt z. B. am 3. Oktober.", "Es war 1999.", "Danach nicht mehr."],
        ["Tea, milk, etc. are sold.", "Sugar, salt, etc.", "Nothing else."],
        ['"Is it true?" he asked.', "She nodded!", "And then...", "Nothing."],
        ["See section 4.2.1 and www.example.org for more.", "It helps."],
        ["Version 2.0 is out.", "(It works.)", "[1] Use it."],
        ["¿Qué hora es?", "Son las tres.", "El Sr. López llegó."],
        ["Il est arrivé vers 8 h.", "Mme. Dupont aussi."],
    ],
)
def test_sentences_of_european_languages(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize(
    "expected",
    [
        ["今天天气很好。", "我们去公园吧！", "好吗？", "“是的。”", "走"],
        ["これはペンです。", "「本当ですか？」", "はい"],
        ["यह एक वाक्य है।", "यह दूसरा है।"],
        ["هل هذا صحيح؟", "نعم"],
    ],
)
def test_sentences_of_other_scripts(expected: list[str]) -> None:
    separator = " " if expected[0][0] in "यه" else ""
    assert sentences(separator.join(expected)) == expected


def test_wrapped_lines_are_inside_sentences() -> None:
    text = (
        "The committee met on the first day of the month and decided that the budget of\n"
        "the coming year will be larger. It was a long meeting, and nobody had an easy time\n"
        "with it."
    )
    assert sentences(text) == [text[:110], text[111:]]


def test_headings_items_and_rows_are_sentences_of_their_own() -> None:
    items = "- Rent goes\n  up fast\n- Power"
    text = f"# Costs\nThey rise.\n{items}\n\n| Year | Sum |\n| --- | --- |\n| 2024 | 1. 5 |\nEnd"
    assert sentences(text) == [
        "# Costs", "They rise.", "- Rent goes\n  up fast", "- Power", "| Year | Sum |", "| --- | --- |",
        "| 2024 | 1. 5 |", "End",
    ]  # fmt: skip


def test_a_short_line_before_a_capital_is_a_heading_in_a_pdf() -> None:
    text = (
        "Introduction\nThis line is as wide as the lines of a page are, and it flows over to the\n"
        "next one without a break.\nMethods\n"
        "Again a line that is as wide as the lines of the page, and\nit ends."
    )
    assert [s for s in sentences(text) if len(s) < 20] == ["Introduction", "Methods"]


def test_only_the_part_asked_for_is_looked_at() -> None:
    text = "One is here. Two is here. Three is here."
    assert sentence_spans(text, 13, 25) == [(13, 25)]
    assert sentence_spans(text, 0, 0) == []


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet=st.one_of(st.sampled_from("aB1.!?。 \n\n#|-*\"'(e.g"), st.characters()), max_size=300)
)
def test_sentences_cover_everything_in_order(text: str) -> None:
    last = 0
    for start, end in sentence_spans(text):
        assert last <= start < end
        assert text[start:end] == text[start:end].strip()
        assert not text[last:start].strip()
        last = end
    assert not text[last:].strip()


@pytest.mark.parametrize(
    "piece", ["a. ", "word ", ".", "\n", "| a ", "- x\n", "。", "Dr. ", "a" * 100 + "\n", '."']
)
def test_time_grows_with_the_length_only(piece: str) -> None:
    started = time.process_time()
    sentence_spans(piece * (300_000 // len(piece)))
    assert time.process_time() - started < 3
