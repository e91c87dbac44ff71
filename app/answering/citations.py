"""Finds quoted words in stored page text, tolerant to typography and never to words.

What may differ: white space, case, typographic quotes, dashes and ligatures, hyphens at line breaks (and
inside of words), soft hyphens, punctuation around the quote. What may not: any letter or digit, and the quote
must begin and end where words do, so that "a fee of 10" is not found in "a fee of 100" or "10.50".
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_QUOTES = dict.fromkeys("‘’‚‛′`´", "'") | dict.fromkeys("“”„‟″«»‹›「」『』", '"')
_HYPHENS = frozenset("-\u2010\u2011\u00ad")
_DASHES = _HYPHENS | frozenset("\u2012\u2013\u2014\u2015\u2212")
_APOSTROPHES = frozenset("'’`´")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff")
_OUTER = " .,;:!?'\"…。、，；：！？"
# Their compatibility forms would turn 10² into 102 and 6½ into 61⁄2.
_KEPT = ("<super>", "<sub>", "<fraction>", "<circle>")


@lru_cache(maxsize=20_000)
def _fold(char: str) -> str:
    """One character in its comparable form: ``ﬁ`` is ``fi``, ``É`` is ``e`` and an accent."""
    if char in _QUOTES:
        return _QUOTES[char]
    if char in _DASHES:
        return "-"
    if char in _INVISIBLE:
        return ""
    if unicodedata.decomposition(char).startswith(_KEPT):
        return char
    return unicodedata.normalize("NFKD", char).casefold()


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and (text[at].isspace() or text[at] in _INVISIBLE):
        at += 1
    return at


def _joins_letters(text: str, at: int, after: int) -> bool:
    """Whether the hyphen at ``at``, with the next visible character at ``after``, only joins two letters."""
    if text[at] not in _HYPHENS or at == 0 or after >= len(text):
        return False
    return text[at - 1].isalpha() and text[after].isalpha()


def fold(text: str) -> tuple[str, list[int]]:
    """``text`` in comparable form, and for each character of that form its index in ``text``."""
    folded: list[str] = []
    origin: list[int] = []
    at = 0
    while at < len(text):
        here, pieces = at, _fold(text[at])
        at += 1
        if text[here] in _DASHES:
            at = _skip_space(text, at)
            if _joins_letters(text, here, at):
                continue
            if folded and folded[-1] == " ":  # a dash is the same with and without spaces around it
                folded.pop()
                origin.pop()
        elif text[here].isspace():
            at = _skip_space(text, at)
            pieces = " " if folded and folded[-1] != " " else ""
        folded.extend(pieces)
        origin.extend([here] * len(pieces))
    return "".join(folded), origin


def normalise(text: str) -> str:
    """The form in which quotes are compared: :func:`fold` without the punctuation around it."""
    folded = fold(text)[0].rstrip(_OUTER)
    bare = folded.lstrip(_OUTER)
    if bare[:1].isdigit() and folded[: -len(bare)].endswith((".", ",")):
        return folded[-len(bare) - 1 :]  # .5 is not 5
    return bare


def _spaceless(char: str) -> bool:
    """Whether the character is of a script that writes words without spaces between them."""
    code = ord(char)
    return (
        0x0E00 <= code <= 0x0EFF  # Thai, Lao
        or 0x1000 <= code <= 0x109F  # Myanmar
        or 0x1780 <= code <= 0x17FF  # Khmer
        or 0x2E80 <= code <= 0x30FF  # CJK radicals, kana
        or 0x3400 <= code <= 0x9FFF  # Han
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x3FFFF
    )


def _splits_hyphenated(text: str, at: int) -> bool:
    """Whether a cut before ``at`` is beside a hyphen inside of a word: ``non|-resident``, ``exam-|ple``."""
    if at < len(text) and _joins_letters(text, at, _skip_space(text, at + 1)):
        return True
    before = at
    while before > 0 and text[before - 1].isspace():
        before -= 1
    return before > 0 and _joins_letters(text, before - 1, at)


def _splits_word(text: str, at: int) -> bool:
    """Whether a cut of ``text`` before ``at`` goes through a word or a number."""
    if at <= 0 or at >= len(text):
        return False
    left, right = text[at - 1], text[at]
    if unicodedata.category(right)[0] == "M":
        return True
    if right in _APOSTROPHES:  # can|'t
        return left.isalnum() and at + 1 < len(text) and text[at + 1].isalpha()
    if left.isdigit() and right in ".,":  # 10|.50
        return at + 1 < len(text) and text[at + 1].isdigit()
    if right.isdigit() and left in ".,-":  # 10.|50, -|5
        before = text[at - 2] if at > 1 else " "
        return before.isdigit() if left != "-" else not before.isalnum()
    if not (left.isalnum() or unicodedata.category(left)[0] == "M") or not right.isalnum():
        return False
    if unicodedata.category(right) == "No" and not left.isdigit():  # a footnote's mark
        return False
    return not (_spaceless(left) or _spaceless(right))


def _is_whole(page: str, span: tuple[int, int]) -> bool:
    """Whether a span begins and ends where words of the page do."""
    return not any(_splits_word(page, at) or _splits_hyphenated(page, at) for at in span)


def _says_something(needle: str) -> bool:
    letters = [c for c in needle if c.isalnum()]
    return len(letters) >= 3 or any(c.isdigit() or _spaceless(c) for c in letters)


def _exact(page: str, quote: str, start: int, end: int) -> tuple[int, int] | None:
    at = page.find(quote, start, end)
    while at >= 0:
        if _is_whole(page, (at, at + len(quote))):
            return at, at + len(quote)
        at = page.find(quote, at + 1, end)
    return None


def find_quote(page: str, quote: str, start: int = 0, end: int | None = None) -> tuple[int, int] | None:
    """The span of ``quote`` in ``page`` in characters, or None when its words are not there.

    Only ``page[start:end]`` is searched. For each span found,
    ``normalise(page[span]) == normalise(quote)``; of several the first is taken, one that is equal to the
    letter before any other.
    """
    needle = normalise(quote)
    if not _says_something(needle):
        return None
    end = len(page) if end is None else min(end, len(page))
    span = _exact(page, quote.strip(), start, end)
    if span is not None:
        return span
    folded, origin = fold(page[start:end])
    at = folded.find(needle)
    while at >= 0:
        last = at + len(needle)
        found = start + origin[at], start + origin[last - 1] + 1
        # a dash has lost the space after it: "– 10" is not -10
        begins = page[found[0] - 1 : found[0]].isspace() or not _splits_word(folded, at)
        ends = page[found[1] : found[1] + 1].isspace() or not _splits_word(folded, last)
        # Also guards against a match that begins or ends inside of a folded character, such as ﬁ.
        if begins and ends and normalise(page[slice(*found)]) == needle and _is_whole(page, found):
            return found
        at = folded.find(needle, at + 1)
    return None
