"""Word's styles and numbering: which paragraphs are headings or list items, and what number they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.parsing.xmltools import Element, attribute, child, children, whole

_HEADING_NAME = re.compile(r"heading\s*([1-9])|überschrift\s*([1-9])|titre\s*([1-9])")
_PLACE = re.compile(r"%([1-9])")
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
          (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_DEEPEST_STYLE = 20


def _value(element: Element | None, *path: str) -> str | None:
    found = child(element, *path)
    return attribute(found, "val") if found is not None else None


class Styles:
    """The paragraph styles of a document."""

    def __init__(self, root: Element | None) -> None:
        self._styles = {attribute(style, "styleId") or "": style for style in children(root, "style")}

    def _chain(self, paragraph: Element) -> Iterator[Element]:
        """The paragraph's own properties, then those of its style and the styles that one is based on."""
        own = child(paragraph, "pPr")
        if own is not None:
            yield own
        name = _value(own, "pStyle")
        for _ in range(_DEEPEST_STYLE):
            style = self._styles.get(name or "")
            if style is None:
                return
            properties = child(style, "pPr")
            if properties is not None:
                yield properties
            name = _value(style, "basedOn")

    def heading_level(self, paragraph: Element) -> int:
        """1 to 6 for a heading, 0 for other paragraphs."""
        name = _value(paragraph, "pPr", "pStyle") or ""
        for _ in range(_DEEPEST_STYLE):
            style = self._styles.get(name)
            if style is None:
                break
            level = _level_by_name((_value(style, "name") or "").lower())
            if level:
                return level
            name = _value(style, "basedOn") or ""
        for properties in self._chain(paragraph):
            outline = _value(properties, "outlineLvl")
            if outline is not None:
                level = whole(outline, 9)
                return min(level + 1, 6) if level < 9 else 0
        return 0

    def numbering(self, paragraph: Element) -> tuple[str, int] | None:
        """The list's id and the level in it, counted from 0, or None for what is no list item."""
        level: str | None = None
        for properties in self._chain(paragraph):
            level = level or _value(properties, "numPr", "ilvl")
            list_id = _value(properties, "numPr", "numId")
            if list_id is not None:
                return (list_id, min(whole(level), 8)) if list_id != "0" else None
        return None


def _level_by_name(name: str) -> int:
    found = _HEADING_NAME.match(name)
    if found:
        return min(int(next(filter(None, found.groups()))), 6)
    return {"title": 1, "titel": 1, "subtitle": 2}.get(name, 0)


@dataclass(slots=True)
class _Level:
    form: str = "decimal"
    text: str = "%1."
    start: int = 1


@dataclass(slots=True)
class Numbering:
    """The lists of a document and how far each has been counted."""

    levels: dict[str, dict[int, _Level]] = field(default_factory=dict)
    abstract: dict[str, str] = field(default_factory=dict)
    counts: dict[str, dict[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Element | None) -> Numbering:
        """Read the numbering part."""
        by_abstract = {
            attribute(one, "abstractNumId") or "": {
                whole(attribute(level, "ilvl")): _Level(
                    form=_value(level, "numFmt") or "decimal",
                    text=_value(level, "lvlText") or "",
                    start=whole(_value(level, "start"), 1),
                )
                for level in children(one, "lvl")
            }
            for one in children(root, "abstractNum")
        }
        abstract = {
            attribute(one, "numId") or "": _value(one, "abstractNumId") or "" for one in children(root, "num")
        }
        levels = {key: by_abstract.get(name, {}) for key, name in abstract.items()}
        # Lists of one kind are counted on, except where one says that it begins anew.
        for one in children(root, "num"):
            if child(one, "lvlOverride", "startOverride") is not None:
                number = attribute(one, "numId") or ""
                abstract[number] = f"list {number}"
        return cls(levels=levels, abstract=abstract)

    def label(self, list_id: str, level: int) -> str:
        """Count one item and return what stands before it: ``-``, ``3.`` or ``2.1``."""
        levels = self.levels.get(list_id, {})
        kind = levels.get(level, _Level(form="bullet"))
        counts = self.counts.setdefault(self.abstract.get(list_id, list_id), {})
        counts[level] = counts.get(level, kind.start - 1) + 1
        for deeper in [key for key in counts if key > level]:
            del counts[deeper]
        if kind.form in {"bullet", "none"} or not _PLACE.search(kind.text):
            return "-"
        return _PLACE.sub(lambda place: _shown(counts, levels, int(place[1]) - 1), kind.text).strip()


def _shown(counts: dict[int, int], levels: dict[int, _Level], level: int) -> str:
    kind = levels.get(level, _Level())
    number = counts.get(level, kind.start)
    if kind.form in {"lowerLetter", "upperLetter"}:
        letter = chr(ord("a") + (number - 1) % 26) * min(1 + (number - 1) // 26, 5)
        return letter.upper() if kind.form == "upperLetter" else letter
    if kind.form in {"lowerRoman", "upperRoman"}:
        roman = _roman(number)
        return roman.upper() if kind.form == "upperRoman" else roman
    return str(number)


def _roman(number: int) -> str:
    pieces: list[str] = []
    rest = min(number, 3999)
    for value, letters in _ROMAN:
        pieces.append(letters * (rest // value))
        rest %= value
    return "".join(pieces)
