"""The model's own tokenizer: token numbers for the engine, character spans for the chunker."""

from __future__ import annotations

import re
from pathlib import Path

from tokenizers import Tokenizer

from app.embedding.base import Span

_PIECE = 20_000  # characters; the time per character grows with the length of what is encoded at once
_GAP = re.compile(r"[\s\u4e00-\u9fff]")  # the tokenizer stands every Chinese character alone


class ModelTokenizer:
    """Word pieces of one model; safe to use from several threads."""

    def __init__(self, path: Path, max_tokens: int) -> None:
        """Read a `tokenizer.json`.

        Raises:
            OSError, ValueError: it is missing or damaged.
        """
        data = path.read_bytes()
        self._max_tokens = max_tokens
        self._whole = _load(data)
        self._cut = _load(data)
        self._cut.enable_truncation(max_tokens)

    def ids(self, text: str) -> list[int]:
        """Token numbers with special tokens, cut off at `max_tokens`."""
        start = text[: _pieces(text, limit=2)[-1]]  # empty unless the text is very long
        ids: list[int] = self._cut.encode(start).ids if start else []
        return ids if len(ids) == self._max_tokens else self._cut.encode(text).ids

    def spans(self, text: str) -> list[Span]:
        """Start and end of each token in characters of `text`, ascending, nothing cut off."""
        starts = _pieces(text)
        pieces = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
        encoded = self._whole.encode_batch(pieces, add_special_tokens=False)
        return [
            (start + first, start + last)
            for start, piece in zip(starts, encoded, strict=True)
            for first, last in piece.offsets
        ]


def _pieces(text: str, limit: int | None = None) -> list[int]:
    """Starts of at most `limit` pieces; each begins where no token can go across."""
    starts = [0]
    while len(text) - starts[-1] > _PIECE and len(starts) != limit:
        gap = _GAP.search(text, starts[-1] + _PIECE)
        if gap is None:
            break
        starts.append(gap.start())
    return starts


def _load(data: bytes) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:  # the library raises Exception itself
        raise ValueError(str(error)) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
