"""Taking documents in, and letting them go again.

The bytes are safe in the object store before the row exists, and the row and its job come into being in one
transaction: once a caller has an answer, nothing of it can be lost.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from app.errors import AssistantError
from app.ingestion.names import clean_name
from app.ingestion.publish import retire
from app.ingestion.queue import Queue
from app.stores.database import Connection, Database
from app.stores.documents import UNREADABLE, Document, Documents, get_document
from app.stores.generations import lock_knowledge_base
from app.stores.knowledge_bases import KnowledgeBase
from app.stores.objects.errors import ObjectNotFound
from app.stores.objects.interface import ObjectStore
from app.stores.objects.keys import document_key, hash_file


class NothingToRetry(AssistantError):
    """'{name}' is {state}, so there is nothing to try again."""

    status = 409
    advice = "Only documents that could not be read can be tried again."


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an upload. ``duplicate``: the same file was here already, and nothing was added."""

    document: Document
    duplicate: bool


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is uploaded; ``id`` is that of its document unless the file is here already."""

    id: UUID
    knowledge_base_id: int
    name: str
    sha256: str
    size_bytes: int


class Intake:
    """Uploads, retries and removals, each whole or not at all."""

    def __init__(self, database: Database, objects: ObjectStore, queue: Queue) -> None:
        self._database = database
        self._objects = objects
        self._queue = queue
        self._documents = Documents(database)

    async def accept(self, knowledge_base: KnowledgeBase, name: str, file: Path) -> Accepted:
        """Take in the bytes of ``file`` under ``name``.

        The same bytes under the same name are recognised, also under another name if no document has the
        new one. Other bytes under a name that is there become its next version, which replaces the old one
        when it is ready. Raises :class:`Unavailable` when the database or the object store is away; then
        nothing was taken.
        """
        name = clean_name(name)
        sha256 = await asyncio.to_thread(hash_file, file)
        size = await asyncio.to_thread(lambda: file.stat().st_size)
        key = document_key(sha256)
        # noted for removal until a row has them, so that a kill in between leaves no bytes behind
        await self._database.execute("INSERT INTO removed_objects (sha256) VALUES (%s)", sha256)
        with suppress(ObjectNotFound):  # a sweep removed it before it was looked at
            await self._objects.put_file(key, file)
        new = NewFile(uuid4(), knowledge_base.id, name, sha256, size)

        async def take_in(connection: Connection) -> Document:
            await hold_object(connection, sha256)
            if not await self._objects.exists(key):
                # a sweep came between; now none can
                await self._objects.put_file(key, file)
            await lock_knowledge_base(connection, knowledge_base.id)
            found = await self._same_file(connection, new)
            if found is None:
                await self._insert(connection, new)
            await connection.execute("DELETE FROM removed_objects WHERE sha256 = %s", (sha256,))
            return await get_document(connection, found or new.id)

        # done twice, it finds its own document
        document = await self._database.write(take_in, repeatable=True)
        duplicate = document.id != new.id
        if duplicate and document.state in UNREADABLE:
            document = await self.retry(document.id)
        return Accepted(document, duplicate=duplicate)

    async def retry(self, document_id: UUID) -> Document:
        """Read a document again that could not be read; raises :class:`NothingToRetry`, ``NotFound``."""

        async def queue_again(connection: Connection) -> Document:
            cursor = await connection.execute(
                """UPDATE documents SET state = 'queued', message = NULL, parsed = false, pages = 0,
                chunks_done = 0, chunks_total = NULL, updated_at = now()
                WHERE id = %s AND state = ANY (%s::text[]) RETURNING knowledge_base_id""",
                (document_id, list(UNREADABLE)),
            )
            changed = await cursor.fetchone()
            if changed is None:
                document = await get_document(connection, document_id)
                raise NothingToRetry(name=document.name, state=document.state)
            await self._enqueue(connection, document_id, changed["knowledge_base_id"])
            return await get_document(connection, document_id)

        return await self._database.write(queue_again)

    async def delete(self, document_id: UUID) -> None:
        """Remove a document everywhere; raises :class:`NotFound`.

        It stops answering at once. Its bytes and vectors follow by a job that is tried until it is done.
        """
        document = await self._documents.get(document_id)

        async def remove(connection: Connection) -> None:
            await lock_knowledge_base(connection, document.knowledge_base_id)
            await retire(connection, document.knowledge_base_id, [document_id])
            await self._queue.sweep(connection)

        await self._database.write(remove, repeatable=True)

    async def delete_knowledge_base(self, knowledge_base: KnowledgeBase) -> None:
        """Remove a knowledge base with all its documents."""

        async def remove(connection: Connection) -> None:
            await lock_knowledge_base(connection, knowledge_base.id)
            await connection.execute(
                """INSERT INTO removed_objects
                SELECT DISTINCT sha256 FROM documents WHERE knowledge_base_id = %s""",
                (knowledge_base.id,),
            )
            await connection.execute(
                """INSERT INTO removed_collections
                SELECT collection FROM generations WHERE knowledge_base_id = %s""",
                (knowledge_base.id,),
            )
            await connection.execute(
                "DELETE FROM term_counts WHERE starts_with(term, %s)", (f"{knowledge_base.id}:",)
            )
            await connection.execute("DELETE FROM knowledge_bases WHERE id = %s", (knowledge_base.id,))
            await self._queue.sweep(connection)

        await self._database.write(remove, repeatable=True)

    async def _same_file(self, connection: Connection, new: NewFile) -> UUID | None:
        """The document that makes this upload unnecessary, if there is one."""
        cursor = await connection.execute(
            """SELECT id, name, version, sha256 FROM documents
            WHERE knowledge_base_id = %s AND (name = %s OR sha256 = %s)""",
            (new.knowledge_base_id, new.name, new.sha256),
        )
        rows = await cursor.fetchall()
        versions = [row for row in rows if row["name"] == new.name]
        for row in versions:
            if row["sha256"] == new.sha256:
                # an older version was uploaded again: what was meant to follow it is out of date
                newer = [other["id"] for other in versions if other["version"] > row["version"]]
                await retire(connection, new.knowledge_base_id, newer)
                await self._queue.sweep(connection)
                return UUID(str(row["id"]))
        elsewhere = [row for row in rows if row["name"] != new.name]
        return UUID(str(elsewhere[0]["id"])) if elsewhere and not versions else None

    async def _insert(self, connection: Connection, new: NewFile) -> None:
        await connection.execute(
            """INSERT INTO documents (id, knowledge_base_id, name, version, sha256, size_bytes)
            SELECT %(id)s, %(kb)s, %(name)s, coalesce(max(version), 0) + 1, %(sha256)s, %(size)s
            FROM documents WHERE knowledge_base_id = %(kb)s AND name = %(name)s""",
            {
                "id": new.id,
                "kb": new.knowledge_base_id,
                "name": new.name,
                "sha256": new.sha256,
                "size": new.size_bytes,
            },
        )
        await self._enqueue(connection, new.id, new.knowledge_base_id)

    async def _enqueue(self, connection: Connection, document_id: UUID, knowledge_base_id: int) -> None:
        job_id = await self._queue.ingest(connection, document_id, knowledge_base_id)
        await connection.execute("UPDATE documents SET job_id = %s WHERE id = %s", (job_id, document_id))


async def hold_object(connection: Connection, sha256: str) -> None:
    """Let nobody else remove or bring back these bytes until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"object-{sha256}",))
