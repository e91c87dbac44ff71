"""Removes outside of PostgreSQL what transactions inside it have let go; may be broken off at any point."""

from __future__ import annotations

from app.ingestion.intake import hold_object
from app.stores.database import Database
from app.stores.generations import Generations
from app.stores.objects.interface import ObjectStore
from app.stores.objects.keys import document_key
from app.stores.vectors import IndexBroken, VectorIndex


class Sweeper:
    """Bytes that no document has any more, vectors of removed passages, collections out of use."""

    def __init__(self, database: Database, objects: ObjectStore, index: VectorIndex) -> None:
        self._database = database
        self._objects = objects
        self._index = index
        self._generations = Generations(database)

    async def sweep(self) -> None:
        """Remove all that is noted; raises :class:`Unavailable` when a store is away."""
        await self._objects_gone()
        await self._collections_gone()
        await self._vectors_gone()
        await self._database.execute("DELETE FROM term_counts WHERE chunks <= 0")

    async def _objects_gone(self) -> None:
        for row in await self._database.rows("SELECT DISTINCT sha256 FROM removed_objects"):
            sha256 = row["sha256"]
            async with self._database.transaction() as connection:
                await hold_object(connection, sha256)
                cursor = await connection.execute("SELECT 1 FROM documents WHERE sha256 = %s", (sha256,))
                if await cursor.fetchone() is None:
                    await self._objects.delete(document_key(sha256))
                await connection.execute("DELETE FROM removed_objects WHERE sha256 = %s", (sha256,))

    async def _collections_gone(self) -> None:
        for row in await self._database.rows("SELECT DISTINCT name FROM removed_collections"):
            await self._index.drop(row["name"])
            await self._database.execute("DELETE FROM removed_collections WHERE name = %s", row["name"])

    async def _vectors_gone(self) -> None:
        for row in await self._database.rows(
            "SELECT knowledge_base_id AS kb, array_agg(chunk_id) AS ids FROM removed_vectors GROUP BY 1"
        ):
            for generation in await self._generations.all(row["kb"]):
                if generation.state != "broken":
                    try:
                        await self._index.delete(generation.collection, row["ids"])
                    except IndexBroken:
                        # its successor is built without them
                        continue
            await self._database.execute(
                "DELETE FROM removed_vectors WHERE knowledge_base_id = %s AND chunk_id = ANY (%s::bigint[])",
                row["kb"],
                row["ids"],
            )
