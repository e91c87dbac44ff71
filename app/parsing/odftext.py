"""Text of OpenDocument content: paragraphs, headings, lists, tables and notes as Markdown blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lxml import etree

from app.parsing.cleaning import one_line
from app.parsing.tables import markdown_table
from app.parsing.xmltools import Element, attribute, child, children, local, whole

# Stands in the text where a page ends.
BREAK = "\x0c"

_SKIPPED_TEXT = """
    note annotation annotation-end tracked-changes table-of-content alphabetical-index ruby-text forms
    sequence-decls variable-decls user-field-decls shapes desc title object binary-data script
    event-listeners bibliography-mark
"""
_SKIPPED = frozenset(_SKIPPED_TEXT.split())
_MOST_REPEATED = 1_000
_MOST_COLUMNS = 500
_MOST_SPACES = 100


def inline(element: Element, boxes: list[Element] | None = None, notes: list[Element] | None = None) -> str:
    """The text of a paragraph; text boxes and notes in it go to the lists given."""
    pieces: list[str] = []
    walker = etree.iterwalk(element, events=("start", "end"))
    for event, node in walker:
        if event == "end":
            if node is not element:
                pieces.append(node.tail or "")
            continue
        name = local(node)
        if name in _SKIPPED or name == "text-box":
            target = boxes if name == "text-box" else notes if name in {"note", "annotation"} else None
            if target is not None:
                target.append(node)
            walker.skip_subtree()
            continue
        pieces.append(_sign(node, name))
        pieces.append(" ".join((node.text or "").split("\n")))
    return "".join(pieces)


def _sign(node: Element, name: str) -> str:
    if name == "s":
        return " " * min(repeated(node, "c"), _MOST_SPACES)
    return {"tab": " ", "line-break": "\n", "soft-page-break": BREAK}.get(name, "")


def repeated(node: Element, name: str) -> int:
    """The number in an attribute that counts repetitions; 1 when it is missing or no number."""
    return whole(attribute(node, name), 1)


def blocks(parent: Element, breaks_before: Callable[[Element], bool], depth: int = 0) -> Iterator[str]:
    """Yield the blocks beneath ``parent`` as Markdown; ``BREAK`` stands where a page ends.

    ``breaks_before`` tells whether a paragraph's style begins a new page.
    """
    for element in parent:
        name = local(element)
        if name in {"p", "h"}:
            if breaks_before(element):
                yield BREAK
            yield from _paragraph(element, name, breaks_before)
        elif name == "list":
            yield "\n".join(_items(element, depth)) + "\n\n"
        elif name == "table":
            yield from _table(element)
        elif name == "soft-page-break":
            yield BREAK
        elif name not in _SKIPPED:
            yield from blocks(element, breaks_before, depth)


def _paragraph(element: Element, name: str, breaks_before: Callable[[Element], bool]) -> Iterator[str]:
    boxes: list[Element] = []
    notes: list[Element] = []
    text = inline(element, boxes, notes).strip(" \n")
    if name == "h" and text.strip(BREAK):
        level = min(repeated(element, "outline-level"), 6)
        begins = BREAK if text.startswith(BREAK) else ""
        yield f"{begins}{'#' * level} {one_line(text.strip(BREAK))}\n\n"
    elif text:
        yield text + "\n\n"
    for note in notes:
        yield from _note(note)
    for box in boxes:
        yield from blocks(box, breaks_before)


def _note(note: Element) -> Iterator[str]:
    if local(note) == "annotation":
        author = child(note, "creator")
        said = " ".join(inline(paragraph) for paragraph in children(note, "p"))
        yield f"Comment by {inline(author) if author is not None else 'a reader'}: {one_line(said)}\n\n"
        return
    mark = child(note, "note-citation")
    body = child(note, "note-body")
    said = " ".join(inline(paragraph) for paragraph in children(body, "p"))
    yield f"[^{inline(mark) if mark is not None else ''}]: {one_line(said)}\n\n"


def _items(listed: Element, depth: int) -> Iterator[str]:
    """Lines of a list, those of lists inside it indented."""
    for item in listed:
        first = True
        for element in item:
            name = local(element)
            if name in {"p", "h"}:
                text = one_line(inline(element).replace(BREAK, " "))
                mark = "- " if first and local(item) == "list-item" else "  "
                first = False
                if text:
                    yield "  " * depth + mark + text
            elif name == "list":
                yield from _items(element, depth + 1)


def _table(table: Element) -> Iterator[str]:
    rows: list[list[str]] = []
    for row in _rows(table):
        if local(row) == "table-row":
            cells = row_cells(row)
            rows.extend([cells] * (row_times(row) if any(cells) else 0))
        elif rows:
            yield markdown_table(rows) + "\n\n" + BREAK
            rows = rows[:1]
    if rows:
        yield markdown_table(rows) + "\n\n"


def _rows(table: Element) -> Iterator[Element]:
    """Rows and page breaks of a table, not those of tables inside it."""
    for element in table:
        if local(element) in {"table-header-rows", "table-rows", "table-row-group"}:
            yield from _rows(element)
        elif local(element) in {"table-row", "soft-page-break"}:
            yield element


def row_cells(row: Element) -> list[str]:
    """Text of the cells of a row, repeated ones repeated, none at the end that are empty."""
    cells: list[str] = []
    for cell in row:
        if local(cell) not in {"table-cell", "covered-table-cell"}:
            continue
        paragraphs = (inline(paragraph).replace(BREAK, " ") for paragraph in cell.iter("{*}p", "{*}h"))
        text = one_line(" ".join(paragraphs))
        room = _MOST_COLUMNS - len(cells)
        cells.extend([text] * min(repeated(cell, "number-columns-repeated"), room))
    while cells and not cells[-1]:
        cells.pop()
    return cells


def row_times(row: Element) -> int:
    """How often a row stands there, within reason."""
    return min(repeated(row, "number-rows-repeated"), _MOST_REPEATED)
