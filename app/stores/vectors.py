"""Chroma: one collection for each generation of a knowledge base's index.

Only ids (chunk ids as text) and vectors are kept there. Its faults become :class:`Unavailable` (away) or
:class:`IndexBroken` (there, but wrong), so that callers can go on by words alone.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from app.errors import AssistantError, Unavailable

BATCH = 2_000  # a request's vectors; the server takes up to 5,461
LISTED = 20_000  # ids of one answer
QUERY_SECONDS = 2.0  # longest wait of a question, which can be answered by words too
PROBE_SECONDS = 1.0  # between two looks at a server that did not answer one
Vectors = NDArray[np.float32]
log = logging.getLogger(__name__)


class IndexBroken(AssistantError):
    """The vector index {collection} is damaged: {why}."""

    status = 503
    advice = "It is rebuilt from the database; until then passages are found by words alone."


class VectorIndex:
    """A client of one Chroma server. ``timeout_seconds`` bounds each request, ``tls`` is for https.

    After a query that got no answer, others fail at once until the server answers again.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 10, tls: ssl.SSLContext | None = None) -> None:
        self.url = url
        self._tls = tls
        self._timeout = timeout_seconds
        self._client: Any = None  # an AsyncClientAPI; its way to close is not part of its type
        self._collections: dict[str, Any] = {}
        self._opening = asyncio.Lock()
        self._away: asyncio.Task[None] | None = None

    async def create(self, collection: str) -> None:
        """Make an empty collection; one that is there stays as it is."""
        async with self._faults(collection), asyncio.timeout(self._timeout):
            client = await self._open()
            self._collections[collection] = await client.get_or_create_collection(
                collection, configuration={"hnsw": {"space": "ip"}}, embedding_function=None
            )

    async def drop(self, collection: str) -> None:
        """Remove a collection with its files; one that isn't there is no error."""
        import chromadb.errors

        self._collections.pop(collection, None)
        async with self._faults(collection), asyncio.timeout(self._timeout):
            try:
                await (await self._open()).delete_collection(collection)
            except chromadb.errors.NotFoundError:
                return

    async def upsert(self, collection: str, ids: Sequence[int], vectors: Vectors) -> None:
        """Put vectors (shape (n, dimension)) under their ids, in batches; the same again changes nothing."""
        for first in range(0, len(ids), BATCH):
            part = slice(first, first + BATCH)
            # a large batch takes Chroma longer than a question does
            async with self._faults(collection), asyncio.timeout(self._timeout * 6):
                found = await self._collection(collection)
                await found.upsert(ids=[str(i) for i in ids[part]], embeddings=vectors[part])

    async def query(self, collection: str, vector: Vectors, limit: int) -> list[tuple[int, float]]:
        """The nearest ids with their cosine similarity, best first; ``vector`` has shape (dimension,)."""
        if self._away is not None:
            raise Unavailable(what="Chroma", why="it did not answer a moment ago")
        try:
            async with self._faults(collection), asyncio.timeout(min(QUERY_SECONDS, self._timeout)):
                found = await self._collection(collection)
                answer = await found.query(
                    query_embeddings=[vector.tolist()], n_results=limit, include=["distances"]
                )
        except Unavailable as error:
            if self._away is None:
                log.warning("questions are answered by words alone: %s", error.message)
                self._away = asyncio.create_task(self._until_back())
            raise
        pairs = zip(answer["ids"][0], answer["distances"][0], strict=True)
        return [(int(chunk_id), 1 - float(distance)) for chunk_id, distance in pairs]

    async def get(self, collection: str, ids: Sequence[int]) -> dict[int, Vectors]:
        """The vectors held under these ids; ids without one are left out."""
        held: dict[int, Vectors] = {}
        for first in range(0, len(ids), BATCH):
            wanted = [str(i) for i in ids[first : first + BATCH]]
            async with self._faults(collection), asyncio.timeout(self._timeout * 3):
                found = await self._collection(collection)
                answer = await found.get(ids=wanted, include=["embeddings"])
            embeddings = answer["embeddings"]
            if embeddings is None or len(embeddings) != len(answer["ids"]):
                raise IndexBroken(collection=collection, why="records without vectors")
            for chunk_id, vector in zip(answer["ids"], embeddings, strict=True):
                held[int(chunk_id)] = np.asarray(vector, dtype=np.float32)
        return held

    async def ids(self, collection: str) -> list[int]:
        """All ids that the collection holds."""
        held: list[int] = []
        while True:
            async with self._faults(collection), asyncio.timeout(self._timeout * 3):
                found = await self._collection(collection)
                answer = await found.get(include=[], limit=LISTED, offset=len(held))
            held += [int(one) for one in answer["ids"]]
            if len(answer["ids"]) < LISTED:
                return held

    async def delete(self, collection: str, ids: Sequence[int]) -> None:
        """Remove ids; those that aren't there are no error."""
        for first in range(0, len(ids), BATCH):
            async with self._faults(collection), asyncio.timeout(self._timeout * 3):
                found = await self._collection(collection)
                await found.delete(ids=[str(i) for i in ids[first : first + BATCH]])

    async def count(self, collection: str) -> int:
        """Records that the server believes it holds."""
        async with self._faults(collection), asyncio.timeout(self._timeout):
            return int(await (await self._collection(collection)).count())

    async def check(self) -> None:
        """Raise :class:`Unavailable` unless the server answers."""
        async with self._faults("heartbeat"), asyncio.timeout(self._timeout):
            await (await self._open()).heartbeat()

    async def close(self) -> None:
        """Close the connections."""
        if self._away is not None:
            self._away.cancel()
        self._collections.clear()
        client, self._client = self._client, None
        if client is not None and (connections := _take_connections()) is not None:
            await connections.aclose()

    async def _until_back(self) -> None:
        while self._away is not None:
            await asyncio.sleep(PROBE_SECONDS)
            with suppress(AssistantError):
                async with self._faults("heartbeat"), asyncio.timeout(PROBE_SECONDS):
                    await (await self._open()).heartbeat()
                    log.info("Chroma is back")
                    self._away = None

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                import chromadb
                from chromadb.config import Settings

                _take_connections()
                address = urlsplit(self.url)
                settings: Any = Settings(anonymized_telemetry=False)
                if address.scheme == "https":
                    # without this the client looks at no certificate; it takes what httpx takes
                    settings.chroma_server_ssl_verify = self._tls or ssl.create_default_context()
                self._client = await chromadb.AsyncHttpClient(
                    host=address.hostname or "127.0.0.1",
                    port=address.port or (443 if address.scheme == "https" else 80),
                    ssl=address.scheme == "https",
                    settings=settings,
                )
            return self._client

    async def _collection(self, name: str) -> Any:
        if name not in self._collections:
            client = await self._open()
            self._collections[name] = await client.get_collection(name, embedding_function=None)
        return self._collections[name]

    @asynccontextmanager
    async def _faults(self, collection: str) -> AsyncIterator[None]:
        """Turn what the client raises into our two errors."""
        import chromadb.errors

        try:
            yield
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise Unavailable(what="Chroma", why=_reason(error)) from error
        except chromadb.errors.NotFoundError as error:
            # its id may belong to a collection that was made again after a loss of the data disk
            self._collections.pop(collection, None)
            raise IndexBroken(collection=collection, why="it is not there") from error
        except (chromadb.errors.ChromaError, ValueError, KeyError, TypeError) as error:
            if "connect" in str(error).lower():
                raise Unavailable(what="Chroma", why=_reason(error)) from error
            log.warning("chroma, %s: %s", collection, _reason(error))
            raise IndexBroken(collection=collection, why=_reason(error)) from error
        except Exception as error:
            # what a proxy in front says of a server that is away reaches us so
            if not isinstance(error.__context__, httpx.HTTPStatusError):
                raise
            raise Unavailable(what="Chroma", why=_reason(error.__context__)) from error


def _take_connections() -> httpx.AsyncClient | None:
    """Take the HTTP client of this event loop out of Chroma's hands.

    All its clients share one for each loop, whatever their settings say, and close those of other loops too.
    So one made for another server, or by a loop that is gone, must not be found, and only our own is closed.
    """
    from chromadb.api.async_fastapi import AsyncFastAPI

    shared: dict[int, httpx.AsyncClient] = AsyncFastAPI._clients  # noqa: SLF001
    return shared.pop(hash(asyncio.get_running_loop()), None)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".") or "no answer in time"
