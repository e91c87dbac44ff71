"""Text made safe to store and to show: no control characters, no halves of characters, plain line ends."""

from __future__ import annotations

import re
import unicodedata

# PostgreSQL refuses NUL, UTF-8 refuses lone surrogates, and no reader wants the other controls or
# noncharacters.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]+"
)
_LINE_ENDS = ("\r", "\x85", "\u2028", "\u2029")
_OTHER_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")
_TRAILING = re.compile(r"[ \t]+\n")
_MANY_BLANK = re.compile(r"\n{4,}")
_SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    """Return ``text`` without what storage refuses, with ``\\n`` as the only line end."""
    text = text.replace("\r\n", "\n")
    # Looking is several times faster than replacing, and most pages have nothing to replace.
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    if any(end in text for end in _LINE_ENDS):
        text = _OTHER_LINE_ENDS.sub("\n", text)
    return _FORBIDDEN.sub("", text)


def tidy(text: str) -> str:
    """Clean a whole page: also no blanks at line ends, no long runs of empty lines, none at the borders."""
    text = clean(text)
    if " \n" in text or "\t\n" in text:
        text = _TRAILING.sub("\n", text)
    if "\n\n\n\n" in text:
        text = _MANY_BLANK.sub("\n\n\n", text)
    return text.rstrip().lstrip("\n")


def one_line(text: str) -> str:
    """Clean and put on a single line, for titles and table cells."""
    return _SPACES.sub(" ", clean(text)).strip()


def title(text: str | None, longest: int = 200) -> str | None:
    """A title on one line of at most ``longest`` characters, or None when nothing is left of it."""
    line = one_line(text or "")
    return (line if len(line) <= longest else line[: longest - 1].rstrip() + "…") or None


def has_words(text: str) -> bool:
    """True if any character is a letter, digit or other sign a reader could look for."""
    return any(unicodedata.category(char)[0] in "LNS" for char in text if not char.isspace())
