"""A question in, passages out: both searches at once, fused; one of them is enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.embedding.base import Embedder
from app.errors import AssistantError, Unavailable
from app.retrieval.fuse import DENSE_WEIGHT, DENSE_WEIGHT_OTHER, Fused, Ranking, fuse
from app.retrieval.lexical import LexicalSearch
from app.retrieval.passage import Passage
from app.retrieval.words import OTHER, likeliest
from app.stores.database import Database
from app.stores.generations import Generation, Generations, Scope
from app.stores.vectors import IndexBroken, VectorIndex

SCOPE_SECONDS = 1.0
T = TypeVar("T")
Report = Callable[[Generation, str], Awaitable[None]]

NO_INDEX = ("index_unavailable", "The vector index is away, so passages were found by their words alone.")
NO_EMBEDDING = (
    "embedding_unavailable",
    "The embedding model does not answer, so passages were found by their words alone.",
)
READ_ONLY = (
    "database_read_only",
    "The database takes no changes at the moment; the newest ones may be missing here.",
)


@dataclass(frozen=True, slots=True)
class Found:
    """Passages, best first, how long each stage took in seconds, and what was missing (code, sentence)."""

    passages: list[Passage]
    seconds: dict[str, float] = field(default_factory=dict)
    degraded: list[tuple[str, str]] = field(default_factory=list)


class Search:
    """Finds the passages of one knowledge base that suit a question.

    ``report(generation, reason)`` is called when the vector index turns out to be broken.
    """

    def __init__(
        self,
        database: Database,
        index: VectorIndex,
        embedder: Embedder,
        report: Report,
        *,
        candidates: int = 50,
    ) -> None:
        self._database = database
        self._index = index
        self._embedder = embedder
        self._report = report
        self._candidates = candidates
        self._lexical = LexicalSearch(database)
        self._generations = Generations(database)
        self._scopes: dict[str, tuple[float, Scope]] = {}

    async def search(self, knowledge_base: str, question: str, limit: int = 8) -> Found:
        """The best ``limit`` passages.

        Raises :class:`NotFound` for an unknown knowledge base, :class:`Unavailable` if the database is away.
        """
        started, clock = time.perf_counter(), time.monotonic()
        seconds: dict[str, float] = {}
        degraded: list[tuple[str, str]] = []
        scope = await self._scope(knowledge_base)
        dense, lexical = await self.rankings(scope, question, seconds, degraded)
        weight = dense_weight(self._embedder.name, question, scope.languages)
        fused = fuse(dense, lexical, weight, limit)
        passages = await _timed("passages", seconds, self._load(fused))
        seconds["total"] = time.perf_counter() - started
        if self._database.stale_since(clock):
            degraded.append(READ_ONLY)
        return Found(passages, seconds, degraded)

    async def _scope(self, knowledge_base: str) -> Scope:
        """Read it again only when it is a second old; one without an index is about to change."""
        known = self._scopes.get(knowledge_base)
        if known is not None and time.monotonic() - known[0] < SCOPE_SECONDS:
            return known[1]
        scope = await self._generations.scope(knowledge_base)
        if scope.serving is not None:
            self._scopes[knowledge_base] = (time.monotonic(), scope)
        return scope

    async def rankings(
        self, scope: Scope, question: str, seconds: dict[str, float], degraded: list[tuple[str, str]]
    ) -> tuple[Ranking, Ranking]:
        """Both rankings, dense and lexical; notes the stages' seconds and what was missing."""
        lexical, dense = await asyncio.gather(
            # first, since PostgreSQL can be at it while the question is embedded here
            _timed(
                "lexical",
                seconds,
                self._lexical.search(scope.knowledge_base_id, question, self._candidates),
            ),
            self._dense(scope, question, seconds, degraded),
        )
        return dense, lexical

    async def _dense(
        self, scope: Scope, question: str, seconds: dict[str, float], degraded: list[tuple[str, str]]
    ) -> Ranking:
        generation = scope.serving
        if generation is None or generation.model != self._embedder.name:
            if scope.indexed:
                degraded.append(NO_INDEX)
            return []
        try:
            vector = await _timed("embed", seconds, self._embedder.embed([question]))
        except AssistantError:
            degraded.append(NO_EMBEDDING)
            return []
        try:
            query = self._index.query(generation.collection, vector[0], self._candidates)
            return await _timed("dense", seconds, query)
        except Unavailable:
            degraded.append(NO_INDEX)
        except IndexBroken as broken:
            self._scopes.clear()
            degraded.append(NO_INDEX)
            if not self._database.reads_only:  # that would wait for the primary
                with suppress(Unavailable):  # whoever looks at the index next reports it again
                    await self._report(generation, broken.message)
        return []

    async def _load(self, fused: list[Fused]) -> list[Passage]:
        """The passages themselves; those whose document is not ready (any more) are left out."""
        rows = await self._database.rows(
            """
            SELECT c.id AS chunk_id, c.document_id, d.name AS document, c.page, p.kind AS page_kind,
                   p.title AS page_title, c.start_at AS start, c.end_at AS "end", c.headings, c.text
            FROM chunks c JOIN documents d ON d.id = c.document_id
            JOIN pages p ON p.document_id = c.document_id AND p.number = c.page
            WHERE c.id = ANY (%s::bigint[]) AND d.state = 'ready'
            """,
            [one.chunk_id for one in fused],
        )
        by_id = {row["chunk_id"]: row for row in rows}
        return [_passage(by_id[one.chunk_id], one) for one in fused if one.chunk_id in by_id]


def _passage(row: dict[str, Any], fused: Fused) -> Passage:
    return Passage(
        **row,
        score=fused.score,
        dense_rank=fused.dense_rank,
        dense_score=fused.dense_score,
        lexical_rank=fused.lexical_rank,
        lexical_score=fused.lexical_score,
    )


def dense_weight(model: str, question: str, languages: Sequence[str]) -> float:
    """Weight of the dense ranking; ``languages`` are those of the knowledge base's documents."""
    if model != "all-MiniLM-L6-v2":
        return DENSE_WEIGHT
    language = likeliest(question, {"english", *languages})
    return DENSE_WEIGHT if language in {"english", OTHER} else DENSE_WEIGHT_OTHER


async def _timed(name: str, seconds: dict[str, float], work: Awaitable[T]) -> T:
    started = time.perf_counter()
    try:
        return await work
    finally:
        seconds[name] = time.perf_counter() - started
