"""Guesses token boundaries when a server's tokenizer is not at hand; rather too many tokens than too few."""

from __future__ import annotations

import re

from app.embedding.base import Span

# One match is taken for one token: a word of up to four ASCII letters or three letters of a longer one, three
# digits, two other letters, one character of a script without spaces, or one sign. Common tokenizers (word
# pieces, byte pairs) need fewer for prose, about two thirds as many in English.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(
    rf"[A-Za-z]{{4}}(?![A-Za-z])|[A-Za-z]{{1,3}}|[0-9]{{1,3}}|[{_UNSPACED}]|[^\W\d_A-Za-z{_UNSPACED}]{{1,2}}|\S"
)


def approximate_spans(text: str) -> list[Span]:
    """Return start and end, in characters, of each supposed token, ascending and without overlap."""
    return [match.span() for match in _TOKEN.finditer(text)]
