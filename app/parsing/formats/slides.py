"""PowerPoint (PPTX): a page for each slide, with its tables, grouped shapes, charts' words and notes."""

from __future__ import annotations

from collections.abc import Iterator

from app.parsing.cleaning import one_line
from app.parsing.detect import Kind
from app.parsing.model import Limits, Page
from app.parsing.opc import Package, package
from app.parsing.source import Source
from app.parsing.tables import markdown_table
from app.parsing.xmltools import Element, attribute, child, children, descendants, local, text_of, whole

_TITLES = frozenset({"title", "ctrTitle"})
_DEEPEST_LEVEL = 8
# What stands on every slide and says nothing about it.
_FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr", "sldImg"})


def accepts(_source: Source, kind: Kind) -> bool:
    """Presentations, slide shows and templates of PowerPoint since 2007."""
    return kind is Kind.PPTX


def pages(source: Source, _limits: Limits) -> Iterator[Page]:
    """Yield a page for each slide, hidden ones included, numbered as PowerPoint does. Raises: Damaged."""
    with package(source) as parts:
        main = parts.main()
        relations = parts.relations(main)
        listed = child(parts.xml(main), "sldIdLst")
        for number, entry in enumerate(children(listed, "sldId"), start=1):
            relation = relations.get(_relation_id(entry))
            slide = parts.optional(relation.target) if relation else None
            if slide is None or relation is None:
                yield Page(number=number, kind="slide", title=None, text="")
                continue
            yield _page(parts, relation.target, slide, number)


def _relation_id(element: Element) -> str:
    """The relation's id; ``id`` without a namespace is the slide's own number."""
    return next((str(v) for k, v in element.attrib.items() if str(k).endswith("}id")), "")


def _page(parts: Package, name: str, slide: Element, number: int) -> Page:
    relations = parts.relations(name)
    title: str | None = None
    blocks: list[str] = []
    for shape in _shapes(child(slide, "cSld", "spTree")):
        text = _shape_text(parts, shape, {key: relation.target for key, relation in relations.items()})
        if not text:
            continue
        if title is None and _placeholder(shape) in _TITLES:
            title = one_line(text)
            blocks.insert(0, f"# {title}")
        else:
            blocks.append(text)
    notes = _notes(parts, name)
    if notes:
        blocks.append(f"Notes: {notes}")
    comments = _comments(parts, name)
    return Page(number=number, kind="slide", title=title, text="\n\n".join(blocks + comments))


def _shapes(tree: Element | None) -> Iterator[Element]:
    """Shapes in the order in which they are read, those inside groups too."""
    waiting = list(reversed(list(tree))) if tree is not None else []
    while waiting:
        shape = waiting.pop()
        name = local(shape)
        if name == "grpSp":
            waiting.extend(reversed(list(shape)))
        elif name == "AlternateContent":
            choice = child(shape, "Choice")
            waiting.extend(reversed(list(choice if choice is not None else shape)))
        elif name in {"sp", "graphicFrame", "cxnSp"}:
            yield shape


def _placeholder(shape: Element) -> str | None:
    found = child(shape, "nvSpPr", "nvPr", "ph")
    return str(found.get("type", "body")) if found is not None else None


def _shape_text(parts: Package, shape: Element, targets: dict[str, str]) -> str:
    if local(shape) == "graphicFrame":
        return _graphic_text(parts, shape, targets)
    if _placeholder(shape) in _FURNITURE:
        return ""
    return _paragraphs(child(shape, "txBody"))


def _paragraphs(body: Element | None) -> str:
    lines: list[str] = []
    for paragraph in children(body, "p"):
        text = _runs(paragraph)
        if not text.strip():
            continue
        properties = child(paragraph, "pPr")
        level = min(whole(properties.get("lvl")), _DEEPEST_LEVEL) if properties is not None else 0
        bullet = properties is not None and any(local(c) in {"buChar", "buAutoNum"} for c in properties)
        lines.append("  " * level + "- " + text.strip() if bullet or level else text.strip())
    return "\n".join(lines)


def _runs(paragraph: Element) -> str:
    pieces: list[str] = []
    for run in paragraph:
        name = local(run)
        if name in {"r", "fld"}:
            pieces.append(text_of(child(run, "t")))
        elif name == "br":
            pieces.append("\n")
        elif name in {"AlternateContent", "m"}:
            pieces.extend(text_of(found) for found in descendants(run, "t"))
    return "".join(pieces).replace("\x0b", "\n")


def _graphic_text(parts: Package, frame: Element, targets: dict[str, str]) -> str:
    table = next(descendants(frame, "tbl"), None)
    if table is not None:
        rows = (children(row, "tc") for row in children(table, "tr"))
        return markdown_table([[_paragraphs(child(cell, "txBody")) for cell in row] for row in rows])
    chart = next(descendants(frame, "chart"), None)
    if chart is not None:
        return _chart(parts.optional(targets.get(attribute(chart, "id") or "")))
    diagram = next(descendants(frame, "relIds"), None)
    if diagram is not None:
        data = parts.optional(targets.get(attribute(diagram, "dm") or ""))
        bodies = descendants(data, "t") if data is not None else iter(())
        points = [_paragraphs(body) for body in bodies]
        return "\n".join(f"- {one_line(text)}" for text in points if text.strip())
    return ""


def _chart(chart: Element | None) -> str:
    """A chart's title and its series as a table, as far as the numbers are stored with it."""
    if chart is None:
        return ""
    title = child(chart, "chart", "title")
    words = descendants(title, "t") if title is not None else iter(())
    heading = one_line(" ".join(text_of(found) for found in words))
    series = list(descendants(chart, "ser"))[:50]
    categories = _points(child(series[0], "cat")) if series else {}
    names = [one_line(" ".join(_points(child(one, "tx")).values())) for one in series]
    values = [_points(child(one, "val")) for one in series]
    rows = [["", *names]]
    for index, category in sorted(categories.items())[:500]:
        rows.append([category, *(points.get(index, "") for points in values)])
    return "\n\n".join(filter(None, [f"Chart: {heading}" if heading else "", markdown_table(rows)]))


def _points(data: Element | None) -> dict[int, str]:
    found: dict[int, str] = {}
    for point in descendants(data, "pt") if data is not None else ():
        found[whole(point.get("idx"))] = text_of(child(point, "v"))
    return found


def _notes(parts: Package, name: str) -> str:
    notes = parts.optional(parts.first(name, "notesSlide"))
    if notes is None:
        return ""
    shapes = [s for s in _shapes(child(notes, "cSld", "spTree")) if _placeholder(s) not in _FURNITURE]
    return "\n".join(filter(None, (_paragraphs(child(shape, "txBody")) for shape in shapes)))


def _comments(parts: Package, name: str) -> list[str]:
    """Comments on the slide, of the old kind and of the one with threads."""
    found: list[str] = []
    for part in parts.related(name, "comments"):
        root = parts.optional(part)
        for comment in descendants(root, "cm") if root is not None else ():
            text = text_of(child(comment, "text")) or _paragraphs(child(comment, "txBody"))
            if text.strip():
                found.append(f"Comment: {one_line(text)}")
    return found
