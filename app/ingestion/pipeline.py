"""One document from stored bytes to ready, in steps that can be broken off anywhere and taken up again.

1. parse: pages go to PostgreSQL as they come; not finished means from the beginning.
2. index: passages with their vectors go to PostgreSQL in windows, in order; those stored are not made again.
   Each window's vectors go to Chroma, where the same write twice changes nothing.
3. publish: one transaction.

An advisory lock keeps a second worker off: one that was believed dead, but only slow, may still be at it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg

from app.chunking.chunker import Chunker
from app.embedding.base import Embedder
from app.errors import AssistantError, NotFound
from app.ingestion.index_keeper import IndexKeeper
from app.ingestion.publish import drop_contents, publish
from app.ingestion.queue import Queue
from app.parsing.model import Empty, Limits, Page, Unreadable
from app.parsing.sandbox import ParserPool
from app.retrieval.words import language_of, words
from app.scratch import scratch_folder
from app.stores.database import Database
from app.stores.documents import WORKING, Document, Documents, store_pages
from app.stores.generations import Generation
from app.stores.objects.interface import ObjectStore
from app.stores.objects.keys import document_key
from app.stores.passages import NewPassage, Passages, text_to_embed
from app.stores.vectors import IndexBroken, Vectors

WINDOW = 256  # passages embedded, stored and indexed at a time
PAGES_AT_ONCE = 32
log = logging.getLogger(__name__)
Observe = Callable[[str, float], None]


class Busy(AssistantError):
    """Another worker is still at document {document}."""

    status = 409
    advice = "It is tried again shortly."


@dataclass(frozen=True, slots=True)
class Recipe:
    """How documents are cut: sizes in the embedding model's tokens."""

    tokens: int = 200
    overlap: int = 30


class Pipeline:
    """Reads documents; several may run at once. ``observe(stage, seconds)`` is told how long stages took."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        embedder: Embedder,
        parsers: ParserPool,
        queue: Queue,
        keeper: IndexKeeper,
        *,
        scratch: Path,
        limits: Limits,
        recipe: Recipe,
        observe: Observe = lambda _stage, _seconds: None,
    ) -> None:
        self._database = database
        self._objects = objects
        self._embedder = embedder
        self._parsers = parsers
        self._queue = queue
        self._keeper = keeper
        self._scratch = scratch
        self._limits = limits
        self._recipe = recipe
        self._observe = observe
        self._documents = Documents(database)
        self._passages = Passages(database)

    async def ingest(self, document_id: UUID) -> None:
        """Bring a document to ``ready`` or to the state that says why it can't be read.

        Raises :class:`Busy`, :class:`Unavailable` and whatever else is worth another try.
        """
        started = time.perf_counter()
        async with self._alone(document_id):
            try:
                document = await self._documents.get(document_id)
                if document.state not in WORKING:
                    return
                if not document.parsed:
                    async with self._timed("parse"):
                        await self._parse(document)
                passages = await self._index_and_publish(await self._documents.get(document_id))
                seconds = time.perf_counter() - started
                log.info("document %s is ready: %d passages after %.1f s", document_id, passages, seconds)
            except NotFound:
                log.info("document %s was removed while it was read", document_id)
            except Unreadable as reason:
                log.info("document %s: %s", document_id, reason.reason)
                await self._give_up(document_id, reason)

    async def _parse(self, document: Document) -> None:
        await self._begin_parsing(document.id)
        with scratch_folder(self._scratch, "parse") as folder:
            file = Path(folder) / "document"
            await self._objects.get_to_file(document_key(document.sha256), file)
            sample = ""
            waiting: list[Page] = []
            async with aclosing(self._parsers.parse(file, document.name, self._limits)) as pages:
                async for page in pages:
                    waiting.append(page)
                    sample = sample if len(sample) > 2_000 else f"{sample}\n{page.text}"
                    if len(waiting) >= PAGES_AT_ONCE:
                        await self._store(document.id, waiting)
                        waiting = []
            await self._store(document.id, waiting)
        await self._database.execute(
            """UPDATE documents SET parsed = true, state = 'indexing', language = %s, updated_at = now()
            WHERE id = %s""",
            await asyncio.to_thread(language_of, sample),
            document.id,
        )

    async def _begin_parsing(self, document_id: UUID) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                """UPDATE documents SET state = 'parsing', pages = 0, chunks_done = 0, chunks_total = NULL,
                updated_at = now() WHERE id = %s""",
                (document_id,),
            )
            await drop_contents(connection, document_id)

    async def _store(self, document_id: UUID, pages: Sequence[Page]) -> None:
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT 1 FROM documents WHERE id = %s FOR UPDATE", (document_id,)
            )
            if await cursor.fetchone() is None:
                raise NotFound(kind="document", name=document_id)
            await store_pages(connection, document_id, pages)

    async def _index_and_publish(self, document: Document) -> int:
        """How many passages it has."""
        async with self._timed("chunk"):
            passages = await self._cut(document)
        if not passages:
            raise Empty
        await self._database.execute(
            "UPDATE documents SET chunks_total = %s WHERE id = %s", len(passages), document.id
        )
        written: list[Generation] = []
        await self._embed_missing(document, passages, written)
        while True:
            generations = await self._keeper.writable(document.knowledge_base_id)
            for generation in generations:
                if generation not in written:
                    await self._write_all(document, generation)
                    written.append(generation)
            async with self._timed("publish"):
                if await publish(self._database, self._queue, document.id, [g.id for g in written]):
                    return len(passages)

    async def _cut(self, document: Document) -> list[NewPassage]:
        pages = await self._documents.pages(document.id)
        title = Path(document.name).stem

        def cut() -> list[NewPassage]:
            chunker = Chunker(
                self._embedder.token_spans,
                max_tokens=self._recipe.tokens,
                overlap_tokens=self._recipe.overlap,
            )
            found: list[NewPassage] = []
            for page in pages:
                for chunk in chunker.page(page.text):
                    text = page.text[chunk.start : chunk.end]
                    # a chunk from the middle of a table is not understood without the names of its columns
                    headings = "\n".join(filter(None, [" > ".join(chunk.headings), chunk.table_header]))
                    found.append(
                        NewPassage(
                            ordinal=len(found),
                            page=page.number,
                            start=chunk.start,
                            end=chunk.end,
                            headings=headings,
                            tokens=chunk.tokens,
                            text=text,
                            words=words(f"{title}\n{page.title or ''}\n{headings}\n{text}"),
                        )
                    )
            return found

        return await asyncio.to_thread(cut)

    async def _embed_missing(
        self, document: Document, passages: Sequence[NewPassage], written: list[Generation]
    ) -> None:
        """Embed what is not stored yet; while a window is stored, the next is being embedded."""
        done = await self._passages.count(document.id)
        if done == 0:
            written += await self._keeper.writable(document.knowledge_base_id)
        storing: asyncio.Task[None] | None = None
        try:
            for first in range(done, len(passages), WINDOW):
                window = passages[first : first + WINDOW]
                async with self._timed("embed"):
                    vectors = await self._embedder.embed([text_to_embed(p.headings, p.text) for p in window])
                if storing:
                    await storing
                storing = asyncio.create_task(self._store_window(document, window, vectors, written))
            if storing:
                await storing
        finally:
            if storing and not storing.done():
                storing.cancel()

    async def _store_window(
        self,
        document: Document,
        window: Sequence[NewPassage],
        vectors: Vectors,
        generations: Sequence[Generation],
    ) -> None:
        async with self._timed("store"):
            ids = await self._passages.add(
                document.id,
                document.knowledge_base_id,
                document.language or "simple",
                self._embedder.name,
                window,
                vectors,
            )
        if not ids:
            raise NotFound(kind="document", name=document.id)
        async with self._timed("index"):
            for generation in generations:
                await self._upsert(generation, ids, vectors)

    async def _write_all(self, document: Document, generation: Generation) -> None:
        """Put all stored vectors of a document into a collection that has not got them yet."""
        first = 0
        while True:
            ids, vectors = await self._passages.vectors(document.id, first=first, limit=1_000)
            if not ids:
                return
            if not await self._upsert(generation, ids, vectors):
                return
            first += len(ids)

    async def _upsert(self, generation: Generation, ids: Sequence[int], vectors: Vectors) -> bool:
        """Write to one collection; a broken one is reported and left to its successor."""
        try:
            await self._keeper.write(generation, ids, vectors)
        except IndexBroken as broken:
            await self._keeper.report(generation, broken.message)
            return False
        return True

    async def _give_up(self, document_id: UUID, reason: Unreadable) -> None:
        async with self._database.transaction() as connection:
            await drop_contents(connection, document_id)
            await connection.execute(
                """UPDATE documents SET state = %s, message = %s, pages = 0, chunks_done = 0,
                updated_at = now() WHERE id = %s""",
                (reason.reason, reason.sentence(), document_id),
            )

    @asynccontextmanager
    async def _alone(self, document_id: UUID) -> AsyncIterator[None]:
        """Hold the document's lock, on a connection of its own that dies with this process."""
        key = f"ingest-{document_id}"
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS mine", (key,)
            )
            row = await cursor.fetchone()
            if not row or not row["mine"]:
                raise Busy(document=document_id)
            try:
                yield
            finally:
                with suppress(psycopg.OperationalError):  # it went with its connection
                    await connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (key,))

    @asynccontextmanager
    async def _timed(self, stage: str) -> AsyncIterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._observe(stage, time.perf_counter() - started)
