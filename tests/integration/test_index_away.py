"""A vector index that is away, or says nothing, keeps nobody waiting for long."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from app.embedded.chroma import EmbeddedChroma
from app.errors import Unavailable
from app.stores.vectors import QUERY_SECONDS, VectorIndex

VECTOR = np.ones(3, dtype=np.float32)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedChroma]:
    made = EmbeddedChroma(tmp_path / "chroma")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def index(server: EmbeddedChroma) -> AsyncIterator[VectorIndex]:
    index = VectorIndex(server.url)
    await index.create("some")
    await index.upsert("some", [7], VECTOR[None])
    yield index
    await index.close()


async def answers_again(index: VectorIndex) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                assert [i for i, _ in await index.query("some", VECTOR, 1)] == [7]
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                return


async def test_after_one_question_without_an_answer_the_others_wait_no_more(
    server: EmbeddedChroma, index: VectorIndex
) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await index.query("some", VECTOR, 1)
        assert time.monotonic() - begun < 2 * QUERY_SECONDS
        begun = time.monotonic()
        for _ in range(20):
            with pytest.raises(Unavailable):
                await index.query("some", VECTOR, 1)
        assert time.monotonic() - begun < 0.5
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await answers_again(index)


async def test_a_proxy_that_says_that_the_index_is_away_is_believed() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        page = b"<html><body><h1>503 Service Unavailable</h1></body></html>"
        head = f"HTTP/1.1 503 Service Unavailable\r\ncontent-length: {len(page)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + page)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        index = VectorIndex(f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        with pytest.raises(Unavailable, match="503"):
            await index.query("some", VECTOR, 1)
        with pytest.raises(Unavailable):
            await index.check()
        await index.close()
