"""The text of a Word paragraph or formula as it reads with all changes accepted."""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from app.parsing.xmltools import Element, attribute, child, descendants, local

# In the text of a paragraph: a page break that the author set, and one that Word noted when it last laid out.
BREAK, RENDERED = "\x0c", "\x0e"

_SKIPPED_TEXT = """
    pPr rPr del moveFrom instrText delText delInstrText sdtPr sdtEndPr fldData ruby pPrChange rPrChange
    txbxContent
"""
_SKIPPED = frozenset(_SKIPPED_TEXT.split())
_SIGNS = {"tab": " ", "cr": "\n", "noBreakHyphen": "-", "ptab": " "}


@dataclass(slots=True)
class Text:
    """A paragraph's text, with the notes and comments it refers to and the paragraphs of its text boxes."""

    text: str = ""
    notes: list[tuple[str, str]] = field(default_factory=list)  # kind of note, id
    boxes: list[Element] = field(default_factory=list)


def read(paragraph: Element) -> Text:
    """Collect the visible text of a paragraph, in order."""
    result = Text()
    pieces: list[str] = []
    walker = etree.iterwalk(paragraph, events=("start",))
    for _, element in walker:
        name = local(element)
        if name in {"p", "tbl"} and element is not paragraph:
            walker.skip_subtree()
        elif name in _SKIPPED or name == "Fallback":
            _skipped(element, name, pieces, result)
            walker.skip_subtree()
        elif name == "oMath":
            pieces.append(formula(element))
            walker.skip_subtree()
        else:
            _inline(element, name, pieces, result)
    result.text = "".join(pieces)
    return result


def _skipped(element: Element, name: str, pieces: list[str], result: Text) -> None:
    if name == "ruby":
        base = child(element, "rubyBase")
        pieces.extend(str(t.text or "") for t in descendants(base, "t")) if base is not None else None
    elif name == "txbxContent":
        result.boxes.append(element)


def _inline(element: Element, name: str, pieces: list[str], result: Text) -> None:
    if name == "t":
        pieces.append(element.text or "")
    elif name in _SIGNS:
        pieces.append(_SIGNS[name])
    elif name == "br":
        pieces.append(BREAK if attribute(element, "type") == "page" else "\n")
    elif name == "lastRenderedPageBreak":
        pieces.append(RENDERED)
    elif name in {"footnoteReference", "endnoteReference", "commentReference"}:
        number = attribute(element, "id") or ""
        result.notes.append((name.removesuffix("Reference"), number))
        if name != "commentReference":
            pieces.append(f"[^{number}]")


def formula(element: Element) -> str:
    """A formula in one line: (a)/(b), x^2, x_i, √(x)."""
    name = local(element)
    if name == "t":
        return element.text or ""
    if name.endswith("Pr"):
        return ""
    parts = {local(part): formula(part) for part in element} if name in _FORMS else {}
    if name in _FORMS:
        return _FORMS[name].format_map(_Blank(parts))
    return "".join(formula(part) for part in element)


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


_FORMS = {
    "f": "({num})/({den})",
    "sSup": "{e}^{sup}",
    "sSub": "{e}_{sub}",
    "sSubSup": "{e}_{sub}^{sup}",
    "rad": "√({e})",
}
