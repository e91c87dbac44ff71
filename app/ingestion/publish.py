"""The moment a version becomes what answers, and its predecessors go: one transaction.

The counts that lexical ranking needs (passages, and passages per word) change in the same transaction, so
they always speak of exactly the ready documents. The caller holds the knowledge base's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.ingestion.queue import Queue
from app.stores.database import Connection, Database
from app.stores.generations import lock_knowledge_base

COUNT_WORDS = """
    SELECT term, count(*) AS n
    FROM chunk_terms, unnest(tsvector_to_array(terms)) AS term
    WHERE document_id = ANY (%s::uuid[]) GROUP BY term
"""

NOTE_VECTORS = """
    INSERT INTO removed_vectors
    SELECT d.knowledge_base_id, c.id FROM chunks c JOIN documents d ON d.id = c.document_id
    WHERE d.id = ANY (%s)
"""


async def publish(database: Database, queue: Queue, document_id: UUID, generation_ids: Sequence[int]) -> bool:
    """Make an indexed document ready and remove the older versions of its name.

    ``generation_ids`` are those its vectors were written to. ``False``: another one has been begun since, so
    write to that too and come again. A document that is gone, or that a newer version has overtaken, is done.
    """
    async with database.transaction() as connection:
        cursor = await connection.execute(
            "SELECT knowledge_base_id, name, version, language, state FROM documents WHERE id = %s",
            (document_id,),
        )
        document = await cursor.fetchone()
        if document is None:
            return True
        knowledge_base_id = document["knowledge_base_id"]
        await lock_knowledge_base(connection, knowledge_base_id)
        cursor = await connection.execute(
            "SELECT 1 FROM generations WHERE knowledge_base_id = %s AND state <> 'broken' AND id <> ALL (%s)",
            (knowledge_base_id, list(generation_ids)),
        )
        if await cursor.fetchone():
            return False
        cursor = await connection.execute(
            "SELECT id, version, state FROM documents WHERE knowledge_base_id = %s AND name = %s FOR UPDATE",
            (knowledge_base_id, document["name"]),
        )
        versions = await cursor.fetchall()
        this = next((v for v in versions if v["id"] == document_id), None)
        if this is None or this["state"] == "ready":
            return True
        if any(v["version"] > this["version"] and v["state"] == "ready" for v in versions):
            await retire(connection, knowledge_base_id, [document_id])
        else:
            await _make_ready(connection, knowledge_base_id, document_id, document["language"])
            older = [v["id"] for v in versions if v["version"] < this["version"]]
            await retire(connection, knowledge_base_id, older)
        await queue.sweep(connection)
    return True


async def _make_ready(
    connection: Connection, knowledge_base_id: int, document_id: UUID, language: str
) -> None:
    await connection.execute(
        f"""INSERT INTO term_counts AS t (term, chunks) {COUNT_WORDS}
        ON CONFLICT (term) DO UPDATE SET chunks = t.chunks + excluded.chunks""",
        ([document_id],),
    )
    await connection.execute(
        """UPDATE knowledge_bases SET
            passages = passages + (SELECT count(*) FROM chunks WHERE document_id = %(document)s),
            languages = ARRAY(SELECT DISTINCT unnest(languages || ARRAY[%(language)s::text]) ORDER BY 1)
        WHERE id = %(kb)s""",
        {"document": document_id, "language": language, "kb": knowledge_base_id},
    )
    await connection.execute(
        "UPDATE documents SET state = 'ready', message = NULL, updated_at = now() WHERE id = %s",
        (document_id,),
    )


async def retire(connection: Connection, knowledge_base_id: int, document_ids: Sequence[UUID]) -> None:
    """Remove documents with all their rows, and note what else there is of them to remove."""
    if not document_ids:
        return
    ids = list(document_ids)
    cursor = await connection.execute(
        "SELECT id FROM documents WHERE id = ANY (%s) AND state = 'ready'", (ids,)
    )
    ready = [row["id"] for row in await cursor.fetchall()]
    await connection.execute(
        f"""UPDATE term_counts t SET chunks = t.chunks - w.n FROM ({COUNT_WORDS}) w WHERE t.term = w.term""",
        (ready,),
    )
    await connection.execute(
        """UPDATE knowledge_bases SET passages = passages - (
            SELECT count(*) FROM chunks WHERE document_id = ANY (%s)) WHERE id = %s""",
        (ready, knowledge_base_id),
    )
    await connection.execute(NOTE_VECTORS, (ids,))
    await connection.execute(
        "INSERT INTO removed_objects SELECT sha256 FROM documents WHERE id = ANY (%s)", (ids,)
    )
    await connection.execute("DELETE FROM documents WHERE id = ANY (%s)", (ids,))


async def drop_contents(connection: Connection, document_id: UUID) -> None:
    """Remove the pages and passages of a document that is not ready, so that it can be read again."""
    await connection.execute(NOTE_VECTORS, ([document_id],))
    await connection.execute("DELETE FROM chunks WHERE document_id = %s", (document_id,))
    await connection.execute("DELETE FROM pages WHERE document_id = %s", (document_id,))
