"""What every embedding engine offers, and the errors they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.errors import AssistantError

Vectors = NDArray[np.float32]
Span = tuple[int, int]


class ModelUnusable(AssistantError):
    """The embedding model in '{folder}' cannot be used: {why}."""

    status = 503
    advice = "Run `make setup`, which builds it again."


class Embedder(Protocol):
    """Turns texts into vectors of one space; safe to call from several asyncio tasks at once."""

    @property
    def name(self) -> str:
        """The vector space. Engines with the same name give vectors that can be compared."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that count, special tokens included; what is beyond is not seen."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 per text, in the order given: shape (len(texts), dimension)."""

    def token_spans(self, text: str) -> list[Span]:
        """Return start and end, in characters, of each token of the whole text, without special tokens."""

    async def close(self) -> None:
        """Let go of threads and connections."""
