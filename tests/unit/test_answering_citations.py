"""Quotes are found where they stand, and nowhere else."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.answering.citations import find_quote, normalise

SAMPLE = """
the fee is ten 10 100 2.5 euros per Jahr Größe naïve officers ﬁrst well-known l'été don't 図書館は 8時
re-sign resign COVID-19 Straße x² 6½ ... – (see) Müller's
"""
WORDS = st.sampled_from(SAMPLE.split())
SPACES = st.sampled_from([" ", "  ", "\n", "\u00a0", " \n ", "\t"])


@st.composite
def pages(draw: st.DrawFn) -> str:
    words = draw(st.lists(WORDS, min_size=1, max_size=25))
    return "".join(word + draw(SPACES) for word in words).strip()


@pytest.mark.parametrize(
    ("page", "quote"),
    [
        ("A fee of 10 euros.", "a fee of 10 euros"),
        ("the exam-\nple is ﬁne — “really” good", 'the example is fine - "really" good'),
        ("in the years 1990–95 we", "years 1990-95"),
        ("Cafe\u0301 Noir", "Café Noir"),
        ("soft\u00adhyphen words", "softhyphen words"),
        ("a   b\n\nc d", "a b c d"),
        ("text\n- item one\n- item two", "item two"),
        ("图书馆每天早上八点开门，晚上十点关门。", "早上八点开门"),
        ("It cost 308 points, ranking sixth.", "It cost 308 points."),
        ("ＡＢＣ full width", "ABC full width"),
        ("– 10 the", "10  the"),
        ("the – 8", "the  –"),
    ],
)
def test_typography_does_not_hide_a_quote(page: str, quote: str) -> None:
    span = find_quote(page, quote)
    assert span is not None
    assert normalise(page[slice(*span)]) == normalise(quote)


@pytest.mark.parametrize(
    ("page", "quote"),
    [
        ("a fee of 100 euros", "a fee of 10"),
        ("a fee of 10.50 euros", "a fee of 10"),
        ("at -5 degrees", "5 degrees"),
        ("You can't smoke here", "You can"),
        ("the non-resident alien", "resident alien"),
        ("the non-\nresident alien", "resident alien"),
        ("an area of 10² units", "an area of 102 units"),
        ("0.5 apples and 5 apples.", ".5 apples and 6"),
        ("responsible for all", "response"),
        ("the café", "the cafe"),
        ("some words", ""),
        ("some words", "..."),
        ("a b c", "a"),
    ],
)
def test_words_that_differ_or_are_cut_are_not_found(page: str, quote: str) -> None:
    assert find_quote(page, quote) is None


def test_the_first_place_within_the_bounds_is_taken() -> None:
    page = "one word here. one word there. one word gone"
    assert find_quote(page, "one word", 10) == (15, 23)
    assert find_quote(page, "one word", 16, 30) is None


@settings(deadline=None, max_examples=150)
@given(page=pages(), data=st.data())
def test_every_span_found_says_the_same_as_its_quote(page: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(page)))
    quote = page[start : data.draw(st.integers(start, len(page)))]
    quote = data.draw(st.sampled_from([quote, quote.upper(), quote.title(), re.sub(r"\s+", " ", quote)]))
    span = find_quote(page, quote)
    if span is not None:
        assert normalise(page[slice(*span)]) == normalise(quote)


@settings(deadline=None, max_examples=150)
@given(words=st.lists(WORDS, min_size=1, max_size=12), before=pages(), after=pages(), data=st.data())
def test_words_of_a_page_are_found_however_they_are_spaced(
    words: list[str], before: str, after: str, data: st.DataObject
) -> None:
    page = f"{before} {data.draw(SPACES).join(words)} {after}"
    quote = data.draw(SPACES).join(words)
    assume(sum(c.isalnum() for c in normalise(quote)) >= 3)
    span = find_quote(page, quote)
    assert span is not None
    assert normalise(page[slice(*span)]) == normalise(quote)


@settings(deadline=None, max_examples=150)
@given(page=pages(), data=st.data(), other=st.sampled_from(["zebra", "77", "nicht", "犬"]))
@example(page="the fee is 10 euros", data=None, other="77")
def test_a_quote_with_a_changed_word_is_never_found(
    page: str, data: st.DataObject | None, other: str
) -> None:
    words = page.split()
    place = data.draw(st.integers(0, len(words) - 1)) if data else 3
    assume(any(c.isalnum() for c in words[place]))
    words[place] = other
    assert find_quote(page, " ".join(words)) is None


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60), st.text(max_size=20))
def test_any_text_at_all_can_be_searched(page: str, quote: str) -> None:
    span = find_quote(page, quote)
    assert span is None or normalise(page[slice(*span)]) == normalise(quote)
