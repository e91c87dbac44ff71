"""A passage: what retrieval finds and answers cite."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one page: ``text`` is ``page text[start:end]``, in characters.

    ``score`` is the fused score; ``dense_rank`` and ``lexical_rank`` (1 is best) and their scores explain it
    and are ``None`` where that ranking did not return the passage.
    """

    chunk_id: int
    document_id: UUID
    document: str
    page: int
    page_kind: str
    page_title: str | None
    start: int
    end: int
    headings: str
    text: str
    score: float = 0.0
    dense_rank: int | None = None
    dense_score: float | None = None
    lexical_rank: int | None = None
    lexical_score: float | None = None

    @property
    def place(self) -> str:
        """Where it stands, for people: ``page 3``, ``sheet 2 (Costs)``."""
        return f"{self.page_kind} {self.page}" + (f" ({self.page_title})" if self.page_title else "")
