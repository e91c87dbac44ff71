"""A database on two hosts: what goes on while the primary is away, and after another takes over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from app.errors import Unavailable
from app.stores.database import Database
from tests.support.running import descendants
from tests.support.standby import Pair


@pytest.fixture
async def database(servers: Pair) -> AsyncIterator[Database]:
    database = Database(servers.url, size=4, connect_seconds=8, reads_go_on=True)
    await database.open()
    await database.execute("CREATE TABLE notes (id serial, text text)")
    await database.execute("INSERT INTO notes (text) VALUES ('kept')")
    yield database
    await database.close()


def family(servers: Pair) -> list[int]:
    pid = servers.primary.pid
    assert pid is not None
    return [pid, *descendants(pid)]


async def notes(database: Database) -> list[str]:
    return [row["text"] for row in await database.rows("SELECT text FROM notes ORDER BY id")]


async def test_reads_go_on_without_the_primary_and_writes_once_another_takes_over(
    servers: Pair, database: Database
) -> None:
    for pid in family(servers):
        os.kill(pid, signal.SIGKILL)
    assert await notes(database) == ["kept"]
    assert database.reads_only
    with pytest.raises(Unavailable):
        await database.execute("INSERT INTO notes (text) VALUES ('refused')")
    assert await notes(database) == ["kept"]

    with psycopg.connect(servers.standby.dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")
    await database.execute("INSERT INTO notes (text) VALUES ('after')")
    assert await notes(database) == ["kept", "after"]


async def test_a_primary_that_says_nothing_any_more_keeps_no_reader_waiting(
    servers: Pair, database: Database
) -> None:
    stopped = family(servers)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert await notes(database) == ["kept"]
        assert time.monotonic() - begun < 5
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    await database.execute("INSERT INTO notes (text) VALUES ('thawed')")
    assert await notes(database) == ["kept", "thawed"]


async def test_nothing_can_be_written_in_a_session_that_is_for_reading(
    servers: Pair, database: Database
) -> None:
    with psycopg.connect(servers.standby.dsn, autocommit=True) as connection:
        for pid in family(servers):
            os.kill(pid, signal.SIGKILL)
        assert await notes(database) == ["kept"]
        # the session opened for reading is now one with a primary; it must refuse all the same
        connection.execute("SELECT pg_promote()")
    written = "INSERT INTO notes (text) VALUES ('once') RETURNING text"
    try:
        await database.row(written)
    except Unavailable:
        await database.execute("INSERT INTO notes (text) VALUES ('once')")
    assert await notes(database) == ["kept", "once"]
