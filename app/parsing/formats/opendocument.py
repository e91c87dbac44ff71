"""OpenDocument texts, presentations and spreadsheets (ODT, ODP, ODS)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from lxml import etree

from app.parsing.archive import Archive, opened
from app.parsing.cleaning import one_line
from app.parsing.detect import Kind, detect
from app.parsing.formats.sheets import sheet_parts
from app.parsing.model import Damaged, Limits, Page
from app.parsing.odftext import BREAK, blocks, inline, row_cells, row_times
from app.parsing.parts import split_parts
from app.parsing.source import Source
from app.parsing.xmltools import Element, attribute, child, children, descendants, local, parse_xml, text_of

_CONTENT = "content.xml"


def accepts(_source: Source, kind: Kind) -> bool:
    """Texts, presentations and spreadsheets of OpenDocument, and templates of them."""
    return kind in {Kind.ODT, Kind.ODP, Kind.ODS}


def pages(source: Source, _limits: Limits) -> Iterator[Page]:
    """Yield slides, sheets, pages (of a text that notes where its pages end) or parts. Raises: Damaged,
    TooLarge.
    """
    kind = detect(source)
    with opened(source) as archive:
        if kind is Kind.ODS:
            yield from _spreadsheet(archive)
        elif kind is Kind.ODP:
            yield from _presentation(archive)
        else:
            yield from _text(archive)


def _body(root: Element, name: str) -> Element:
    found = child(root, "body", name)
    if found is None:
        raise Damaged
    return found


def _text(archive: Archive) -> Iterator[Page]:
    root = parse_xml(archive.read_xml(_CONTENT))
    styles = _page_starting_styles(root)
    body = _body(root, "text")
    found = list(blocks(body, lambda element: attribute(element, "style-name") in styles))
    title = _title(archive)
    if next(descendants(body, "soft-page-break"), None) is not None:
        texts = "".join(found).split(BREAK)
        # a break before the very first paragraph begins no second page
        texts = texts[1:] if len(texts) > 1 and not texts[0].strip() else texts
        texts[0] = "\n\n".join([*_margins(archive, "header"), texts[0], *_margins(archive, "footer")])
        for number, text in enumerate(texts, start=1):
            yield Page(number=number, kind="page", title=title, text=text)
        return
    plain = (text.replace(BREAK, "") for text in found)
    opening = (text + "\n\n" for text in _margins(archive, "header") + _margins(archive, "footer"))
    for number, text in enumerate(split_parts([*opening, *plain]), start=1):
        yield Page(number=number, kind="part", title=title, text=text)


def _page_starting_styles(root: Element) -> set[str]:
    found: set[str] = set()
    for style in descendants(root, "style"):
        properties = child(style, "paragraph-properties")
        if properties is not None and attribute(properties, "break-before") == "page":
            found.add(attribute(style, "name") or "")
    return found


def _margins(archive: Archive, name: str) -> list[str]:
    """The text of headers or footers of all page styles, each once."""
    if "styles.xml" not in archive:
        return []
    root = parse_xml(archive.read_xml("styles.xml"))
    found: dict[str, None] = {}
    for margin in descendants(root, name):
        if local(margin.getparent()) == "master-page":
            found.setdefault("\n".join(filter(None, (inline(p).strip() for p in margin.iter("{*}p")))))
    return [text for text in found if text]


def _title(archive: Archive) -> str | None:
    if "meta.xml" not in archive:
        return None
    return one_line(text_of(child(parse_xml(archive.read_xml("meta.xml")), "meta", "title"))) or None


def _presentation(archive: Archive) -> Iterator[Page]:
    body = _body(parse_xml(archive.read_xml(_CONTENT)), "presentation")
    for number, slide in enumerate(children(body, "page"), start=1):
        title: str | None = None
        texts: list[str] = []
        for element in slide:
            text = "".join(blocks(element, lambda _: False)).replace(BREAK, "").strip()
            if local(element) == "notes":
                texts.append(f"Notes: {text}" if text else "")
            elif title is None and text and attribute(element, "class") == "title":
                title = one_line(text)
                texts.insert(0, f"# {title}")
            else:
                texts.append(text)
        yield Page(number=number, kind="slide", title=title, text="\n\n".join(filter(None, texts)))


def _spreadsheet(archive: Archive) -> Iterator[Page]:
    """Sheets read as a stream, since a small file can hold a million rows."""
    numbers = count(1)
    names = _sheet_names(archive)
    for index, name in enumerate(names):
        for text in sheet_parts(_rows(archive, index)):
            yield Page(number=next(numbers), kind="sheet", title=name, text=text)


def _sheet_names(archive: Archive) -> list[str]:
    with archive.open(_CONTENT) as stream:
        names: list[str] = []
        for _, table in _events(stream, ("start",), "{*}table"):
            if _is_sheet(table):
                names.append(attribute(table, "name") or "")
        return names


def _is_sheet(table: Element) -> bool:
    return local(table.getparent()) == "spreadsheet"


def _rows(archive: Archive, wanted: int) -> Iterator[list[str]]:
    """Rows of the sheet at index ``wanted``."""
    with archive.open(_CONTENT) as stream:
        index = -1
        for event, element in _events(stream, ("start", "end"), "{*}table", "{*}table-row"):
            if local(element) == "table":
                index += event == "start" and _is_sheet(element)
                if index > wanted:
                    return
            elif event == "end":
                if index == wanted:
                    cells = row_cells(element)
                    for _ in range(row_times(element) if cells else 0):
                        yield cells
                _forget(element)


def _events(stream: object, events: tuple[str, ...], *tags: str) -> Iterator[tuple[str, Element]]:
    return iter(
        etree.iterparse(  # type: ignore[call-overload]
            stream, events=events, tag=tags, resolve_entities=False, no_network=True, load_dtd=False
        )
    )


def _forget(element: Element) -> None:
    """Free an element that has been read, and those before it."""
    element.clear()
    while element.getprevious() is not None:
        parent = element.getparent()
        if parent is None:
            return
        del parent[0]
