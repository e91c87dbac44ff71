"""CSV and its relatives, whatever parts the cells."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from app.parsing.detect import Kind
from app.parsing.formats.plain import decoded
from app.parsing.formats.sheets import sheet_parts
from app.parsing.model import Limits, Page
from app.parsing.source import HEAD_BYTES, Source
from app.parsing.textkinds import delimiter_of

_LONGEST_FIELD = 1_000_000


def accepts(_source: Source, kind: Kind) -> bool:
    """Text in rows and cells."""
    return kind is Kind.CSV


def pages(source: Source, limits: Limits) -> Iterator[Page]:
    """Yield the table as Markdown in parts, each with the header row. Raises: TooLarge, Unsupported,
    Damaged.
    """
    head = next(decoded(source, limits), "")
    whole = source.size <= HEAD_BYTES
    delimiter = delimiter_of(head, whole, eager=True) or ","
    csv.field_size_limit(_LONGEST_FIELD)
    rows = csv.reader(_lines(decoded(source, limits)), delimiter=delimiter)
    for number, text in enumerate(sheet_parts(rows), start=1):
        yield Page(number=number, kind="part", title=None, text=text)


def _lines(blocks: Iterable[str]) -> Iterator[str]:
    """Lines with their ends, of text that comes in blocks."""
    waiting = ""
    for block in blocks:
        *lines, waiting = (waiting + block).split("\n")
        yield from (line + "\n" for line in lines)
        if len(waiting) > _LONGEST_FIELD:
            yield waiting
            waiting = ""
    if waiting:
        yield waiting
