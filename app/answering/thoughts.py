"""Leaves out the thinking that some models put before their answer, between <think> and </think>."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"


class ThoughtFilter:
    """Feed it a text piece by piece; it gives back the text without a block of thoughts at its beginning."""

    def __init__(self) -> None:
        self._held = ""
        self._answering = False

    def feed(self, text: str) -> str:
        """What of the text so far is new and certainly belongs to the answer."""
        if self._answering:
            return text
        self._held += text
        begin = self._held.lstrip()
        if begin.startswith(_OPEN):
            _, closed, answer = begin.partition(_CLOSE)
            self._answering = bool(closed)
            return answer.lstrip()
        if _OPEN.startswith(begin[: len(_OPEN)]):
            return ""
        self._answering = True
        return self._held

    def end(self) -> str:
        """What was held back, when nothing more follows: thoughts that never ended are none of it."""
        return "" if self._answering or self._held.lstrip().startswith(_OPEN) else self._held
