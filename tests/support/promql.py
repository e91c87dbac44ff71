"""Which metrics a PromQL expression reads, and by which labels it chooses and groups their series."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TEXT = re.compile(r'"(?:\\.|[^"\\])*"')
_RANGE = re.compile(r"\[[^\]]*\]")
# lists of labels, which look like arguments
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_MADE = re.compile(r'\bcount_values\b[^"]*"(\w+)"|,\s*"(\w+)",\s*"[^"]*",\s*"\w*",\s*"')
# a name that is no number's end, with what follows it
_NAME = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\}|(\())?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring"}


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric's name with the labels that its matchers name; functions are not metrics.

    Covers vector selectors with a name, as Prometheus' manual ("Querying basics", "Operators") has them;
    matchers on ``__name__`` are not understood.
    """
    text = _GROUPED.sub(" ", _RANGE.sub(" ", _TEXT.sub('""', expression)))
    for name, matchers, call in _NAME.findall(text):
        if not call and name.lower() not in _WORDS:
            yield name, set(_MATCHER.findall(matchers))


def grouped(expression: str) -> set[str]:
    """Labels by which it groups or joins."""
    return {
        label
        for labels in _GROUPED.findall(_TEXT.sub('""', expression))
        for label in re.findall(r"\w+", labels)
    }


def made(expression: str) -> set[str]:
    """Labels that ``label_replace`` and ``count_values`` put into it."""
    return {label for labels in _MADE.findall(expression) for label in labels if label}
