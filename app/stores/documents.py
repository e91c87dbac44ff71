"""Documents and their pages, as PostgreSQL keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from app.errors import NotFound
from app.parsing.model import Page
from app.stores.database import Connection, Database

State = Literal[
    "queued",
    "parsing",
    "indexing",
    "ready",
    "password_needed",
    "image_only",
    "damaged",
    "empty",
    "too_large",
    "unsupported",
    "too_slow",
    "failed",
]
STATES: tuple[State, ...] = get_args(State)
WORKING: tuple[State, ...] = ("queued", "parsing", "indexing")
UNREADABLE: tuple[State, ...] = tuple(s for s in STATES if s not in (*WORKING, "ready"))


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a document. ``message`` says why it can't be read and what to do about it.

    ``pages`` counts those stored so far; ``chunks_done`` of ``chunks_total`` are indexed (``None``: not known
    yet). ``size_bytes`` is the size of the uploaded file.
    """

    id: UUID
    knowledge_base_id: int
    knowledge_base: str
    name: str
    version: int
    sha256: str
    size_bytes: int
    language: str | None
    state: State
    message: str | None
    pages: int
    parsed: bool
    chunks_done: int
    chunks_total: int | None
    job_id: int | None
    created_at: datetime
    updated_at: datetime

    @property
    def progress(self) -> float:
        """Share of the work that is done, 0 to 1; parsing counts for a tenth."""
        if self.state not in WORKING:
            return 1.0
        if not self.parsed:
            return 0.0 if self.state == "queued" else 0.05
        return 0.1 + 0.9 * (self.chunks_done / self.chunks_total if self.chunks_total else 0.0)


SELECT = """
    SELECT d.id, d.knowledge_base_id, k.name AS knowledge_base, d.name, d.version, d.sha256, d.size_bytes,
           d.language, d.state, d.message, d.pages, d.parsed, d.chunks_done, d.chunks_total,
           d.job_id, d.created_at, d.updated_at
    FROM documents d JOIN knowledge_bases k ON k.id = d.knowledge_base_id
"""


class Documents:
    """Reading documents and pages, and the small steps of their progress."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, document_id: UUID) -> Document:
        """The document; raises :class:`NotFound`."""
        row = await self._database.row(f"{SELECT} WHERE d.id = %s", document_id)
        if row is None:
            raise NotFound(kind="document", name=document_id)
        return Document(**row)

    async def select(
        self,
        knowledge_base_id: int,
        states: Sequence[State] | None = None,
        *,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Document]:
        """Documents of a knowledge base, newest first."""
        wanted = None if states is None else list(states)
        rows = await self._database.rows(
            f"""{SELECT} WHERE d.knowledge_base_id = %s AND (%s::text[] IS NULL OR d.state = ANY (%s))
            ORDER BY d.created_at DESC, d.id LIMIT %s OFFSET %s""",
            knowledge_base_id,
            wanted,
            wanted,
            limit,
            offset,
        )
        return [Document(**row) for row in rows]

    async def counts(self, knowledge_base_id: int | None = None) -> dict[State, int]:
        """How many documents are in each state, states without any left out."""
        rows = await self._database.rows(
            """SELECT state, count(*) AS n FROM documents
            WHERE %(kb)s::bigint IS NULL OR knowledge_base_id = %(kb)s GROUP BY state""",
            kb=knowledge_base_id,
        )
        return {row["state"]: row["n"] for row in rows}

    async def page_text(self, document_id: UUID, number: int) -> str | None:
        """The stored text of a page; ``None`` if there is no such page (any more)."""
        text = await self._database.value(
            "SELECT text FROM pages WHERE document_id = %s AND number = %s", document_id, number
        )
        return None if text is None else str(text)

    async def pages(self, document_id: UUID, *, first: int = 1, limit: int = 10_000) -> list[Page]:
        """Pages by number, from ``first`` on."""
        rows = await self._database.rows(
            """SELECT number, kind, title, text FROM pages
            WHERE document_id = %s AND number >= %s ORDER BY number LIMIT %s""",
            document_id,
            first,
            limit,
        )
        return [Page(**row) for row in rows]

    async def set_state(self, document_id: UUID, state: State, message: str | None = None) -> None:
        """Move to a state; a document that is gone stays gone."""
        await self._database.execute(
            "UPDATE documents SET state = %s, message = %s, updated_at = now() WHERE id = %s",
            state,
            message,
            document_id,
        )


async def get_document(connection: Connection, document_id: UUID) -> Document:
    """The document as the caller's transaction sees it; raises :class:`NotFound`."""
    row = await (await connection.execute(f"{SELECT} WHERE d.id = %s", (document_id,))).fetchone()
    if row is None:
        raise NotFound(kind="document", name=document_id)
    return Document(**row)


async def store_pages(connection: Connection, document_id: UUID, pages: Sequence[Page]) -> None:
    """Append pages and count them, in the caller's transaction."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO pages (document_id, number, kind, title, text) VALUES (%s, %s, %s, %s, %s)",
            [(document_id, p.number, p.kind, p.title, p.text) for p in pages],
        )
    await connection.execute(
        "UPDATE documents SET pages = pages + %s, updated_at = now() WHERE id = %s", (len(pages), document_id)
    )
