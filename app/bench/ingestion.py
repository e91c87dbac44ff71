"""How fast documents are read, end to end, against what the embedding alone would allow."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.assistant import Assistant
from app.bench.temporary import temporary_assistant
from app.stores.documents import WORKING
from app.stores.passages import text_to_embed

POLL = 0.05
WINDOW = 256


async def run(folder: Path, *, workers: Sequence[int] = (1, 2)) -> dict[str, Any]:
    """Read all files of ``folder`` with each number of worker processes, one embedding thread each.

    Then embed the same passages once more with nothing else going on, on as many threads.
    """
    figures: dict[str, Any] = {}
    for number in workers:
        async with temporary_assistant() as assistant:
            started = await _read(assistant, folder, number)
            texts = await _passages(assistant)
            figures[f"workers_{number}"] = {
                "documents": await assistant.documents.counts(),
                "passages": len(texts),
                "seconds": round(started, 2),
                "passages_per_second": round(len(texts) / started, 1),
            }
        alone = await _embedding_alone(texts, number)
        figures[f"workers_{number}"]["embedding_alone_per_second"] = round(len(texts) / alone, 1)
        figures[f"workers_{number}"]["share_of_embedding"] = round(alone / started, 3)
    rates = [one["passages_per_second"] for one in figures.values()]
    figures["last_to_first"] = round(rates[-1] / rates[0], 2)
    return figures


async def _read(assistant: Assistant, folder: Path, workers: int) -> float:
    """Seconds from the start of the workers' first document to the end of the last."""
    base = await assistant.knowledge_bases.get("default")
    # the largest first, so that no worker is left alone with a long last document
    for file in sorted((path for path in folder.rglob("*") if path.is_file()), key=_size, reverse=True):
        await assistant.intake.accept(base, str(file.relative_to(folder)), file)
    processes = [await _worker(assistant) for _ in range(workers)]
    try:
        # a worker that has loaded its model says so by registering itself
        while await assistant.database.value("SELECT count(*) FROM procrastinate_workers") < workers:
            await asyncio.sleep(POLL)
        started = time.perf_counter()
        while set(WORKING) & (await assistant.documents.counts()).keys():
            await asyncio.sleep(POLL)
        return time.perf_counter() - started
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(process.wait() for process in processes))


def _size(file: Path) -> int:
    return file.stat().st_size


async def _worker(assistant: Assistant) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        "worker",
        "--data",
        str(assistant.settings.data_dir),
        env=os.environ | {"KA_EMBEDDING__THREADS": "1", "KA_LOG__LEVEL": "warning"},
    )


async def _passages(assistant: Assistant) -> list[str]:
    rows = await assistant.database.rows("SELECT headings, text FROM chunks ORDER BY document_id, ordinal")
    return [text_to_embed(row["headings"], row["text"]) for row in rows]


async def _embedding_alone(texts: Sequence[str], workers: int) -> float:
    """Seconds to embed all passages with ``workers`` threads and nothing else."""
    from app.assistant import open_embedder
    from app.settings import Settings

    embedder = open_embedder(Settings(), workers)
    try:
        await embedder.embed(texts[:32])
        started = time.perf_counter()
        for first in range(0, len(texts), WINDOW):
            await embedder.embed(texts[first : first + WINDOW])
        return time.perf_counter() - started
    finally:
        await embedder.close()
