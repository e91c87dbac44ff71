"""Compares texts by what they are made of, in any language and without a dictionary.

Words are compared by their runs of four letters, so that inflected and compound words meet their stem; on the
question sets this found the right sentence more often than whole words or their beginnings did (see
docs/benchmarks.md). Chinese, Japanese and Korean are compared by pairs of characters.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from app.retrieval.words import CJK, bigrams

_WORD = re.compile(r"[^\W_]+")
_LETTERS = 4

Terms = frozenset[str]


def terms(text: str) -> Terms:
    """The comparable pieces of a text: four letters of a word with its edges, or two of CJK."""
    text = unicodedata.normalize("NFKC", text).casefold()
    found: set[str] = set()
    for run in CJK.findall(text):
        found.update(bigrams(run))
    for word in _WORD.findall(CJK.sub(" ", text)):
        edged = f" {word} "
        found.update(edged[i : i + _LETTERS] for i in range(max(1, len(edged) - _LETTERS + 1)))
    return frozenset(found)


def numbers(text: str) -> frozenset[str]:
    """The numbers in a text, without their separators."""
    text = unicodedata.normalize("NFKC", text)
    return frozenset(re.sub(r"\D", "", found) for found in re.findall(r"\d+(?:[.,\u00a0'’]\d+)*", text))


def rarity(texts: Sequence[Terms]) -> Counter[str]:
    """In how many of the texts each term stands."""
    return Counter(term for text in texts for term in text)


class Weights:
    """How much each term tells: the rarer among ``texts``, the more.

    The formula is the smoothed inverse document frequency of Robertson and Spärck Jones, kept positive.
    """

    def __init__(self, texts: Sequence[Terms]) -> None:
        self._count = len(texts)
        self._in = rarity(texts)

    def __call__(self, term: str) -> float:
        """The term's weight, above 0."""
        return math.log(1 + (self._count + 0.5) / (self._in[term] + 0.5))

    def total(self, found: Iterable[str]) -> float:
        """The sum of the weights."""
        return sum(self(term) for term in found)


def share(wanted: Terms, present: Terms) -> float:
    """The share of ``wanted`` that is in ``present``, 0 to 1."""
    return len(wanted & present) / len(wanted) if wanted else 0.0
