"""Which Chroma collection serves a knowledge base, and which is being built to follow it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from app.errors import NotFound
from app.stores.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Generation:
    """All ready passages of a knowledge base as vectors of one model; ``collection`` is Chroma's name."""

    id: int
    knowledge_base_id: int
    model: str
    dimension: int
    collection: str
    state: Literal["building", "serving", "broken"]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search has to know of a knowledge base, read at once.

    ``languages`` are those of its ready documents. ``serving`` is the generation that answers; without one,
    ``indexed`` tells an empty knowledge base (``False``) from one whose index is being rebuilt.
    """

    knowledge_base_id: int
    languages: list[str]
    indexed: bool
    serving: Generation | None


COLUMNS = "id, knowledge_base_id, model, dimension, collection, state, reason"


class Generations:
    """The table of that name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def serving(self, knowledge_base_id: int) -> Generation | None:
        """The one that answers questions, if there is one."""
        row = await self._database.row(
            f"SELECT {COLUMNS} FROM generations WHERE knowledge_base_id = %s AND state = 'serving'",
            knowledge_base_id,
        )
        return Generation(**row) if row else None

    async def scope(self, knowledge_base: str) -> Scope:
        """Of the knowledge base of this name; raises :class:`NotFound`."""
        row = await self._database.row(
            """
            SELECT k.id AS knowledge_base_id, k.languages,
                   g.id, g.model, g.dimension, g.collection, g.state, g.reason,
                   EXISTS (SELECT 1 FROM generations o WHERE o.knowledge_base_id = k.id) AS indexed
            FROM knowledge_bases k
            LEFT JOIN generations g ON g.knowledge_base_id = k.id AND g.state = 'serving'
            WHERE k.name = %s
            """,
            knowledge_base,
        )
        if row is None:
            raise NotFound(kind="knowledge base", name=knowledge_base)
        serving = None
        if row["id"] is not None:
            serving = Generation(**{field: row[field] for field in Generation.__slots__})
        return Scope(row["knowledge_base_id"], row["languages"], row["indexed"], serving)

    async def all(self, knowledge_base_id: int | None = None) -> list[Generation]:
        """All of one knowledge base, or all there are; oldest first."""
        rows = await self._database.rows(
            f"""SELECT {COLUMNS} FROM generations
            WHERE %(kb)s::bigint IS NULL OR knowledge_base_id = %(kb)s ORDER BY id""",
            kb=knowledge_base_id,
        )
        return [Generation(**row) for row in rows]

    async def first(
        self,
        knowledge_base_id: int,
        model: str,
        dimension: int,
        create: Callable[[str], Awaitable[None]],
    ) -> list[Generation]:
        """Those that are not broken; if there never was one, make it, with ``create`` for its collection."""
        async with self._database.transaction() as connection:
            await lock_knowledge_base(connection, knowledge_base_id)
            cursor = await connection.execute(
                f"SELECT {COLUMNS} FROM generations WHERE knowledge_base_id = %s ORDER BY id",
                (knowledge_base_id,),
            )
            found = [Generation(**row) for row in await cursor.fetchall()]
            if not found:
                cursor = await connection.execute(
                    f"""INSERT INTO generations (knowledge_base_id, model, dimension, state)
                    SELECT id, %s, %s, 'serving' FROM knowledge_bases WHERE id = %s RETURNING {COLUMNS}""",
                    (model, dimension, knowledge_base_id),
                )
                found = [Generation(**row) for row in await cursor.fetchall()]
                for generation in found:
                    await create(generation.collection)
        return [generation for generation in found if generation.state != "broken"]

    async def begin(self, knowledge_base_id: int, model: str, dimension: int) -> Generation:
        """Start the next one. Documents that become ready from now on are written to it as well."""
        async with self._database.transaction() as connection:
            await lock_knowledge_base(connection, knowledge_base_id)
            cursor = await connection.execute(
                f"""INSERT INTO generations (knowledge_base_id, model, dimension, state)
                VALUES (%s, %s, %s, 'building') RETURNING {COLUMNS}""",
                (knowledge_base_id, model, dimension),
            )
            row = await cursor.fetchone()
        return Generation(**row) if row else await self.begin(knowledge_base_id, model, dimension)

    async def promote(self, generation: Generation) -> bool:
        """Let a finished one serve in the place of all before it, whose collections are noted for removal.

        ``False``: it has been given up meanwhile, so it may lack what became ready since.
        """
        async with self._database.transaction() as connection:
            await lock_knowledge_base(connection, generation.knowledge_base_id)
            cursor = await connection.execute(
                "SELECT 1 FROM generations WHERE id = %s AND state = 'building'", (generation.id,)
            )
            if await cursor.fetchone() is None:
                return False
            cursor = await connection.execute(
                f"""DELETE FROM generations WHERE knowledge_base_id = %s AND id < %s RETURNING {COLUMNS}""",
                (generation.knowledge_base_id, generation.id),
            )
            old = [Generation(**row) for row in await cursor.fetchall()]
            await connection.execute(
                "INSERT INTO removed_collections (name) SELECT unnest(%s::text[])",
                ([one.collection for one in old],),
            )
            await connection.execute(
                "UPDATE generations SET state = 'serving' WHERE id = %s", (generation.id,)
            )
        return True

    async def mark_broken(self, generation: Generation, reason: str) -> bool:
        """Take one out of service; ``False`` if somebody did so before."""
        changed = await self._database.execute(
            "UPDATE generations SET state = 'broken', reason = %s WHERE id = %s AND state <> 'broken'",
            reason[:500],
            generation.id,
        )
        return changed == 1

    async def distrust(self, reason: str) -> list[int]:
        """Take all out of service; ids of the knowledge bases that wait for another one now."""
        await self._database.execute(
            "UPDATE generations SET state = 'broken', reason = %s WHERE state <> 'broken'", reason[:500]
        )
        return await self.waiting()

    async def waiting(self) -> list[int]:
        """Ids of the knowledge bases whose questions are answered by words alone until another one serves."""
        rows = await self._database.rows(
            """SELECT knowledge_base_id AS id FROM generations GROUP BY 1
            HAVING NOT bool_or(state = 'serving') ORDER BY 1"""
        )
        return [row["id"] for row in rows]


async def lock_knowledge_base(connection: Connection, knowledge_base_id: int) -> None:
    """Hold off all other changes to what is ready in a knowledge base until the transaction ends."""
    await connection.execute("SELECT 1 FROM knowledge_bases WHERE id = %s FOR UPDATE", (knowledge_base_id,))
