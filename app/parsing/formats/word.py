"""Word (DOCX): headings, lists, tables, notes, comments, headers and footers; pages where the file tells
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.parsing.cleaning import one_line
from app.parsing.detect import Kind
from app.parsing.model import Limits, Page
from app.parsing.opc import Package, package
from app.parsing.parts import split_parts
from app.parsing.source import Source
from app.parsing.tables import markdown_table
from app.parsing.wordstyles import Numbering, Styles
from app.parsing.wordtext import BREAK, RENDERED, read
from app.parsing.xmltools import Element, attribute, child, local, text_of, whole

_WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"})
_NOTE_PARTS = {"footnote": "footnotes", "endnote": "endnotes", "comment": "comments"}
_MOST_COLUMNS = 64
# Longer pages show that the author's own breaks are not all page breaks of the document.
_LONGEST_OWN_PAGE = 8_000


def accepts(_source: Source, kind: Kind) -> bool:
    """Documents and templates of Word since 2007."""
    return kind is Kind.DOCX


def pages(source: Source, _limits: Limits) -> Iterator[Page]:
    """Yield the pages that Word laid out when it last saved, else those the author's page breaks make.

    A document without either is given in parts. Raises: Damaged, PasswordNeeded, TooLarge.
    """
    with package(source) as parts:
        document = _Document(parts)
        texts = document.pages()
        title = document.title()
    if document.paged(texts):
        for number, text in enumerate(texts, start=1):
            yield Page(number=number, kind="page", title=title, text=text)
    else:
        for number, text in enumerate(split_parts(text + "\n\n" for text in texts), start=1):
            yield Page(number=number, kind="part", title=title, text=text)


@dataclass
class _Sheet:
    """What is collected of one page."""

    blocks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join(self.blocks + self.notes).strip("\n")


class _Document:
    """One pass over the body, collecting text page by page."""

    def __init__(self, parts: Package) -> None:
        self._parts = parts
        self._main = parts.main()
        self._root = parts.xml(self._main)
        self._styles = Styles(parts.optional(parts.first(self._main, "styles")))
        self._numbering = Numbering.of(parts.optional(parts.first(self._main, "numbering")))
        self._notes = {kind: self._note_texts(part) for kind, part in _NOTE_PARTS.items()}
        self._sheets = [_Sheet()]
        self._rendered = 0
        self._just_broken = False

    def pages(self) -> list[str]:
        """Return the text of each page; headers stand before the first, footers after it."""
        header, footer = self._margins("header"), self._margins("footer")
        body = child(self._root, "body")
        if body is not None:
            self._blocks(body)
        texts = [sheet.text() for sheet in self._sheets]
        texts[0] = "\n\n".join(filter(None, [*header, texts[0], *footer]))
        return texts

    def paged(self, texts: list[str]) -> bool:
        """True if ``texts`` are pages that a reader would count the same."""
        return bool(self._rendered) or (len(texts) > 1 and max(map(len, texts)) <= _LONGEST_OWN_PAGE)

    def title(self) -> str | None:
        """The title in the document's properties."""
        root = self._parts.optional(self._parts.first("", "core-properties"))
        return one_line(text_of(child(root, "title"))) or None

    def _margins(self, kind: str) -> list[str]:
        """The texts of all headers or footers, each once."""
        found: dict[str, None] = {}
        for part in self._parts.related(self._main, kind):
            root = self._parts.optional(part)
            if root is not None:
                found.setdefault(self._plain(root))
        # a page number alone says nothing
        return [text for text in found if text and not text.isdigit()]

    def _note_texts(self, kind: str) -> dict[str, str]:
        root = self._parts.optional(self._parts.first(self._main, kind))
        texts: dict[str, str] = {}
        for note in root if root is not None else ():
            if attribute(note, "type") in {None, "normal"}:
                author = attribute(note, "author")
                said = f"{author}: " if author else ""
                texts[attribute(note, "id") or ""] = said + one_line(self._plain(note))
        return texts

    def _plain(self, root: Element) -> str:
        """Text of a part that has no pages: a header, a note, a cell."""
        lines: list[str] = []
        for element in root.iter("{*}p"):
            text = read(element).text.replace(BREAK, " ").replace(RENDERED, " ").strip()
            if text:
                lines.append(text)
        return "\n".join(lines)

    def _blocks(self, parent: Element) -> None:
        for element in parent:
            name = local(element)
            if name == "p":
                self._paragraph(element)
            elif name == "tbl":
                self._table(element)
            elif name in _WRAPPERS:
                self._blocks(element)

    def _paragraph(self, paragraph: Element) -> None:
        found = read(paragraph)
        if child(paragraph, "pPr", "pageBreakBefore") is not None and self._sheets[-1].blocks:
            self._break_page(rendered=False)
        prefix, tight = self._prefix(paragraph, found.text)
        rest = found.text
        while rest:
            cut = next((i for i, char in enumerate(rest) if char in {BREAK, RENDERED}), len(rest))
            text = rest[:cut].strip()
            if text:
                heading = prefix.startswith("#")
                self._add(prefix + (one_line(text) if heading else text), tight=tight)
                prefix = ""
            if cut < len(rest):
                self._break_page(rendered=rest[cut] == RENDERED)
            rest = rest[cut + 1 :]
        self._add_notes(found.notes)
        for box in found.boxes:
            self._blocks(box)

    def _prefix(self, paragraph: Element, text: str) -> tuple[str, bool]:
        """What stands before the paragraph's text, and whether it follows the one before closely."""
        if not text.strip(BREAK + RENDERED + " \n"):
            return "", False
        level = self._styles.heading_level(paragraph)
        listed = self._styles.numbering(paragraph)
        label = self._numbering.label(*listed) if listed else ""
        if level:
            return "#" * level + " " + (f"{label} " if label not in {"", "-"} else ""), False
        if listed:
            return "  " * listed[1] + label + " ", True
        return "", False

    def _add(self, block: str, *, tight: bool = False) -> None:
        blocks = self._sheets[-1].blocks
        if tight and blocks and blocks[-1] == "":
            blocks.pop()
        blocks.extend([block, ""])
        self._just_broken = False

    def _add_notes(self, notes: list[tuple[str, str]]) -> None:
        for kind, number in notes:
            text = self._notes[kind].get(number)
            if text:
                mark = f"[^{number}]: " if kind != "comment" else "Comment by "
                self._sheets[-1].notes.append(mark + text)

    def _break_page(self, *, rendered: bool) -> None:
        self._rendered += rendered
        # Word notes its own break again where the author's break has just begun a page.
        if not (rendered and self._just_broken):
            self._sheets.append(_Sheet())
            self._just_broken = not rendered

    def _table(self, table: Element) -> None:
        rows: list[list[str]] = []
        for row in _rows(table):
            cells, before, after = self._row(row)
            if before and rows:
                self._add(markdown_table(rows))
                rows = rows[:1]
            for rendered in before:
                self._break_page(rendered=rendered)
            rows.append(cells)
            if after:
                self._add(markdown_table(rows))
                rows = rows[:1]
                for rendered in after:
                    self._break_page(rendered=rendered)
        if rows:
            self._add(markdown_table(rows))

    def _row(self, row: Element) -> tuple[list[str], list[bool], list[bool]]:
        """The row's cells, and the page breaks before and in it: True for those that Word noted."""
        cells: list[str] = []
        before: list[bool] = []
        after: list[bool] = []
        for cell in _cells(row):
            texts = [read(paragraph) for paragraph in cell.iter("{*}p")]
            text = "\n".join(found.text for found in texts)
            for index, char in enumerate(text):
                if char in {BREAK, RENDERED}:
                    (after if text[:index].strip(BREAK + RENDERED + " \n") else before).append(
                        char == RENDERED
                    )
            for found in texts:
                self._add_notes(found.notes)
            merged = child(cell, "tcPr", "vMerge")
            goes_on = merged is not None and attribute(merged, "val") in {None, "continue"}
            span = child(cell, "tcPr", "gridSpan")
            width = whole(attribute(span, "val") if span is not None else None, 1)
            cells.append("" if goes_on else text.replace(BREAK, " ").replace(RENDERED, " "))
            cells.extend([""] * (min(width, _MOST_COLUMNS) - 1))
        return cells, before[:1], after[:1]


def _rows(table: Element) -> Iterator[Element]:
    for element in table:
        if local(element) == "tr":
            yield element
        elif local(element) in _WRAPPERS:
            yield from _rows(element)


def _cells(row: Element) -> Iterator[Element]:
    for element in row:
        if local(element) == "tc":
            yield element
        elif local(element) in _WRAPPERS:
            yield from _cells(element)
