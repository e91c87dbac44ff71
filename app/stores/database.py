"""PostgreSQL: one pool for a process, and its faults as sentences."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, LiteralString, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from app.errors import Invalid, Unavailable
from app.stores.conninfo import for_reading, for_writing, with_option
from app.stores.standby import Standby

T = TypeVar("T")
Connection = AsyncConnection[DictRow]

# What PostgreSQL says when it, or the way to it, is away (SQLSTATE classes 08, 53, 57P).
AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)


FRESH_SECONDS = 1.0  # a connection used so recently is taken to be alive


RECONNECT_SECONDS = 1.0  # a pool that may wait longer would miss the moment when the server is back


class Database:
    """A pool of connections in autocommit mode that return rows as dicts.

    ``url`` may name several hosts; the one that takes writes is used. With ``reads_go_on``, what is read
    comes from a standby while there is none: for showing and answering, never to decide what to remove.
    ``connect_seconds`` bounds the wait for a connection, ``statement_seconds`` one statement.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int = 8,
        connect_seconds: float = 10,
        statement_seconds: float = 60,
        reads_go_on: bool = False,
    ) -> None:
        self._used: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._size = size
        self._connect_seconds = connect_seconds
        limit = f"-c statement_timeout={round(statement_seconds * 1000)}"
        self.pool = self._make_pool(with_option(for_writing(url, connect_seconds), limit))
        standby = for_reading(url) if reads_go_on else None
        self._standby = (
            Standby(self.pool, self._make_pool(with_option(standby, limit)), AWAY) if standby else None
        )

    def _make_pool(self, conninfo: str) -> AsyncConnectionPool[Connection]:
        return AsyncConnectionPool(
            conninfo,
            connection_class=AsyncConnection[DictRow],
            kwargs={"autocommit": True, "row_factory": dict_row},
            min_size=1,
            max_size=self._size,
            timeout=self._connect_seconds,
            reconnect_timeout=RECONNECT_SECONDS,
            reconnect_failed=_try_again,
            check=self._check,
            reset=self._stamp,
            open=False,
        )

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
        if self._standby is not None:
            await self._standby.open()

    async def close(self) -> None:
        """Give all connections back to the server."""
        if self._standby is not None:
            await self._standby.close()
        await self.pool.close()

    @property
    def reads_only(self) -> bool:
        """Whether the primary is away and what is read comes from a standby."""
        return self._standby is not None and self._standby.in_use

    async def _stamp(self, connection: Connection) -> None:
        self._used[connection] = time.monotonic()

    async def _check(self, connection: Connection) -> None:
        """Replace connections that died while they were idle; one just used needs no round trip for that."""
        if time.monotonic() - self._used.get(connection, 0.0) > FRESH_SECONDS:
            await AsyncConnectionPool.check_connection(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection, each statement of which is a transaction of its own."""
        with _as_sentences():
            async with self.pool.connection() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that commits when the block ends without an error."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def rows(self, query: LiteralString, *args: object, **named: object) -> list[DictRow]:
        """Run one statement and return all rows."""

        async def run(connection: Connection) -> list[DictRow]:
            return await (await connection.execute(query, args or named or None)).fetchall()

        return await self._read(run)

    async def row(self, query: LiteralString, *args: object, **named: object) -> DictRow | None:
        """Run one statement and return its first row."""

        async def run(connection: Connection) -> DictRow | None:
            return await (await connection.execute(query, args or named or None)).fetchone()

        return await self._read(run)

    async def _read(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """On the primary or, when it is away, a standby, whose sessions refuse what would write."""
        if self._standby is None:
            async with self.connection() as connection:
                return await run(connection)
        with _as_sentences():
            return await self._standby.read(run)

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


async def _try_again(pool: AsyncConnectionPool[Any]) -> None:
    await pool.check()


@contextmanager
def _as_sentences() -> Iterator[None]:
    """PostgreSQL's errors as ours."""
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        raise Unavailable(what="PostgreSQL", why="a statement took too long") from error
    except psycopg.DataError as error:
        # a character or a number that PostgreSQL has no place for
        raise Invalid(what=f"This cannot be looked up or stored: {_first_line(error)}") from error
    except AWAY as error:
        raise Unavailable(what="PostgreSQL", why=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
