"""Keeps the vector index in step with the database, which holds every vector too.

Chroma can lose vectors in a crash while its counts still look right (chroma issue #7678), so a check fetches
vectors and looks for them by themselves. What fails is not mended: the next generation is built beside it and
then takes its place; meanwhile questions are answered by words alone.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from app.embedding.base import Embedder
from app.errors import Unavailable
from app.ingestion.queue import Queue
from app.stores.database import Database
from app.stores.generations import Generation, Generations
from app.stores.passages import Passages, from_rows
from app.stores.vectors import IndexBroken, VectorIndex, Vectors

QUICK, DEEP = 200, 5_000  # vectors fetched: the newest, and as many from anywhere
PROBES = 20  # vectors that must find themselves
NEIGHBOURS = 10  # among so many: duplicates have the same vector
FALLS = 3  # times that the server may go away under checks before the index is taken to be the cause
CLOSE = 0.999  # cosine of a vector with itself, after its way through Chroma
log = logging.getLogger(__name__)


class IndexKeeper:
    """Checks and rebuilds the index of one knowledge base at a time."""

    def __init__(self, database: Database, index: VectorIndex, embedder: Embedder, queue: Queue) -> None:
        self._database = database
        self._index = index
        self._embedder = embedder
        self._queue = queue
        self._generations = Generations(database)
        self._passages = Passages(database)
        self._falls: Counter[int] = Counter()

    async def writable(self, knowledge_base_id: int) -> list[Generation]:
        """The generations that a new document must be in; none while a broken one waits for its successor.

        A knowledge base that never had one gets its first.
        """
        return await self._generations.first(
            knowledge_base_id, self._embedder.name, self._embedder.dimension, self._index.create
        )

    async def write(self, generation: Generation, ids: Sequence[int], vectors: Vectors) -> None:
        """Put vectors (shape (n, dimension)) into a generation.

        Those of passages that were removed meanwhile are taken out again: the sweep that should have done it
        may have come first. Raises :class:`IndexBroken`, :class:`Unavailable`.
        """
        await self._index.upsert(generation.collection, ids, vectors)
        if gone := await self._passages.gone(ids):
            await self._index.delete(generation.collection, gone)

    async def report(self, generation: Generation, reason: str) -> None:
        """Take a generation that failed out of service and see to its successor."""
        if await self._generations.mark_broken(generation, reason):
            log.warning("index of knowledge base %s is broken: %s", generation.knowledge_base_id, reason)
        await self._queue.check_index(generation.knowledge_base_id, deep=False)

    async def check_all(self, *, deep: bool) -> None:
        """Queue a check of every knowledge base that has an index."""
        for knowledge_base_id in sorted({g.knowledge_base_id for g in await self._generations.all()}):
            await self._queue.check_index(knowledge_base_id, deep=deep)

    async def check(self, knowledge_base_id: int, *, deep: bool) -> bool:
        """Compare the index with the database and rebuild it if it is wrong; ``True`` if it was right.

        Raises :class:`Unavailable` when Chroma or the database is away.
        """
        if not await self._generations.all(knowledge_base_id):
            return True
        serving = await self._generations.serving(knowledge_base_id)
        if serving is not None and serving.model == self._embedder.name:
            try:
                await self._compare(serving, deep=deep)
                return True
            except IndexBroken as broken:
                await self._generations.mark_broken(serving, broken.message)
                log.warning(
                    "index of knowledge base %s: %s Rebuilding it.", knowledge_base_id, broken.message
                )
        await self.rebuild(knowledge_base_id)
        return False

    async def rebuild(self, knowledge_base_id: int) -> Generation:
        """Build the next generation from the stored vectors, verify it and let it serve.

        Vectors of another model are made anew from the passages' texts.
        """
        await self._forget_unfinished(knowledge_base_id)
        generation = await self._generations.begin(
            knowledge_base_id, self._embedder.name, self._embedder.dimension
        )
        await self._index.create(generation.collection)
        after, copied = 0, 0
        while True:
            ids, models, vectors = await self._passages.ready(knowledge_base_id, after=after)
            if not ids:
                break
            await self.write(generation, ids, await self._of_this_model(ids, models, vectors))
            after, copied = ids[-1], copied + len(ids)
        await self._verify(generation, DEEP)
        if not await self._generations.promote(generation):
            raise IndexBroken(collection=generation.collection, why="it was given up while it was built")
        async with self._database.transaction() as connection:
            await self._queue.sweep(connection)
        log.info("index of knowledge base %s rebuilt: %d passages", knowledge_base_id, copied)
        return generation

    async def _compare(self, serving: Generation, *, deep: bool) -> None:
        """Raise :class:`IndexBroken` if the index is wrong, or brings its server down whenever it is read."""
        await self._index.check()
        try:
            if deep:
                await self._take_out_strays(serving)
            await self._verify(serving, DEEP if deep else QUICK)
        except Unavailable as error:
            if error.details.get("what") != "Chroma":
                raise
            # it answered a moment ago; a damaged graph ends the whole process, time and again
            self._falls[serving.id] += 1
            if self._falls[serving.id] < FALLS:
                raise
            raise IndexBroken(
                collection=serving.collection, why=f"Chroma broke off {FALLS} times while reading it"
            ) from error
        self._falls.pop(serving.id, None)

    async def _take_out_strays(self, generation: Generation) -> None:
        """Remove vectors that no passage has: a kill came between their writing and their removal."""
        held = await self._index.ids(generation.collection)
        # read after the index, since a passage is in the database before its vector is anywhere else
        if strays := await self._passages.gone(held):
            log.info("index of knowledge base %s: %d strays", generation.knowledge_base_id, len(strays))
            await self._index.delete(generation.collection, strays)

    async def _forget_unfinished(self, knowledge_base_id: int) -> None:
        """Generations that a killed rebuild left are given up."""
        for generation in await self._generations.all(knowledge_base_id):
            if generation.state == "building":
                await self._generations.mark_broken(generation, "its rebuild did not finish")

    async def _of_this_model(self, ids: list[int], models: list[str], vectors: Vectors) -> Vectors:
        stale = [i for i, model in zip(ids, models, strict=True) if model != self._embedder.name]
        if not stale:
            return vectors
        made = await self._embedder.embed(await self._passages.texts(stale))
        await self._passages.replace_vectors(stale, self._embedder.name, made)
        new = dict(zip(stale, made, strict=True))
        rows = await self._database.rows(
            "SELECT chunk_id, vector FROM chunk_vectors WHERE chunk_id = ANY (%s::bigint[])", ids
        )
        kept = {row["chunk_id"]: from_rows([row["vector"]])[0] for row in rows}
        return np.stack([new[i] if i in new else kept[i] for i in ids])

    async def _verify(self, generation: Generation, amount: int) -> None:
        """Raise :class:`IndexBroken` unless a sample of the vectors is there, right, and found."""
        ids, stored = await self._sample(generation.knowledge_base_id, amount)
        if not ids:
            await self._index.count(generation.collection)
            return
        held = await self._index.get(generation.collection, ids)
        missing = [i for i in ids if i not in held]
        if missing:
            missing = await self._still_ready(missing)
        if missing:
            raise IndexBroken(
                collection=generation.collection, why=f"{len(missing)} of {len(ids)} vectors missing"
            )
        for chunk_id, vector in zip(ids, stored, strict=True):
            found = held.get(chunk_id)
            if found is not None and not _same(found, vector):
                raise IndexBroken(collection=generation.collection, why=f"vector {chunk_id} is another")
        step = max(1, len(ids) // PROBES)
        for chunk_id, vector in list(zip(ids, stored, strict=True))[::step]:
            nearest = await self._index.query(generation.collection, vector, NEIGHBOURS)
            same = any(similarity > CLOSE for _, similarity in nearest)
            if not same and await self._still_ready([chunk_id]):
                raise IndexBroken(
                    collection=generation.collection, why=f"vector {chunk_id} does not find itself"
                )

    async def _sample(self, knowledge_base_id: int, amount: int) -> tuple[list[int], Vectors]:
        rows = await self._database.rows(
            """
            WITH ready AS (
                SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document_id
                WHERE d.knowledge_base_id = %(kb)s AND d.state = 'ready'
            ), sample AS (
                (SELECT id FROM ready ORDER BY id DESC LIMIT %(n)s)
                UNION (SELECT id FROM ready ORDER BY hashint8extended(id, %(seed)s) LIMIT %(n)s)
            )
            SELECT v.chunk_id, v.vector FROM sample JOIN chunk_vectors v ON v.chunk_id = sample.id
            WHERE v.model = %(model)s ORDER BY v.chunk_id
            """,
            kb=knowledge_base_id,
            n=amount,
            seed=random.getrandbits(32),  # other ones each time
            model=self._embedder.name,
        )
        return [row["chunk_id"] for row in rows], from_rows([row["vector"] for row in rows])

    async def _still_ready(self, ids: Sequence[int]) -> list[int]:
        """Those whose document was not removed since they were read."""
        rows = await self._database.rows(
            """SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document_id
            WHERE c.id = ANY (%s::bigint[]) AND d.state = 'ready'""",
            list(ids),
        )
        return [row["id"] for row in rows]


def _same(one: Vectors, other: Vectors) -> bool:
    return one.shape == other.shape and float(one @ other) > CLOSE
