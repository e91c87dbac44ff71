"""Passages: chunks with their vectors and words, written together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.stores.database import Connection, Database

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A chunk to be stored. ``words`` is its text as the lexical index reads it."""

    ordinal: int
    page: int
    start: int
    end: int
    headings: str
    tokens: int
    text: str
    words: str


class Passages:
    """The tables ``chunks``, ``chunk_vectors`` and ``chunk_terms``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, document_id: UUID) -> int:
        """Passages of a document that are stored; they are stored in order, so the rest is missing."""
        return int(
            await self._database.value("SELECT count(*) FROM chunks WHERE document_id = %s", document_id)
        )

    async def add(
        self,
        document_id: UUID,
        knowledge_base_id: int,
        language: str,
        model: str,
        passages: Sequence[NewPassage],
        vectors: Vectors,
    ) -> list[int]:
        """Store passages with their vectors (shape (n, dimension)) in one transaction; returns their ids.

        ``language`` is a text search configuration of PostgreSQL. A document that is gone meanwhile gets
        nothing, and the list is empty.
        """
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT 1 FROM documents WHERE id = %s FOR SHARE", (document_id,)
            )
            if await cursor.fetchone() is None:
                return []
            ids = await _insert_chunks(connection, document_id, passages)
            async with connection.cursor() as many:
                await many.executemany(
                    "INSERT INTO chunk_vectors (chunk_id, model, vector) VALUES (%s, %s, %s)",
                    [(i, model, to_bytes(vector)) for i, vector in zip(ids, vectors, strict=True)],
                )
            await connection.execute(
                """
                INSERT INTO chunk_terms (chunk_id, document_id, terms)
                SELECT id, %s, knowledge_base_terms(%s, to_tsvector(%s::regconfig, words))
                FROM unnest(%s::bigint[], %s::text[]) AS new (id, words)
                """,
                (document_id, knowledge_base_id, language, ids, [p.words for p in passages]),
            )
            await connection.execute(
                "UPDATE documents SET chunks_done = chunks_done + %s, updated_at = now() WHERE id = %s",
                (len(ids), document_id),
            )
        return ids

    async def vectors(self, document_id: UUID, *, first: int, limit: int) -> tuple[list[int], Vectors]:
        """Ids and vectors of a document's passages, from the ordinal ``first`` on."""
        rows = await self._database.rows(
            """SELECT c.id, v.vector FROM chunks c JOIN chunk_vectors v ON v.chunk_id = c.id
            WHERE c.document_id = %s AND c.ordinal >= %s ORDER BY c.ordinal LIMIT %s""",
            document_id,
            first,
            limit,
        )
        return [row["id"] for row in rows], from_rows([row["vector"] for row in rows])

    async def ready(
        self, knowledge_base_id: int, *, after: int = 0, limit: int = 2_000
    ) -> tuple[list[int], list[str], Vectors]:
        """Ids above ``after``, models and vectors of the passages of ready documents, by id."""
        rows = await self._database.rows(
            """SELECT c.id, v.model, v.vector FROM chunks c
            JOIN documents d ON d.id = c.document_id JOIN chunk_vectors v ON v.chunk_id = c.id
            WHERE d.knowledge_base_id = %s AND d.state = 'ready' AND c.id > %s ORDER BY c.id LIMIT %s""",
            knowledge_base_id,
            after,
            limit,
        )
        return (
            [row["id"] for row in rows],
            [row["model"] for row in rows],
            from_rows([row["vector"] for row in rows]),
        )

    async def gone(self, ids: Sequence[int]) -> list[int]:
        """Those of these chunks that have been removed."""
        rows = await self._database.rows(
            """SELECT given.id FROM unnest(%s::bigint[]) AS given (id)
            WHERE NOT EXISTS (SELECT 1 FROM chunks c WHERE c.id = given.id)""",
            list(ids),
        )
        return [row["id"] for row in rows]

    async def texts(self, ids: Sequence[int]) -> list[str]:
        """The texts to embed of these chunks, in the order of ``ids``."""
        rows = await self._database.rows(
            "SELECT id, headings, text FROM chunks WHERE id = ANY (%s::bigint[])", list(ids)
        )
        found = {row["id"]: text_to_embed(row["headings"], row["text"]) for row in rows}
        return [found.get(i, "") for i in ids]

    async def replace_vectors(self, ids: Sequence[int], model: str, vectors: Vectors) -> None:
        """Store another model's vectors for chunks that are there."""
        async with self._database.transaction() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "UPDATE chunk_vectors SET model = %s, vector = %s WHERE chunk_id = %s",
                [(model, to_bytes(vector), i) for i, vector in zip(ids, vectors, strict=True)],
            )


async def _insert_chunks(
    connection: Connection, document_id: UUID, passages: Sequence[NewPassage]
) -> list[int]:
    cursor = await connection.execute(
        """
        INSERT INTO chunks (document_id, ordinal, page, start_at, end_at, headings, tokens, text)
        SELECT %s::uuid, *
        FROM unnest(%s::int[], %s::int[], %s::int[], %s::int[], %s::text[], %s::int[], %s::text[])
        RETURNING id, ordinal
        """,
        (
            document_id,
            [p.ordinal for p in passages],
            [p.page for p in passages],
            [p.start for p in passages],
            [p.end for p in passages],
            [p.headings for p in passages],
            [p.tokens for p in passages],
            [p.text for p in passages],
        ),
    )
    return [row["id"] for row in sorted(await cursor.fetchall(), key=lambda row: row["ordinal"])]


def text_to_embed(headings: str, text: str) -> str:
    """What the model reads of a passage: the headings it stands under, then itself."""
    return f"{headings}\n{text}" if headings else text


def to_bytes(vector: Vectors) -> bytes:
    """A vector as it is stored: float32, little endian."""
    return vector.astype("<f4").tobytes()


def from_rows(stored: Sequence[bytes]) -> Vectors:
    """Stored vectors as rows, shape (n, dimension); (0, 0) for none."""
    if not stored:
        return np.zeros((0, 0), dtype=np.float32)
    return np.frombuffer(b"".join(stored), dtype="<f4").reshape(len(stored), -1)
