"""Knowledge bases: names under which documents are kept and asked together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from app.errors import AssistantError, Invalid, NotFound
from app.stores.database import Connection, Database

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class KnowledgeBaseExists(AssistantError):
    """There is a knowledge base '{name}' already."""

    status = 409
    advice = "Take another name."


@dataclass(frozen=True, slots=True)
class KnowledgeBase:
    """``languages`` are PostgreSQL's text search configurations of its ready documents."""

    id: int
    name: str
    languages: list[str]
    passages: int
    documents: int
    created_at: datetime


class KnowledgeBases:
    """The table of that name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str) -> KnowledgeBase:
        """Make an empty one; raises :class:`Invalid` for a bad name, :class:`KnowledgeBaseExists`."""
        if not NAME.fullmatch(name):
            raise Invalid(
                what=f"'{name[:80]}' cannot name a knowledge base",
                advice="Use 1 to 63 small letters, digits and hyphens, with no hyphen first or last.",
            )

        made_at = datetime.now(UTC)  # by which it knows its own, if it has to look whether it was made

        async def insert(connection: Connection) -> KnowledgeBase:
            await connection.execute(
                """INSERT INTO knowledge_bases (name, created_at) VALUES (%s, %s)
                ON CONFLICT (name) DO NOTHING""",
                (name, made_at),
            )
            cursor = await connection.execute(
                """SELECT id, name, languages, passages, 0 AS documents, created_at
                FROM knowledge_bases WHERE name = %s AND created_at = %s""",
                (name, made_at),
            )
            row = await cursor.fetchone()
            if row is None:
                raise KnowledgeBaseExists(name=name)
            return KnowledgeBase(**row)

        return await self._database.write(insert, repeatable=True)

    async def get(self, name: str) -> KnowledgeBase:
        """The one of this name; raises :class:`NotFound`."""
        found = await self._select(name)
        if not found:
            raise NotFound(kind="knowledge base", name=name)
        return found[0]

    async def all(self) -> list[KnowledgeBase]:
        """All of them, by name."""
        return await self._select(None)

    async def _select(self, name: str | None) -> list[KnowledgeBase]:
        rows = await self._database.rows(
            """
            SELECT k.id, k.name, k.languages, k.passages, k.created_at,
                   (SELECT count(*) FROM documents d WHERE d.knowledge_base_id = k.id) AS documents
            FROM knowledge_bases k WHERE %(name)s::text IS NULL OR k.name = %(name)s ORDER BY k.name
            """,
            name=name,
        )
        return [KnowledgeBase(**row) for row in rows]
