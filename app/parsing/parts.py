"""Unpaged text in parts of a size that can be shown and cited, cut at the best border there is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

PART_CHARACTERS = 12_000

_BORDERS = (
    re.compile(r"\n(?=#{1,6} )"),
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?。！？])\s"),
    re.compile(r"\s"),
)


def split_parts(pieces: Iterable[str], size: int = PART_CHARACTERS) -> Iterator[str]:
    """Join ``pieces`` of text and yield parts of at most ``size`` characters.

    Cuts fall before a heading, else between paragraphs, lines, sentences or words, and inside a word only
    when there is nothing else. The parts, one after the other, lose nothing but white space at the cuts. Only
    about one piece and one part are held at a time, so that a file larger than memory can be read.
    """
    waiting = ""
    for piece in pieces:
        waiting += piece
        start = 0
        while len(waiting) - start > size:
            cut = _best_cut(waiting, start, size)
            part = waiting[start:cut].strip()
            start = cut
            if part:
                yield part
        waiting = waiting[start:]
    if waiting.strip():
        yield waiting.strip()


def _best_cut(text: str, start: int, size: int) -> int:
    """Position of the last border of the best kind in the second half of ``size`` characters from
    ``start``.
    """
    for border in _BORDERS:
        cuts = [found.end() for found in border.finditer(text, start + size // 2, start + size)]
        if cuts:
            return cuts[-1]
    return start + size
