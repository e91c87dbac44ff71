"""Where sentences begin and end, in any language that marks it, without a model.

Works on the text of a page as it is stored: wrapped lines (a single line end inside a sentence), Markdown
headings, list items and table rows, Latin and CJK punctuation. Time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_LINE = re.compile(r"[^\n]+")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]+\S")
_ITEM = re.compile(r"[ \t]*(?:[-*+•‣◦▪■●○–—·]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\(?[ivxIVX]{1,5}[.)])[ \t]+\S")
_ROW = re.compile(r"[ \t]*\|")
_RULE = re.compile(r"[ \t]*(?:```|~~~|-{3,}[ \t]*$|\*{3,}[ \t]*$|_{3,}[ \t]*$|={3,}[ \t]*$)")

# A full stop and what may close behind it. CJK marks end a sentence without a blank after them.
_END = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s|$|\[\d)|[。！？｡．…؟۔।॥]+[”’」』）】\"')]*", re.MULTILINE)
_NEXT_WORD = re.compile(r"\s*[\"'“‘«(\[*_]*(\w?)(\.?)")
_CLOSING_QUOTES = "\"'”’»"
_WORD_BEFORE = re.compile(r"[\w.]+$")
_LONGEST_WORD = 40

_ABBREVIATIONS_TEXT = """
    dr prof mr mrs ms st jr sr vs etc cf al approx dept est fig figs eq eqs sec ch vol no nos pp p ed
    eds rev gen col lt capt sgt inc ltd co corp bros ave blvd rd jan feb mar apr jun jul aug sep sept
    oct nov dec mon tue wed thu fri sat sun e.g i.e a.m p.m u.s u.k ph.d d.h z.b u.a v.a o.ä s.o u.u usw
    bzw bspw ca evtl ggf inkl exkl nr str hr fr abs art bd hrsg vgl sog std tel max min mio mrd jh aufl
    jg kap s ebd mme mlle mm m ex env av bd cie éd réf tél chap sr sra srta ud uds pág págs núm
"""
_ABBREVIATIONS = frozenset(_ABBREVIATIONS_TEXT.split())
# After these a new sentence may well begin, if a capital follows.
_MAY_END = frozenset({"etc", "usw", "al", "inc", "ltd", "co", "corp", "a.m", "p.m", "u.s", "u.k"})


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Return the spans of the sentences of ``text[start:end]`` as positions in ``text``.

    Spans are in order, don't overlap, begin and end with a character that is not white space, and cover every
    such character. Headings, list items and table rows are sentences of their own.
    """
    stop = len(text) if end is None else min(end, len(text))
    spans: list[Span] = []
    for first, last in _blocks(text, max(0, start), stop):
        spans.extend(_in_block(text, first, last))
    return spans


def _blocks(text: str, start: int, stop: int) -> Iterator[Span]:
    """Runs of lines that flow on: paragraphs and list items with their wrapped lines, or a single line."""
    lines = [found.span() for found in _LINE.finditer(text, start, stop)]
    width = _usual_width(lines)
    first: int | None = None
    last = start
    for line in lines:
        content = text[line[0] : line[1]]
        alone = bool(_HEADING.match(content) or _ROW.match(content) or _RULE.match(content))
        breaks = alone or bool(_ITEM.match(content)) or _apart(text, last, line[0], width)
        if first is not None and (breaks or not content.strip()):
            yield first, last
            first = None
        if alone:
            yield line
        elif content.strip() and first is None:
            first = line[0]
        last = line[1]
    if first is not None:
        yield first, last


def _usual_width(lines: list[Span]) -> int:
    """Length that wrapped lines reach; 0 when there are too few lines to tell."""
    lengths = sorted(last - first for first, last in lines)
    return lengths[int(len(lengths) * 0.9)] if len(lengths) >= 3 else 0


def _apart(text: str, before: int, after: int, width: int) -> bool:
    """True if the line that ends at ``before`` and the one that begins at ``after`` don't flow on.

    An empty line parts them. So does a short line, such as a heading in a PDF, when the next one begins with
    a capital or a digit: a line that is wrapped is nearly full.
    """
    if text.count("\n", before, after) > 1:
        return True
    length = before - (text.rfind("\n", 0, before) + 1)
    if not width or length > 0.6 * width:
        return False
    upper = text[after : after + 1]
    return (upper.isupper() or upper.isdigit()) and text[before - 1 : before] not in {",", "-", "–", "&", "("}


def _in_block(text: str, start: int, stop: int) -> Iterator[Span]:
    first = start
    for found in _END.finditer(text, start, stop):
        if found.end() < stop and not _ends_sentence(text, found, stop):
            continue
        yield from _stripped(text, first, found.end())
        first = found.end()
    yield from _stripped(text, first, stop)


def _stripped(text: str, start: int, stop: int) -> Iterator[Span]:
    while start < stop and text[start].isspace():
        start += 1
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    if start < stop:
        yield start, stop


def _ends_sentence(text: str, found: re.Match[str], stop: int) -> bool:
    mark = found.group()
    if mark[0] not in ".…!?":
        return True
    following = _NEXT_WORD.match(text, found.end(), stop)
    next_char = following[1] if following else ""
    if mark[0] in "!?":
        # "Is it?" he asked.
        return not (next_char.islower() and mark[-1] in _CLOSING_QUOTES)
    if next_char.islower():
        return False
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    word = _word_before(text, found.start())
    # z. B., i. e., J. R.: letters with points, one after the other
    spelled = len(word) == 1 and word.isalpha() and following is not None and following[2] == "."
    return not spelled and _full_stop(word, next_char)


def _word_before(text: str, position: int) -> str:
    found = _WORD_BEFORE.search(text[max(0, position - _LONGEST_WORD) : position])
    return found.group() if found else ""


def _full_stop(word: str, next_char: str) -> bool:
    """True if a point after ``word`` ends the sentence, ``next_char`` being the first of the next word."""
    lower = word.lower()
    if lower in _ABBREVIATIONS:
        return lower in _MAY_END and next_char.isupper()
    # Initials (J. Smith) and ordinals or dates of many languages (3. Oktober); years do end sentences.
    if len(word) == 1 and word.isalpha():
        return not word.isupper() and next_char.isupper()
    return not (word.isdigit() and len(word) <= 2)
