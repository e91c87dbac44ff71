"""Takes a model's text apart while it arrives: plain text, citation markers, the refusal.

A marker is ``[1: "exact words"]`` or just ``[1]``; models vary it, so ``[1, 2]``, ``[Source 1]``, other
quotation marks and 【1】 are understood too. What could still become a marker is held back until it is clear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

REFUSAL = "NOT_IN_THE_SOURCES"

_Q = "\"“”„‟«»「」『』'‘’"
_HEAD = re.compile(r"\s*[\[［【]\s*(?:(?:source|passage|document|doc|ref)\s*)?\d{1,2}(?!\d)", re.IGNORECASE)
_HEAD_BEGUN = re.compile(r"\s*[\[［【]\s*[a-z]{0,8}\s*\d{0,2}", re.IGNORECASE)
_QUOTED = re.compile(rf"\s*[:,]?\s*[{_Q}]")
_QUOTE_END = re.compile(rf"[{_Q}]\s*[.]?\s*[\]］】]")
_CLOSE = re.compile(r"[\]］】]")
_OPEN = re.compile(r"[\[［【]")
_NEXT_ITEM = re.compile(rf"(?<=[{_Q}])\s*[,;]\s*(?=\d{{1,2}}\s*[:,]?\s*[{_Q}])")
_WITH_QUOTE = re.compile(rf"\D*(\d{{1,2}})\s*[:,]?\s*[{_Q}](.+)[{_Q}]\W*", re.DOTALL)
_BARE_QUOTE = re.compile(r"\D*(\d{1,2})\s*:\s*(.*\w.*)", re.DOTALL)
_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Marker:
    """A citation as the model gave it: numbers with the words it claims to quote, None when it quotes none.

    ``items`` is empty when the marker was broken. ``space`` stood before it.
    """

    space: str
    items: tuple[tuple[int, str | None], ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model says that the passages don't hold the answer."""


Part = str | Marker | Refusal


class MarkerParser:
    """Feed it pieces of text of any length; it gives back parts as soon as they are certain.

    However the text is cut into pieces, the parts are the same (neighbouring texts joined).
    """

    def __init__(self) -> None:
        self._held = ""
        self._skipping = False

    def feed(self, text: str) -> list[Part]:
        """Take the next piece and return what is certain now."""
        self._held += text
        return list(self._parts(final=False))

    def end(self) -> list[Part]:
        """Return what was held back: nothing more follows."""
        return list(self._parts(final=True))

    def _parts(self, *, final: bool) -> Iterator[Part]:
        while self._held:
            if self._skipping and not self._skip():
                return
            before = len(self._held)
            part = self._next(final=final)
            if part:
                yield part
            if len(self._held) == before:
                return

    def _skip(self) -> bool:
        """Pass over the rest of a marker that was too long; whether its end was seen."""
        end = re.search(r"[\]］】\n]", self._held)
        self._held = self._held[end.end() :] if end else ""
        self._skipping = end is None
        return not self._skipping

    def _next(self, *, final: bool) -> Part | None:
        begin = self._first_doubt(final=final)
        if begin > 0:
            return self._take(begin)
        if self._held.startswith(REFUSAL):
            self._take(len(REFUSAL))
            return Refusal()
        if self._held.lstrip()[:1] in ("[", "［", "【") and self._held.strip():
            return self._bracket(final=final)
        return self._take(len(self._held)) if final else None

    def _first_doubt(self, *, final: bool) -> int:
        """Where the text begins that is not certain yet: a bracket with the space before it, or a refusal."""
        held = self._held
        places = [len(held) if final else len(held.rstrip())]
        opening = _OPEN.search(held)
        if opening:
            places.append(len(held[: opening.start()].rstrip()))
        refusal = held.find(REFUSAL)
        if refusal >= 0:
            places.append(refusal)
        elif not final:
            places += [len(held) - n for n in range(1, len(REFUSAL)) if held.endswith(REFUSAL[:n])]
        return min(places)

    def _bracket(self, *, final: bool) -> Part | None:
        head = _HEAD.match(self._held)
        if head is None or (head.end() == len(self._held) and not final):
            if not final and _HEAD_BEGUN.fullmatch(self._held):
                return None
            opening = _OPEN.search(self._held)
            return self._take(opening.end() if opening else len(self._held))
        within = self._held[:_LONGEST]
        end = _marker_end(within, head.end())
        if end is not None:
            return _read(self._take(end))
        if len(self._held) < _LONGEST and not final:
            return None
        close = _CLOSE.search(within)
        broken = self._take(close.end() if close else len(within))
        self._skipping = close is None
        return Marker(_space(broken), ())

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        return taken


def _marker_end(text: str, head: int) -> int | None:
    """Where the marker whose number ends at ``head`` ends, None when that is not seen yet."""
    end = (_QUOTE_END if _QUOTED.match(text, head) else _CLOSE).search(text, head)
    if end is None:
        return None
    # '[1: "' alone must not count its opening mark as the closing one.
    opened = _QUOTED.match(text, head)
    if opened and end.start() < opened.end():
        end = _QUOTE_END.search(text, opened.end())
    return end.end() if end else None


def _space(marker: str) -> str:
    return marker[: len(marker) - len(marker.lstrip())]


def _read(marker: str) -> Marker:
    body = marker.strip()[1:-1]
    items: list[tuple[int, str | None]] = []
    for part in _NEXT_ITEM.split(body):
        found = _WITH_QUOTE.fullmatch(part) or _BARE_QUOTE.fullmatch(part)
        if found:
            items.append((int(found[1]), found[2].strip()))
        else:
            items += [(int(number), None) for number in re.findall(r"\d{1,2}", part)]
    return Marker(_space(marker), tuple(items))
