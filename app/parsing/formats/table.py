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

_LONGEST_FIELD = 100_000
_MOST_LINES = 500


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
    rows = _rows(_lines(decoded(source, limits)), delimiter)
    for number, text in enumerate(sheet_parts(rows), start=1):
        yield Page(number=number, kind="part", title=None, text=text)


def _rows(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    """Rows of the table. A quote that is never closed is taken as a sign like any other."""
    taken: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    reader = csv.reader(remembered(), delimiter=delimiter)
    while True:
        taken.clear()
        try:
            row = next(reader, None)
        except csv.Error:
            row = []
        if row is None:
            return
        if row and len(taken) <= _MOST_LINES:
            yield row
        elif len("".join(taken)) > 1:
            yield from ([cell.rstrip("\n") for cell in line.split(delimiter)] for line in taken)
            reader = csv.reader(remembered(), delimiter=delimiter)


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
