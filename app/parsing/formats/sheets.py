"""Excel (XLSX): each sheet as Markdown tables of bounded size, with the header row repeated."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from typing import Any

import openpyxl

from app.parsing import archive
from app.parsing.detect import Kind
from app.parsing.model import Limits, Page
from app.parsing.parts import PART_CHARACTERS
from app.parsing.source import Source
from app.parsing.tables import table_parts

_MOST_COLUMNS = 500
_ROWS_LOOKED_AT = 200
_PERCENT = re.compile(r"0(?:\.(0+))?%")


def accepts(_source: Source, kind: Kind) -> bool:
    """Workbooks and templates of Excel since 2007."""
    return kind is Kind.XLSX


def pages(source: Source, _limits: Limits) -> Iterator[Page]:
    """Yield one page for each sheet, or several for a long one; values as last computed. Raises: Damaged."""
    with archive.opened(source):
        pass  # the sizes are checked before the library sees the file
    source.file.seek(0)
    with warnings.catch_warnings(action="ignore"):
        book = openpyxl.load_workbook(source.file, read_only=True, data_only=True, keep_links=False)
    number = 0
    with closing(book):
        for sheet in book.worksheets:
            for text in sheet_parts(_rows(sheet)):
                number += 1
                yield Page(number=number, kind="sheet", title=sheet.title, text=text)


def sheet_parts(rows: Iterable[list[str]]) -> Iterator[str]:
    """Yield a sheet's rows as texts: what stands above the table as lines, then the table in parts.

    The first row with at least two cells among those filled most is the header. Columns that are empty in all
    rows looked at are left out.
    """
    filled = (row for row in rows if any(row))
    first = list(islice(filled, _ROWS_LOOKED_AT))
    used = sorted({index for row in first for index, text in enumerate(row) if text.strip()})
    rest = (_columns(row, used) for row in chain(first, filled))
    above: list[str] = []
    header: list[str] | None = None
    for row in rest:
        if sum(map(bool, row)) >= 2 or len(used) < 2:
            header = row
            break
        above.append(" ".join(filter(None, row)))
    intro = "\n\n".join(above)
    tables = table_parts(header, rest, PART_CHARACTERS) if header else iter(())
    opening = next(tables, "")
    if intro or opening:
        yield "\n\n".join(filter(None, [intro, opening]))
    yield from tables


def _columns(row: list[str], used: list[int]) -> list[str]:
    """The cells of the columns in use, and any further ones that turn up later."""
    beyond = row[used[-1] + 1 :] if used else row
    return [row[index] if index < len(row) else "" for index in used] + [text for text in beyond if text]


def _rows(sheet: Any) -> Iterator[list[str]]:
    # The size a file claims may be wrong either way.
    sheet.reset_dimensions()
    for row in sheet.iter_rows(max_col=_MOST_COLUMNS):
        texts = [_text(cell) for cell in row]
        while texts and not texts[-1]:
            texts.pop()
        yield texts


def _text(cell: Any) -> str:
    value: object = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float | int):
        return _number(value, cell.number_format or "")
    return readable_time(value)


def _number(value: float, number_format: str) -> str:
    percent = _PERCENT.search(number_format)
    if percent:
        return f"{value * 100:.{len(percent[1] or '')}f}%"
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def readable_time(value: object) -> str:
    """A date without its midnight, anything else as it prints."""
    if isinstance(value, datetime.datetime):
        if value.time() == datetime.time():
            return value.date().isoformat()
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)
