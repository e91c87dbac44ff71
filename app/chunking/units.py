"""The pieces a page is made of, none larger than a chunk, each with the strength of the border before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from app.chunking.sentences import sentence_spans

# Gives, for a start, an end and a number of tokens, the furthest cut with at most so many tokens.
Cuts = Callable[[int, int, int], int]

_HEADING = re.compile(r"[ \t]{0,3}(#{1,6})[ \t]+\S")
_ROW = re.compile(r"[ \t]*\|")
_SEPARATOR = re.compile(r"[ \t]*\|[ \t:|-]+$")
_FENCE = re.compile(r"[ \t]*(?:```|~~~)")
# Where a unit that is too long may be cut, best first: after cell or clause, then after a word.
_CUTS = (re.compile(r"[;,:，、；：|]\s*"), re.compile(r"\s+"))
# A word piece tokenizer sees any longer word as one unknown token; text without blanks must not grow for
# ever.
CHARACTERS_PER_TOKEN = 12


class Border(Enum):
    """How good it is to cut before a unit; higher is better."""

    PIECE = 0
    SENTENCE = 1
    ROW = 2
    PARAGRAPH = 3
    HEADING = 4


@dataclass(frozen=True, slots=True)
class Unit:
    """A span that is packed whole; ``level`` 1 to 6 for a heading, else 0; ``table`` the span of its header
    row.
    """

    start: int
    end: int
    border: Border
    level: int = 0
    table: tuple[int, int] | None = None


def units(text: str, cuts: Cuts, max_tokens: int) -> list[Unit]:
    """Return the units of a page in order; together they cover all that is not white space."""
    return [piece for unit in _whole(text) for piece in _bounded(text, unit, cuts, max_tokens)]


def _whole(text: str) -> Iterator[Unit]:
    previous_end = 0
    table: tuple[int, int] | None = None
    rows = 0
    fenced = False
    for start, end in sentence_spans(text):
        gap = text.count("\n", previous_end, start)
        previous_end = end
        is_row = bool(_ROW.match(text, start, end))
        table = (table if table and gap < 2 else (start, end)) if is_row else None
        rows = rows + 1 if is_row and table != (start, end) else int(is_row)
        if _FENCE.match(text, start, end):
            fenced = not fenced
        heading = None if fenced else _HEADING.match(text, start, end)
        yield Unit(
            start=start,
            end=end,
            border=_border(bool(heading), gap, rows, text[start:end] if 0 < rows <= 2 else ""),
            level=len(heading[1]) if heading else 0,
            table=table,
        )


def _border(heading: bool, gap: int, rows: int, row: str) -> Border:
    if heading:
        return Border.HEADING
    # The line of dashes stays with the header row above it.
    if rows == 2 and _SEPARATOR.match(row):
        return Border.PIECE
    if gap >= 2 or rows == 1:
        return Border.PARAGRAPH
    if rows:
        return Border.ROW
    return Border.SENTENCE


def _bounded(text: str, unit: Unit, cuts: Cuts, max_tokens: int) -> Iterator[Unit]:
    """The unit itself, or pieces of it that each fit into a chunk."""
    start, border, level = unit.start, unit.border, unit.level
    most = max_tokens * CHARACTERS_PER_TOKEN
    while start < unit.end:
        end = min(cuts(start, unit.end, max_tokens), start + most)
        if end < unit.end:
            end = _good_cut(text, start, end)
        stop = end
        while stop > start and text[stop - 1].isspace():
            stop -= 1
        if stop > start:
            yield Unit(start, stop, border, level, unit.table)
            border, level = Border.PIECE, 0
        start = end
        while start < unit.end and text[start].isspace():
            start += 1


def _good_cut(text: str, start: int, end: int) -> int:
    """The last place to cut in the second half of ``[start, end)``, or ``end`` if there is none."""
    for kind in _CUTS:
        places = [found.end() for found in kind.finditer(text, start + (end - start) // 2, end)]
        if places:
            return places[-1]
    return end
