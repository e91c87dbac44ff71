"""Changes while one primary goes and the next comes: none is refused, lost or made twice."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest

from app.assistant import Assistant, Endpoints, open_assistant
from app.errors import Unavailable
from app.settings import Settings
from app.stores.database import Connection, Database
from app.stores.knowledge_bases import KnowledgeBaseExists
from app.stores.migrate import migrate
from app.worker import open_worker
from tests.support.documents import book, note
from tests.support.running import descendants
from tests.support.standby import Pair

T = TypeVar("T")
SECONDS = 20.0  # that changes wait; the machine may be busy


@pytest.fixture
async def database(servers: Pair) -> AsyncIterator[Database]:
    database = Database(servers.url, size=4, connect_seconds=SECONDS, reads_go_on=True)
    await database.open()
    await database.execute("CREATE TABLE notes (text text)")
    yield database
    await database.close()


def family(pid: int | None) -> list[int]:
    assert pid is not None
    return [pid, *descendants(pid)]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def promote(servers: Pair) -> None:
    with psycopg.connect(servers.standby.dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")
        # the one that would have to confirm is gone
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        connection.execute("SELECT pg_reload_conf()")


async def add(database: Database, text: str, *, repeatable: bool = True) -> None:
    async def once(connection: Connection) -> None:
        cursor = await connection.execute("SELECT 1 FROM notes WHERE text = %s", (text,))
        if await cursor.fetchone() is None:
            await connection.execute("INSERT INTO notes VALUES (%s)", (text,))

    await database.write(once, repeatable=repeatable)


async def cut_off_in_its_commit(servers: Pair, change: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A change whose commit was sent to a primary that died without an answer; the other rules now."""
    followers = family(servers.standby.pid)
    signal_all(followers, signal.SIGSTOP)
    try:
        task = asyncio.create_task(change)
        await asyncio.sleep(1)  # now it waits in its commit for the standby
        assert not task.done()
        signal_all(family(servers.primary.pid), signal.SIGKILL)
    finally:
        signal_all(followers, signal.SIGCONT)
    await asyncio.to_thread(promote, servers)
    return task


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 -- it is asked of a server, which sets no event
            await asyncio.sleep(0.05)


async def notes(database: Database) -> list[str]:
    return sorted(row["text"] for row in await database.rows("SELECT text FROM notes"))


async def test_in_a_switchover_no_change_is_refused_or_made_twice(servers: Pair, database: Database) -> None:
    changes: list[asyncio.Task[None]] = []
    for number in range(60):
        changes.append(asyncio.create_task(add(database, f"{number:02}")))
        await asyncio.sleep(0.05)
        if number == 20:
            await servers.primary.stop()
        if number == 40:
            await asyncio.to_thread(promote, servers)
    await asyncio.gather(*changes)
    assert await notes(database) == [f"{number:02}" for number in range(60)]


async def test_after_a_kill_a_change_is_made_as_soon_as_another_takes_over(
    servers: Pair, database: Database
) -> None:
    # all connections of the pool lead to the one that is killed
    await asyncio.gather(*(add(database, f"before {number}") for number in range(20)))
    await asyncio.sleep(1.2)
    signal_all(family(servers.primary.pid), signal.SIGKILL)
    change = asyncio.create_task(add(database, "after"))
    await asyncio.sleep(1)
    assert not change.done()
    await asyncio.to_thread(promote, servers)
    begun = time.monotonic()
    await change
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_commit_without_an_answer_is_made_once_or_said_to_be_unknown(
    servers: Pair, database: Database, repeatable: bool
) -> None:
    change = await cut_off_in_its_commit(servers, add(database, "once", repeatable=repeatable))
    if repeatable:
        await change
        assert await notes(database) == ["once"]
    else:
        with pytest.raises(Unavailable, match="whether the change was made"):
            await change
        assert await notes(database) in ([], ["once"])


async def test_a_primary_that_fell_silent_once_keeps_later_readers_waiting_no_more(
    servers: Pair, database: Database
) -> None:
    async def reads_only() -> bool:
        return database.reads_only

    await add(database, "kept")
    stopped = family(servers.primary.pid)
    signal_all(stopped, signal.SIGSTOP)
    try:
        assert await notes(database) == ["kept"]
        await until(reads_only)  # it is asked once more before it is taken to be away
        begun = time.monotonic()
        for _ in range(10):
            assert await notes(database) == ["kept"]
        assert time.monotonic() - begun < 1
        assert database.stale_since(begun)
    finally:
        signal_all(stopped, signal.SIGCONT)
    await add(database, "thawed")
    assert not database.reads_only
    assert await notes(database) == ["kept", "thawed"]


async def test_a_host_that_never_answers_delays_no_connection(servers: Pair, tmp_path: Path) -> None:
    (tmp_path / "silent").mkdir()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent" / ".s.PGSQL.5432"))
        silent.listen()
        url = servers.url.replace("host=", f"host={tmp_path}/silent,").replace("port=", "port=5432,")
        database = Database(url, connect_seconds=SECONDS)
        await database.open()
        begun = time.monotonic()
        for _ in range(5):
            await database.pool.drain()
            assert await database.value("SELECT 1") == 1
        assert time.monotonic() - begun < 5
        await database.close()


@pytest.fixture
async def assistant(servers: Pair, chroma_url: str, tmp_path: Path) -> AsyncIterator[Assistant]:
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path / "data",
            "database": {"connect_seconds": SECONDS},
            "worker": {"heartbeat_seconds": 0.5, "lost_seconds": 3},
        }
    )
    async with open_assistant(settings, Endpoints(servers.url, chroma_url), reads_go_on=True) as assistant:
        await migrate(assistant.database)
        yield assistant


async def test_uploads_in_a_switchover_are_taken_once_and_deletions_are_done(
    servers: Pair, assistant: Assistant, tmp_path: Path
) -> None:
    base = await assistant.knowledge_bases.create(f"b-{uuid4().hex[:8]}")
    unwanted = tmp_path / "unwanted"
    unwanted.write_bytes(note("unwanted"))
    old = await assistant.intake.accept(base, "unwanted.txt", unwanted)
    await servers.primary.stop()

    async def upload(number: int) -> bool:
        file = tmp_path / f"{number}.txt"
        file.write_bytes(note(f"word{number}"))
        return (await assistant.intake.accept(base, f"{number}.txt", file)).duplicate

    waiting = asyncio.gather(*(upload(number) for number in range(6)))
    removal = asyncio.create_task(assistant.intake.delete(old.document.id))
    await asyncio.sleep(1)
    await asyncio.to_thread(promote, servers)
    assert await waiting == [False] * 6
    await removal
    stored = await assistant.documents.select(base.id)
    assert sorted(document.name for document in stored) == [f"{number}.txt" for number in range(6)]


async def test_a_knowledge_base_whose_making_got_no_answer_is_there_for_whoever_made_it(
    servers: Pair, assistant: Assistant
) -> None:
    name = f"b-{uuid4().hex[:8]}"
    making = await cut_off_in_its_commit(servers, assistant.knowledge_bases.create(name))
    assert await making == await assistant.knowledge_bases.get(name)
    with pytest.raises(KnowledgeBaseExists):
        await assistant.knowledge_bases.create(name)


async def test_a_document_that_is_read_while_the_primary_dies_is_finished_once(
    servers: Pair, assistant: Assistant, tmp_path: Path
) -> None:
    base = await assistant.knowledge_bases.create(f"b-{uuid4().hex[:8]}")
    file = tmp_path / "book"
    file.write_bytes(book("walrus", pages=60))
    async with open_worker(assistant) as worker:
        working = asyncio.create_task(worker.run())
        first = await assistant.intake.accept(base, "book.txt", file)

        async def is_(document_id: UUID, *states: str) -> bool:
            return (await assistant.documents.get(document_id)).state in states

        await until(lambda: is_(first.document.id, "parsing", "indexing"))
        signal_all(family(servers.primary.pid), signal.SIGKILL)
        await asyncio.sleep(2)
        await asyncio.to_thread(promote, servers)
        await until(lambda: is_(first.document.id, "ready"))
        file.write_bytes(note("narwhal"))
        second = await assistant.intake.accept(base, "note.txt", file)
        await until(lambda: is_(second.document.id, "ready"))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    row = await assistant.database.row(
        """SELECT count(*) AS chunks, count(DISTINCT ordinal) AS ordinals, max(d.chunks_done) AS done
        FROM chunks c JOIN documents d ON d.id = c.document_id WHERE d.name = 'book.txt'"""
    )
    assert row is not None
    assert row["chunks"] == row["ordinals"] == row["done"] > 0
