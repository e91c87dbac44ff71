"""The embedded Chroma server starts, dies and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from app.embedded.chroma import EmbeddedChroma
from app.embedded.errors import DataFolderInUse, ServerFailed
from app.embedded.process import LOG_LIMIT, ServerProcess, trim_log
from app.embedded.watch import keep_running

API = "/api/v2/tenants/default_tenant/databases/default_database/collections"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedChroma]:
    made = EmbeddedChroma(tmp_path / "chroma")
    await made.start()
    yield made
    await made.stop()


async def heartbeat(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{url}/api/v2/heartbeat")).status_code


async def wait_for_another(server: EmbeddedChroma, old: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        with suppress(httpx.HTTPError):
            if server.pid not in {None, old} and await heartbeat(server.url) == 200:
                return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_restart_keeps_the_address_and_the_data(server: EmbeddedChroma) -> None:
    url, old = server.url, server.pid
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        (await client.post(API, json={"name": "kept"})).raise_for_status()
    await server.restart()
    assert server.pid != old
    assert server.url == url
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        assert [entry["name"] for entry in (await client.get(API)).json()] == ["kept"]


async def test_a_port_taken_meanwhile_is_replaced_by_a_free_one(server: EmbeddedChroma) -> None:
    port = server.port
    await server.stop()
    with socket.create_server(("127.0.0.1", port)):
        await server.start()
        assert server.port != port
        assert await heartbeat(server.url) == 200


async def test_a_server_that_dies_is_started_again_and_what_follows_is_told(server: EmbeddedChroma) -> None:
    told = asyncio.Event()

    async def tell() -> None:
        told.set()

    watching = asyncio.create_task(keep_running(server, on_restart=tell, poll_seconds=0.02))
    try:
        for _ in range(2):
            told.clear()
            assert server.pid is not None
            old = server.pid
            os.kill(old, signal.SIGKILL)
            await wait_for_another(server, old)
            await asyncio.wait_for(told.wait(), 5)
        await server.stop()
        await asyncio.sleep(0.3)
        assert not server.running  # a stop on purpose is no death
    finally:
        watching.cancel()


async def test_a_server_that_cannot_come_back_is_tried_with_growing_pauses(
    server: EmbeddedChroma, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []

    async def fail() -> None:
        tries.append(time.monotonic())
        raise ServerFailed(name="Chroma", why="no luck", log=server.log)

    with monkeypatch.context() as patch:
        patch.setattr(server, "start", fail)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        watching = asyncio.create_task(keep_running(server, poll_seconds=0.01, first_pause_seconds=0.1))
        await asyncio.sleep(1.2)
        assert not watching.done()
        watching.cancel()
    assert 2 <= len(tries) <= 4  # after 0.1, 0.3, 0.7 seconds
    await server.start()
    assert await heartbeat(server.url) == 200


async def test_a_second_instance_on_the_folder_is_refused(server: EmbeddedChroma) -> None:
    with pytest.raises(DataFolderInUse, match=f"process {os.getpid()}"):
        await EmbeddedChroma(server.folder).start()
    assert await heartbeat(server.url) == 200


async def test_a_damaged_folder_is_told_with_the_log(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "chroma.sqlite3").write_bytes(b"this is no database" * 100)
    server = EmbeddedChroma(tmp_path)
    with pytest.raises(ServerFailed) as caught:
        await server.start()
    assert str(server.log) in caught.value.sentence()
    assert "ended with code" in caught.value.sentence()
    assert not server.running


def test_a_start_outside_of_the_main_thread_is_refused(tmp_path: Path) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            ServerProcess("sleep", ["/bin/sleep", "60"], tmp_path / "log").start()
        except RuntimeError as problem:
            caught.append(problem)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main one" in str(caught[0])


def test_a_log_stays_small(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (LOG_LIMIT + 1))
    trim_log(log)
    assert log.stat().st_size == 0
    assert (tmp_path / "log.1").stat().st_size == LOG_LIMIT + 1
