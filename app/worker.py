"""A worker made from the assistant's parts and settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.assistant import Assistant
from app.ingestion.pipeline import Pipeline, Recipe
from app.ingestion.sweep import Sweeper
from app.ingestion.worker import CONCURRENCY, Pace, Worker
from app.metrics import INGEST_SECONDS
from app.parsing.model import Limits
from app.parsing.sandbox import ParserPool
from app.stores.conninfo import for_writing


@asynccontextmanager
async def open_worker(assistant: Assistant) -> AsyncIterator[Worker]:
    """Start the parser processes, and end them with the block."""
    settings = assistant.settings
    parsing, pace = settings.parsing, settings.worker
    if assistant.embedder.dimension == 0:
        # a server's model tells the length of its vectors with its first answer
        await assistant.embedder.embed(["What is this?"])
    async with ParserPool(workers=CONCURRENCY) as parsers:
        pipeline = Pipeline(
            assistant.database,
            assistant.objects,
            assistant.embedder,
            parsers,
            assistant.queue,
            assistant.keeper,
            scratch=settings.scratch_dir,
            limits=Limits(
                memory_bytes=parsing.memory_bytes,
                cpu_seconds=parsing.cpu_seconds,
                wall_seconds=parsing.wall_seconds,
                max_characters=parsing.max_characters,
                max_pages=parsing.max_pages,
            ),
            recipe=Recipe(settings.chunking.tokens, settings.chunking.overlap),
            observe=lambda stage, seconds: INGEST_SECONDS.labels(stage).observe(seconds),
        )
        yield Worker(
            for_writing(assistant.endpoints.database_url, assistant.settings.database.connect_seconds),
            assistant.database,
            assistant.index,
            assistant.queue,
            pipeline,
            assistant.keeper,
            Sweeper(assistant.database, assistant.objects, assistant.index),
            Pace(
                pace.heartbeat_seconds,
                pace.lost_seconds,
                pace.attempts,
                assistant.settings.chroma.check_seconds,
            ),
        )
