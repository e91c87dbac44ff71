"""Chunks of a page: spans of its text, bounded in tokens, cut where the text itself has a border.

A page is taken apart into units (headings, table rows, list items, sentences; pieces of these where one alone
is too long). Units are then packed in order into chunks of at most ``max_tokens`` tokens. Where a chunk is
full it is closed at the strongest border in its second half, and the next chunk repeats up to
``overlap_tokens`` tokens of whole units, unless the cut is at a heading or inside a table.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from app.chunking.units import CHARACTERS_PER_TOKEN, Border, Unit, units

TokenSpans = Callable[[str], list[tuple[int, int]]]

LEAST_TOKENS = 8
# A heading closes the chunk before it only when that has some content of its own.
_HEADING_CLOSES_AT = 0.4
_LONGEST_TABLE_HEADER = 300


@dataclass(frozen=True, slots=True)
class Chunk:
    """The span ``page_text[start:end]``, the headings it stands under, outermost first, and its tokens.

    ``table_header`` is the header row of the table in whose middle the chunk begins, else an empty text.
    """

    start: int
    end: int
    headings: tuple[str, ...]
    tokens: int
    table_header: str = ""


@dataclass
class Chunker:
    """Cuts the pages of one document, one after the other, and carries headings from page to page.

    ``token_spans`` gives the spans of a text's tokens in order, without special tokens; it is called once for
    each page. Raises: ValueError for limits that leave no room.
    """

    token_spans: TokenSpans
    max_tokens: int = 200
    overlap_tokens: int = 30
    headings: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.max_tokens < LEAST_TOKENS:
            raise ValueError(f"max_tokens must be at least {LEAST_TOKENS}")
        if not 0 <= self.overlap_tokens <= self.max_tokens // 2:
            raise ValueError("overlap_tokens must be between 0 and half of max_tokens")

    def page(self, text: str) -> list[Chunk]:
        """Return the chunks of a page; none if it is blank. Every visible character is in at least one."""
        counter = _Counter(self.token_spans(text))
        found = units(text, counter.cuts, self.max_tokens)
        chunks: list[Chunk] = []
        first = 0
        done = 0  # units before this one are in a chunk
        known = 0  # headings of units before this one are in self.headings
        while done < len(found):
            last = self._last(found, first, done, counter)
            for unit in found[known : first + 1]:
                self._enter(unit, text)
            known = max(known, first + 1)
            start, end = found[first].start, found[last].end
            chunks.append(
                Chunk(start, end, self._path(), counter.count(start, end), _table_header(text, found[first]))
            )
            for unit in found[known : last + 1]:
                self._enter(unit, text)
            known, done = last + 1, last + 1
            first = self._overlap(found, first, done, counter)
        return chunks

    def _enter(self, unit: Unit, text: str) -> None:
        if unit.level:
            self.headings = [entry for entry in self.headings if entry[0] < unit.level]
            self.headings.append((unit.level, text[unit.start : unit.end].strip().lstrip("#").strip(" #")))

    def _path(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.headings if title)

    def _last(self, found: Sequence[Unit], first: int, done: int, counter: _Counter) -> int:
        """Index of the last unit of the chunk that begins with ``first`` and must reach ``done``."""
        start = found[first].start
        full = done
        while full + 1 < len(found) and self._fits(start, found[full + 1].end, counter):
            full += 1
            if self._heading_closes(found, first, full, counter):
                return full - 1
        if full + 1 >= len(found):
            return full
        return self._best_border(found, start, done, full, counter)

    def _fits(self, start: int, end: int, counter: _Counter) -> bool:
        if end - start > self.max_tokens * CHARACTERS_PER_TOKEN:
            return False
        return counter.count(start, end) <= self.max_tokens

    def _heading_closes(self, found: Sequence[Unit], first: int, index: int, counter: _Counter) -> bool:
        if found[index].border is not Border.HEADING or found[index - 1].level:
            return False
        return counter.count(found[first].start, found[index - 1].end) >= self.max_tokens * _HEADING_CLOSES_AT

    def _best_border(self, found: Sequence[Unit], start: int, done: int, full: int, counter: _Counter) -> int:
        """The unit at or before ``full`` after which the strongest border comes; late ones win ties."""
        best, strength = full, -1.0
        for index in range(full, done - 1, -1):
            filled = counter.count(start, found[index].end) / self.max_tokens
            if filled < 0.5 and strength >= 0:
                break
            # A heading belongs to what follows it.
            border = 0.0 if found[index].level else found[index + 1].border.value + filled
            if border > strength:
                best, strength = index, border
        return best

    def _overlap(self, found: Sequence[Unit], first: int, done: int, counter: _Counter) -> int:
        """First unit of the next chunk: ``done``, or some units earlier."""
        if done >= len(found) or found[done].border in {Border.HEADING, Border.ROW}:
            return done
        start = done
        while start - 1 > first and not found[start - 1].level:
            tokens = counter.count(found[start - 1].start, found[done - 1].end)
            fits = self._fits(found[start - 1].start, found[done].end, counter)
            if tokens > self.overlap_tokens or not fits:
                break
            start -= 1
        return start


def chunk_page(
    page_text: str,
    *,
    token_spans: TokenSpans,
    max_tokens: int = 200,
    overlap_tokens: int = 30,
    headings: Sequence[tuple[int, str]] = (),
) -> list[Chunk]:
    """Return the chunks of one page; ``headings`` (level, title) are those in force where it begins."""
    return Chunker(token_spans, max_tokens, overlap_tokens, list(headings)).page(page_text)


def _table_header(text: str, unit: Unit) -> str:
    if unit.table is None or unit.table[0] == unit.start:
        return ""
    header = text[unit.table[0] : unit.table[1]].strip()
    return header if len(header) <= _LONGEST_TABLE_HEADER else ""


class _Counter:
    """Counts the tokens that touch a span, by bisection."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        spans = [span for span in spans if span[0] < span[1]]
        self._starts = list(accumulate((start for start, _ in spans), max))
        self._ends = list(accumulate((end for _, end in spans), max))

    def count(self, start: int, end: int) -> int:
        """Number of tokens with a character in ``[start, end)``."""
        return max(0, bisect_left(self._starts, end) - bisect_right(self._ends, start))

    def cuts(self, start: int, end: int, most: int) -> int:
        """The furthest position up to ``end`` at which ``[start, position)`` has at most ``most`` tokens."""
        if self.count(start, end) <= most:
            return end
        index = bisect_right(self._ends, start) + most
        return max(start + 1, min(end, self._starts[index]))
