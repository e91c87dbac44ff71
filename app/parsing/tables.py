"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app.parsing.cleaning import one_line

Row = Sequence[str]


def cell(text: str) -> str:
    """One cell's text on a line, with the bar escaped."""
    return one_line(text).replace("|", "\\|")


def line(row: Row) -> str:
    """One row as Markdown; the cells must have gone through ``cell``."""
    return "| " + " | ".join(row) + " |"


def separator(width: int) -> str:
    """The line between the header row and the others."""
    return "|" + " --- |" * width


def markdown_table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table, the first as its header, without empty rows and columns.

    A table that has only one column becomes lines of text; one without text becomes an empty text.
    """
    cleaned = [[cell(text) for text in row] for row in rows]
    cleaned = [row for row in cleaned if any(row)]
    width = max((len(row) for row in cleaned), default=0)
    filled = [index for index in range(width) if any(index < len(row) and row[index] for row in cleaned)]
    cleaned = [[row[index] if index < len(row) else "" for index in filled] for row in cleaned]
    if len(filled) < 2:
        return "\n".join(row[0] for row in cleaned)
    return "\n".join([line(cleaned[0]), separator(len(filled)), *(line(row) for row in cleaned[1:])])


def table_parts(header: Row, rows: Iterable[Row], size: int) -> Iterator[str]:
    """Yield a long table as Markdown tables of about ``size`` characters, each with the header row.

    ``rows`` is read as it is needed; rows wider than the header keep their further cells.
    """
    head = [cell(text) for text in header]
    top = [line(head), separator(len(head))] if head else []
    lines, length = list(top), sum(map(len, top))
    for row in rows:
        text = line([cell(value) for value in row] + [""] * (len(head) - len(row)))
        if length + len(text) > size and len(lines) > len(top):
            yield "\n".join(lines)
            lines, length = list(top), sum(map(len, top))
        lines.append(text)
        length += len(text) + 1
    if len(lines) > len(top) or any(head):
        yield "\n".join(lines)
