"""A cited place: the page's text around it, with the cited words marked.

The stored text keeps headings, lists and tables as Markdown. It is shown line by line, every character where
the citation counts it, so that the marked words are exactly those that were checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from app.ui.render.text import esc, icon, place

AROUND = 900  # characters shown before and after the marked words
_FLOWS = 50  # a line at least so long, and nearly as long as the longest, was broken by the margin
_FULL = 0.78  # share of the longest line
_HEADING = re.compile(r"#{1,6}\s+")
_BULLET = re.compile(r"\s*[-*+•]\s+")
_RULE = re.compile(r"\|[\s:|-]+\|?\s*")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class View:
    """A page's text and the span in it that is marked, in characters."""

    text: str
    start: int
    end: int

    def piece(self, start: int, end: int) -> str:
        """``text[start:end]`` as HTML, what lies in the marked span inside ``<mark>``."""
        left, right = max(start, min(end, self.start)), min(end, max(start, self.end))
        if left >= right:
            return esc(self.text[start:end])
        before, marked, after = self.text[start:left], self.text[left:right], self.text[right:end]
        if not marked.strip():
            return esc(self.text[start:end])
        return f"{esc(before)}<mark>{esc(marked)}</mark>{esc(after)}"


def sheet(identity: str, document: str, document_id: object, where: str, body: str) -> str:
    """The panel that a source opens: name, place, text, and the way to the whole document."""
    return (
        f'<section popover class="sheet" id="{esc(identity)}" role="dialog" aria-label="{esc(document)}">'
        f"<header><div><h2>{esc(document)}</h2><p>{esc(where)}</p></div>"
        f'<button type="button" class="plain" popovertarget="{esc(identity)}" popovertargetaction="hide" '
        f'aria-label="Close">{icon("close")}</button></header>'
        f'<div class="page" dir="auto" tabindex="0">{body}</div>'
        f'<footer><a class="link" href="/api/v1/documents/{esc(document_id)}/content" download>'
        f"{icon('download')}Download the document</a></footer></section>"
    )


def where(kind: str, number: int, title: str | None) -> str:
    """The place as the heading of a panel."""
    text = place(kind, number, title)
    return text[:1].upper() + text[1:]


def page(text: str | None, start: int, end: int, around: int = AROUND) -> str:
    """The page around ``text[start:end]`` as HTML; a page that is gone is told so."""
    if text is None:
        return "<p>The document has been removed or replaced since.</p>"
    view = View(text, max(0, start), min(len(text), end))
    first, last = _window(text, view.start, view.end, around)
    body = "".join(_blocks(view, first, last))
    cut = '<p class="cut">…</p>'
    return (cut if first else "") + body + (cut if last < len(text) else "")


def _window(text: str, start: int, end: int, around: int) -> tuple[int, int]:
    """The span to show, widened or cut at the ends of lines or else of words."""
    first, last = max(0, start - around), min(len(text), end + around)
    if first:
        line = text.find("\n", first, start)
        space = text.find(" ", first, start)
        first = line + 1 if line >= 0 else space + 1 if space >= 0 else first
    if last < len(text):
        line = text.rfind("\n", end, last)
        space = text.rfind(" ", end, last)
        last = line if line >= 0 else space if space >= 0 else last
    return first, last


def _blocks(view: View, first: int, last: int) -> Iterator[str]:
    """Tables, headings, list items and paragraphs of a span, in order."""
    flowing = ""
    rows: list[str] = []
    lines = list(_lines(view.text, first, last))
    full = max(_FLOWS, _FULL * max(end - start for start, end in lines))
    for number, (start, end) in enumerate(lines):
        line = view.text[start:end]
        if line.lstrip().startswith("|"):
            yield from _paragraph(flowing)
            flowing = ""
            if not _RULE.fullmatch(line.strip()):
                rows.append(_row(view, start, end))
            continue
        yield from _table(rows)
        rows = []
        heading, bullet = _HEADING.match(line), _BULLET.match(line)
        if heading or bullet or not line.strip():
            yield from _paragraph(flowing)
            flowing = ""
        if heading:
            yield f"<h3>{view.piece(start + heading.end(), end)}</h3>"
        elif bullet:
            yield f'<p class="item">{view.piece(start + bullet.end(), end)}</p>'
        elif line.strip():
            following = lines[number + 1] if number + 1 < len(lines) else (0, 0)
            # after a whole sentence a short line is more likely a heading than the rest of a paragraph
            ends = line.rstrip().endswith((".", "!", "?", ":")) and following[1] - following[0] < full
            flowing += view.piece(start, end) + (" " if len(line) >= full and not ends else "<br>")
    yield from _table(rows)
    yield from _paragraph(flowing)


def _lines(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The span of each line, without what ends it."""
    start = first
    for line in text[first:last].split("\n"):
        yield start, start + len(line.rstrip("\r"))
        start += len(line) + 1


def _paragraph(flowing: str) -> Iterator[str]:
    if flowing:
        yield f"<p>{flowing.removesuffix('<br>').rstrip()}</p>"


def _table(rows: list[str]) -> Iterator[str]:
    if rows:
        yield f'<div class="table"><table>{"".join(rows)}</table></div>'


def _row(view: View, start: int, end: int) -> str:
    """A table's row; its cells lie between the bars."""
    bars = [start + bar.start() for bar in _CELL.finditer(view.text[start:end])]
    edges = bars if len(bars) > 1 and not view.text[bars[-1] + 1 : end].strip() else [*bars, end]
    cells = (view.piece(left + 1, right).strip() for left, right in pairwise(edges))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
