"""The model's text is taken apart in the same way however it arrives."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.answering.stream import REFUSAL, Marker, MarkerParser, Part, Refusal
from app.answering.thoughts import ThoughtFilter

PIECES = st.sampled_from(
    [
        "It is so",
        " ",
        "\n\n",
        ". ",
        "[",
        "]",
        '[1: "its own words"]',
        "[2]",
        "[1, 3]",
        '[1: "a [sic] b"]',
        "【2】",
        "[see below]",
        "[2024]",
        REFUSAL,
        REFUSAL[:7],
        "N",
        '"',
        "[1: never closed",
    ]
)


def parse(*pieces: str) -> list[Part]:
    parser = MarkerParser()
    parts = [part for piece in pieces for part in parser.feed(piece)] + parser.end()
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('[1: "exact words"]', [(1, "exact words")]),
        ("[2]", [(2, None)]),
        ("[1, 2]", [(1, None), (2, None)]),
        ("[1 and 2]", [(1, None), (2, None)]),
        ("[Source 3]", [(3, None)]),
        ("[12: „genau so“]", [(12, "genau so")]),
        ("【1】", [(1, None)]),
        ("[1：“原文”]".replace("：", ":"), [(1, "原文")]),
        ('[1: "a", 2: "b"]', [(1, "a"), (2, "b")]),
        ('[1: "he said \\"yes\\" [sic] twice"]', [(1, 'he said \\"yes\\" [sic] twice')]),
        ("[1: words without marks]", [(1, "words without marks")]),
        ('[1: "ends with a stop".]', [(1, "ends with a stop")]),
    ],
)
def test_the_forms_that_models_give_their_citations_are_understood(
    text: str, items: list[tuple[int, str | None]]
) -> None:
    assert parse(f"So {text}.") == ["So", Marker(" ", tuple(items)), "."]


@pytest.mark.parametrize(
    "text", ["[see below]", "[2024]", "a[i] = b[j]", "[]", "[ ]", "1] [x", "NOT_IN_SIGHT"]
)
def test_other_brackets_are_left_alone(text: str) -> None:
    assert parse(text) == [text]


@pytest.mark.parametrize("text", ['[1: "its begin', "[1: its begin", "[1", "[1:", '[Source 2: "x'])
def test_a_marker_that_never_ends_is_broken_and_not_shown(text: str) -> None:
    assert parse("So ", text) == ["So", Marker(" ", ())]


def test_an_endless_marker_is_given_up_and_the_text_goes_on() -> None:
    assert parse('So [1: "' + "x " * 3_000 + "\nGo on.") == ["So", Marker(" ", ()), "Go on."]


def test_the_refusal_is_recognised_in_any_pieces() -> None:
    for cut in range(len(REFUSAL) + 1):
        assert parse(REFUSAL[:cut], REFUSAL[cut:]) == [Refusal()]


def test_text_is_given_out_at_once_when_it_cannot_become_a_marker() -> None:
    assert MarkerParser().feed("Ten euros") == ["Ten euros"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<think>hm [1]</think>\n\nTen euros.", "Ten euros."),
        ("\n<think>never ends", ""),
        ("<thin air> is", "<thin air> is"),
        ("a <think>b</think>", "a <think>b</think>"),
        ("<thi", "<thi"),
    ],
)
def test_a_models_thoughts_before_its_answer_are_left_out(text: str, shown: str) -> None:
    for pieces in ([text], list(text)):
        thoughts = ThoughtFilter()
        assert "".join([*map(thoughts.feed, pieces), thoughts.end()]).lstrip() == shown


@settings(deadline=None, max_examples=150)
@given(st.lists(PIECES, max_size=8), st.data())
def test_where_the_text_is_cut_changes_nothing(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    bounds = [0, *cuts, len(text)]
    cut = [text[a:b] for a, b in itertools.pairwise(bounds)]
    assert parse(*cut) == parse(text) == parse(*text)


@settings(deadline=None, max_examples=150)
@given(st.lists(PIECES, max_size=8))
def test_neither_half_markers_nor_the_refusal_are_ever_shown(pieces: list[str]) -> None:
    shown = " ".join(part for part in parse(*pieces) if isinstance(part, str))
    assert REFUSAL not in shown
    assert "its own words" not in shown
    assert "never closed" not in shown
