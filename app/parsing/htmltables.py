"""Rows of an HTML table, unless it only arranges a page."""

from __future__ import annotations

import re
from collections.abc import Callable

from lxml import etree

from app.parsing.xmltools import Element, whole

_BREAKS_TEXT = """
    br p div li tr td th table ul ol h1 h2 h3 h4 h5 h6 dd dt
"""
_BREAKS = frozenset(_BREAKS_TEXT.split())
_MOST_SPAN = 100
_MOST_COLUMNS = 400
_LONG_CELL = 1500
# In accounts the currency and the closing bracket stand in columns of their own.
_OPENING = re.compile(r"[$€£¥(]+|\(?[A-Z]{3}")
_CLOSING = re.compile(r"[)%]+")

Hidden = Callable[[Element], bool]


def table_rows(table: Element, hidden: Hidden) -> list[list[str]] | None:
    """Return the cells' text by rows, or None for a table that is there for the layout.

    That is one with tables inside, with a single cell in every row, or with whole passages in its cells.
    """
    if next(table.iterdescendants("table"), None) is not None:
        return None
    rows = [_cells(row, hidden) for row in table.iter("tr") if not hidden(row)]
    rows = [row for row in rows if any(row)]
    if max((sum(map(bool, row)) for row in rows), default=0) < 2:
        return None
    filled = [cell for row in rows for cell in row if cell]
    if sum(map(len, filled)) > _LONG_CELL * len(filled):
        return None
    return _without_sign_columns(rows)


def _cells(row: Element, hidden: Hidden) -> list[str]:
    cells: list[str] = []
    for cell in row.iterchildren("td", "th"):
        text = "" if hidden(cell) else _text(cell, hidden)
        width = min(whole(cell.get("colspan"), 1), _MOST_SPAN)
        cells.extend([text] + [""] * (width - 1))
        if len(cells) > _MOST_COLUMNS:
            break
    return cells


def _text(element: Element, hidden: Hidden) -> str:
    pieces: list[str] = []
    walker = etree.iterwalk(element, events=("start", "end"))
    for event, node in walker:
        if event == "start":
            if hidden(node) and node is not element:
                walker.skip_subtree()
                continue
            if node.tag in _BREAKS:
                pieces.append(" ")
            pieces.append(node.text or "")
        elif node is not element:
            pieces.append((" " if node.tag in _BREAKS else "") + (node.tail or ""))
    return " ".join("".join(pieces).split())


def _without_sign_columns(rows: list[list[str]]) -> list[list[str]]:
    """Put cells that are only a currency sign before the number they belong to, closing signs behind it."""
    width = max(map(len, rows))
    rows = [row + [""] * (width - len(row)) for row in rows]
    for column in range(width - 1):
        if _only_signs(rows, column, column + 1, _OPENING):
            for row in rows:
                row[column + 1], row[column] = row[column] + row[column + 1], ""
    for column in range(1, width):
        target = next((c for c in range(column - 1, 0, -1) if any(row[c] for row in rows)), 0)
        if target and _only_signs(rows, column, target, _CLOSING):
            for row in rows:
                row[target], row[column] = row[target] + row[column], ""
    return rows


def _only_signs(rows: list[list[str]], column: int, number: int, signs: re.Pattern[str]) -> bool:
    """True if every cell of ``column`` with a neighbour in ``number`` is a sign, and some are."""
    beside = [row[column] for row in rows if row[column] and row[number]]
    return bool(beside) and all(signs.fullmatch(text) for text in beside)
