"""A whole assistant in a temporary folder, to measure on."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from app.assistant import Assistant, Endpoints, open_assistant
from app.embedded.stack import EmbeddedStack
from app.settings import Settings
from app.stores.database import Database
from app.stores.migrate import migrate
from app.worker import open_worker


@asynccontextmanager
async def temporary_assistant(settings: Settings | None = None) -> AsyncIterator[Assistant]:
    """Start embedded servers in a folder that goes with the block, and open the assistant on them."""
    with tempfile.TemporaryDirectory(prefix="ka-bench-") as folder:
        changed = {"data_dir": Path(folder) / "data"}
        chosen = (settings or Settings()).model_copy(update=changed)
        stack = EmbeddedStack(chosen)
        await stack.start()
        try:
            database = Database(stack.database_url, size=2)
            await database.open()
            await migrate(database)
            await database.close()
            async with open_assistant(chosen, Endpoints(stack.database_url, stack.chroma_url)) as assistant:
                yield assistant
        finally:
            await stack.stop()


async def read_all(assistant: Assistant, base: str, files: Sequence[tuple[str, Path]]) -> None:
    """Take in files under names and read them all, with the real worker in this process."""
    knowledge_base = await assistant.knowledge_bases.get(base)
    for name, file in files:
        await assistant.intake.accept(knowledge_base, name, file)
    async with open_worker(assistant) as worker:
        await worker.run(until_empty=True)
