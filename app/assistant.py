"""The assistant put together: every part that the API, the UI and the worker are made from."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.answering.answer import Answerer
from app.answering.events import Degraded, Event
from app.answering.llm import OpenAIChat
from app.embedding.base import Embedder
from app.embedding.local import LocalEmbedder
from app.embedding.remote import RemoteEmbedder
from app.ingestion.index_keeper import IndexKeeper
from app.ingestion.intake import Intake
from app.ingestion.queue import Queue
from app.metrics import SEARCH_SECONDS
from app.observed import watched
from app.retrieval.search import Found, Search
from app.settings import Settings
from app.stores.database import Database
from app.stores.documents import Documents
from app.stores.knowledge_bases import KnowledgeBases
from app.stores.objects.folder import FolderStore
from app.stores.objects.interface import ObjectStore
from app.stores.objects.s3 import S3Store
from app.stores.vectors import VectorIndex
from app.tls import follow, trusting

MODEL_DIR = Path(sys.prefix) / "share" / "knowledge-assistant" / "model"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the servers are: a PostgreSQL connection string and Chroma's address."""

    database_url: str
    chroma_url: str


@dataclass(frozen=True, slots=True)
class Assistant:
    """All parts, open and ready. Made by :func:`open_assistant`."""

    settings: Settings
    endpoints: Endpoints
    database: Database
    objects: ObjectStore
    index: VectorIndex
    embedder: Embedder
    queue: Queue
    keeper: IndexKeeper
    intake: Intake
    documents: Documents
    knowledge_bases: KnowledgeBases
    searcher: Search
    answerer: Answerer

    async def search(self, knowledge_base: str, question: str, limit: int | None = None) -> Found:
        """The best passages for a question; ``limit`` is by default the number that answers are made from."""
        wanted = limit or self.settings.retrieval.passages
        result = await self.searcher.search(knowledge_base, question, wanted)
        for stage, seconds in result.seconds.items():
            SEARCH_SECONDS.labels(stage).observe(seconds)
        return result

    async def ask(self, knowledge_base: str, question: str) -> AsyncGenerator[Event, None]:
        """Answer a question from the documents of a knowledge base, as a stream of events."""
        started = time.perf_counter()
        found = await self.search(knowledge_base, question)
        degraded = [Degraded(*why) for why in found.degraded]
        answer = self.answerer.answer(question, found.passages, degraded)
        # closed as soon as the reader goes away, which ends the language model's request too
        async with aclosing(watched(answer, started)) as events:
            async for event in events:
                yield event


@asynccontextmanager
async def open_assistant(
    settings: Settings, endpoints: Endpoints, *, reads_go_on: bool = False
) -> AsyncIterator[Assistant]:
    """Open all parts, and close them at the end; ``reads_go_on``: see :class:`Database`.

    Raises :class:`~app.errors.AssistantError` with the reason when a part can't be opened.
    """
    async with AsyncExitStack() as stack:
        database = Database(
            endpoints.database_url,
            size=settings.database.pool_size,
            connect_seconds=settings.database.connect_seconds,
            statement_seconds=settings.database.statement_seconds,
            reads_go_on=reads_go_on,
        )
        await database.open()
        stack.push_async_callback(database.close)
        objects = open_objects(settings)
        stack.push_async_callback(objects.close)
        index = open_index(settings, endpoints.chroma_url, stack)
        stack.push_async_callback(index.close)
        embedder = open_embedder(settings)
        stack.push_async_callback(embedder.close)
        model = open_language_model(settings)
        if model is not None:
            stack.push_async_callback(model.close)
        queue = Queue(database)
        keeper = IndexKeeper(database, index, embedder, queue)
        documents = Documents(database)
        yield Assistant(
            settings=settings,
            endpoints=endpoints,
            database=database,
            objects=objects,
            index=index,
            embedder=embedder,
            queue=queue,
            keeper=keeper,
            intake=Intake(database, objects, queue),
            documents=documents,
            knowledge_bases=KnowledgeBases(database),
            searcher=Search(
                database, index, embedder, keeper.report, candidates=settings.retrieval.candidates
            ),
            answerer=Answerer(embedder, model, documents.page_text),
        )


def open_index(settings: Settings, url: str, stack: AsyncExitStack) -> VectorIndex:
    """The vector index at an address; while ``stack`` is open, its client's certificate is kept fresh."""
    chosen = settings.chroma
    tls = None
    if chosen.ca_file or chosen.cert_file:
        tls = trusting(chosen.ca_file, chosen.cert_file, chosen.key_file)
        if chosen.cert_file:
            following = asyncio.create_task(follow(tls, chosen.cert_file, chosen.key_file))
            stack.callback(following.cancel)
    return VectorIndex(url, timeout_seconds=chosen.timeout_seconds, tls=tls)


def open_objects(settings: Settings) -> ObjectStore:
    """The object store that the settings name."""
    chosen = settings.objects
    if chosen.kind == "folder":
        return FolderStore(settings.objects_dir)
    return S3Store(
        bucket=chosen.bucket,
        endpoint=chosen.endpoint,
        region=chosen.region,
        ca_file=chosen.ca_file,
        access_key=chosen.access_key.get_secret_value() if chosen.access_key else None,
        secret_key=chosen.secret_key.get_secret_value() if chosen.secret_key else None,
    )


def open_embedder(settings: Settings, threads: int | None = None) -> Embedder:
    """The embedding model that the settings name."""
    chosen = settings.embedding
    folder = chosen.model_dir or MODEL_DIR
    if chosen.engine == "openai" and chosen.base_url:
        return RemoteEmbedder(
            base_url=chosen.base_url,
            model=chosen.model,
            api_key=chosen.api_key.get_secret_value() if chosen.api_key else None,
            timeout=chosen.timeout_seconds,
        )
    return LocalEmbedder(
        folder, variant=chosen.variant, threads=threads or chosen.threads or os.cpu_count() or 1
    )


def open_language_model(settings: Settings) -> OpenAIChat | None:
    """The language model that the settings name; ``None`` without one."""
    chosen = settings.llm
    if not chosen.base_url or not chosen.model:
        return None
    return OpenAIChat(
        base_url=chosen.base_url,
        model=chosen.model,
        api_key=chosen.api_key.get_secret_value() if chosen.api_key else None,
        first_token_seconds=chosen.first_token_seconds,
        timeout_seconds=chosen.timeout_seconds,
        max_tokens=chosen.max_tokens,
    )
