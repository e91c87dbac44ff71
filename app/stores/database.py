"""PostgreSQL: one pool for a process, and its faults as sentences."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, LiteralString
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from app.errors import Invalid, Unavailable

Connection = AsyncConnection[DictRow]

# What PostgreSQL says when it, or the way to it, is away (SQLSTATE classes 08, 53, 57P).
AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)


FRESH_SECONDS = 1.0  # a connection used so recently is taken to be alive


class Database:
    """A pool of connections in autocommit mode that return rows as dicts.

    ``connect_seconds`` bounds the wait for a connection, ``statement_seconds`` one statement.
    """

    def __init__(
        self, url: str, *, size: int = 8, connect_seconds: float = 10, statement_seconds: float = 60
    ) -> None:
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=AsyncConnection[DictRow],
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "application_name": "knowledge-assistant",
                "connect_timeout": max(2, round(connect_seconds)),
                "options": f"-c statement_timeout={round(statement_seconds * 1000)}",
            },
            min_size=1,
            max_size=size,
            timeout=connect_seconds,
            check=self._check,
            reset=self._stamp,
            open=False,
        )
        self._used: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()

    async def open(self) -> None:
        """Connect; raises :class:`Unavailable` when the server can't be reached."""
        with_reason = ""
        try:
            await self.pool.open(wait=True)
        except PoolTimeout as error:
            with_reason = str(error)
        if with_reason:
            await self.pool.close()
            raise Unavailable(what="PostgreSQL", why=with_reason.rstrip("."))

    async def close(self) -> None:
        """Give all connections back to the server."""
        await self.pool.close()

    async def _stamp(self, connection: Connection) -> None:
        self._used[connection] = time.monotonic()

    async def _check(self, connection: Connection) -> None:
        """Replace connections that died while they were idle; one just used needs no round trip for that."""
        if time.monotonic() - self._used.get(connection, 0.0) > FRESH_SECONDS:
            await AsyncConnectionPool.check_connection(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection, each statement of which is a transaction of its own."""
        try:
            async with self.pool.connection() as connection:
                yield connection
        except psycopg.errors.QueryCanceled as error:
            raise Unavailable(what="PostgreSQL", why="a statement took too long") from error
        except psycopg.DataError as error:
            # a character or a number that PostgreSQL has no place for
            raise Invalid(what=f"This cannot be looked up or stored: {_first_line(error)}") from error
        except AWAY as error:
            raise Unavailable(what="PostgreSQL", why=_first_line(error)) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that commits when the block ends without an error."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def rows(self, query: LiteralString, *args: object, **named: object) -> list[DictRow]:
        """Run one statement and return all rows."""
        async with self.connection() as connection:
            return await (await connection.execute(query, args or named or None)).fetchall()

    async def row(self, query: LiteralString, *args: object, **named: object) -> DictRow | None:
        """Run one statement and return its first row."""
        async with self.connection() as connection:
            return await (await connection.execute(query, args or named or None)).fetchone()

    async def value(self, query: LiteralString, *args: object, **named: object) -> Any:
        """Run one statement and return the first column of its first row."""
        row = await self.row(query, *args, **named)
        return next(iter(row.values())) if row else None

    async def execute(self, query: LiteralString, *args: object, **named: object) -> int:
        """Run one statement and return the number of rows it changed."""
        async with self.connection() as connection:
            return (await connection.execute(query, args or named or None)).rowcount

    async def check(self) -> None:
        """Raise :class:`Unavailable` unless the server answers."""
        await self.value("SELECT 1")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
