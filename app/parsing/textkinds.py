"""Which kind of text a text is: HTML, mail, table, Markdown or plain."""

from __future__ import annotations

import csv
import re
from collections import Counter
from enum import Enum, auto


class TextKind(Enum):
    """Kinds of files that are text."""

    HTML = auto()
    EML = auto()
    CSV = auto()
    MARKDOWN = auto()
    PLAIN = auto()


_PROLOGUE = r"\A\ufeff?\s*(?><\?[^>]{0,2000}>\s*|<!--(?>.*?-->)\s*)*+"
_HTML = re.compile(_PROLOGUE + r"<(?:!doctype\s+html|html|head|body|title|meta)\b", re.IGNORECASE | re.DOTALL)
_FRAGMENT = re.compile(
    _PROLOGUE + r"<(?:div|p|table|h[1-6]|ul|ol|article|section|span|br|a|b|font|center)\b",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]{0,500})?>")
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60}):[ \t]?(.*)")
_MAIL_HEADERS_TEXT = """
    from to cc bcc date subject message-id mime-version received return-path content-type delivered-to
    reply-to sender in-reply-to references x-mailer dkim-signature
"""
_MAIL_HEADERS = frozenset(_MAIL_HEADERS_TEXT.split())
_MARKDOWN = (
    re.compile(r"^#{1,6} \S", re.MULTILINE),
    re.compile(r"^(?:```|~~~)", re.MULTILINE),
    re.compile(r"\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)"),
    re.compile(r"^[ \t]*\|.{1,5000}\|[ \t]*\n[ \t]*\|[ \t:|-]{1,2000}\|[ \t]*$", re.MULTILINE),
    re.compile(r"\*\*[^*\n]{1,300}\*\*"),
    re.compile(r"^[-*] \S", re.MULTILINE),
)
_DELIMITERS = ",;\t|"
_TABLE_ENDINGS = {".csv", ".tsv", ".tab"}


def text_kind(text: str, ending: str, whole: bool) -> TextKind:
    """Kind of the text that begins with ``text`` (all of it if ``whole``); ``ending`` like ``.md`` breaks
    ties.
    """
    if _HTML.match(text):
        return TextKind.HTML
    if _is_mail(text):
        return TextKind.EML
    if _FRAGMENT.match(text) and ending not in {".md", ".markdown"} and _mostly_tags(text):
        return TextKind.HTML
    if delimiter_of(text, whole, eager=ending in _TABLE_ENDINGS):
        return TextKind.CSV
    text = text[:20_000]
    signs = sum(sign.search(text) is not None for sign in _MARKDOWN)
    return TextKind.MARKDOWN if signs >= (1 if ending in {".md", ".markdown"} else 2) else TextKind.PLAIN


def _is_mail(text: str) -> bool:
    """True if the text begins with header lines of which at least two are a mail's, and one tells who or
    when.
    """
    names: set[str] = set()
    lines = text.lstrip("\ufeff\r\n").splitlines()[:200]
    for index, line in enumerate(lines):
        if index == 0 and line.startswith("From "):
            continue
        if not line.strip():
            break
        if line[0] in " \t" and names:
            continue
        found = _HEADER.match(line)
        if not found:
            return False
        names.add(found[1].lower())
    known = names & _MAIL_HEADERS
    return len(known) >= 3 or (len(known) >= 2 and "from" in known and len(names) == len(known))


def _mostly_tags(text: str) -> bool:
    sample = text[:20_000]
    return sum(len(tag) for tag in _TAG.findall(sample)) > 0.1 * len(sample)


def delimiter_of(text: str, whole: bool, *, eager: bool = False) -> str | None:
    """The character that parts the cells if the text is a table, else None.

    A table has at least two cells a row, the same number in nearly every row. ``eager`` (the name says it is
    a table) accepts two rows; without it prose with a comma in each line must not pass, so rows must be
    three, and cells short and not begun by a blank.
    """
    lines = text.splitlines()
    if not whole and len(lines) > 1:
        lines.pop()
    lines = [line for line in lines[:200] if line.strip()]
    if len(lines) < (1 if eager else 3):
        return None
    best: tuple[float, str] | None = None
    for delimiter in _DELIMITERS:
        score = _table_score(lines, delimiter, eager)
        if score and (best is None or score > best[0]):
            best = (score, delimiter)
    return best[1] if best else None


def _table_score(lines: list[str], delimiter: str, eager: bool) -> float:
    if delimiter == "|" and lines[0].lstrip().startswith("|"):
        return 0.0
    try:
        rows = [row for row in csv.reader((line + "\n" for line in lines), delimiter=delimiter) if row]
    except csv.Error:
        return 0.0
    if not rows:
        return 0.0
    width, count = Counter(len(row) for row in rows).most_common(1)[0]
    share = count / len(rows)
    if width < 2 or share < (0.6 if eager else 0.9):
        return 0.0
    if not eager and not _cells_look_like_data(rows, width, delimiter):
        return 0.0
    return share * (1 + min(width, 20) / 20)


def _cells_look_like_data(rows: list[list[str]], width: int, delimiter: str) -> bool:
    if len(rows) < 3 or (delimiter == "," and width < 3):
        return False
    cells = [cell for row in rows for cell in row]
    spaced = sum(cell[:1] == " " for row in rows for cell in row[1:])
    mean = sum(len(cell) for cell in cells) / len(cells)
    return mean < 60 and spaced < 0.3 * (len(cells) - len(rows))
