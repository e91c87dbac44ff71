"""Small pieces of HTML: escaped text, buttons, notices, counts."""

from __future__ import annotations

import html
import re

# Characters that HTML forbids, and marks that turn the direction of writing around what follows.
_UNWANTED = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def esc(text: object) -> str:
    """Text as HTML, for elements and for attributes in double quotes."""
    return html.escape(_UNWANTED.sub("", str(text)))


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 document``, ``3 documents``, ``12,000 pages``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """A file's size for people: ``812 bytes``, ``1.4 MB``."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit and value < 99.5 else f"{value:.0f} {_UNITS[unit]}"


def place(kind: str, number: int, title: str | None) -> str:
    """Where in a document: ``page 3 · Battery``; a document without pages has only its title."""
    where = "" if kind == "part" and number == 1 else f"{kind} {number}"
    return " · ".join(part for part in (where, title or "") if part)


def notice(message: str, advice: str = "", kind: str = "warning") -> str:
    """A calm box that says what happened and what to do; nothing without a message."""
    if not message:
        return ""
    then = f" <span>{esc(advice)}</span>" if advice else ""
    return f'<div class="notice {esc(kind)}" role="status"><strong>{esc(message)}</strong>{then}</div>'


ICONS = {
    "retry": "M4 12a8 8 0 1 1 2.3 5.6M4 20v-5h5",
    "delete": "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
    "close": "M6 6l12 12M18 6L6 18",
    "download": "M12 4v11M7 11l5 5 5-5M5 20h14",
    "file": "M7 3h7l4 4v14H7zM14 3v4h4",
    "upload": "M12 16V5M7 9l5-5 5 5M5 20h14",
    "mark": "M5 4h10l4 4v12H5zM8 12h8M8 16h5",
}


def icon(name: str) -> str:
    """A line drawing of 24 by 24 in the colour of the text, unseen by screen readers."""
    return (
        '<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" '
        f'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="{ICONS[name]}"/></svg>'
    )
