"""A pool of connections that lets go of all of them when their server turns out to be away."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from app.stores.finder import Finder
from app.stores.marked import MarkedCursor

Connection = AsyncConnection[DictRow]

FRESH_SECONDS = 1.0  # a connection used so recently is taken to be alive
RENEWAL_SECONDS = 1.0  # faults that follow one so closely have the same cause
RECONNECT_SECONDS = 0.5  # a pool that may wait longer would miss the moment when the server is back

# What PostgreSQL says when it, or the way to it, is away (SQLSTATE classes 08, 53, 57P).
FAULTS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)


def is_away(error: BaseException | None) -> bool:
    """Whether an error means that the server cannot do it now, and another perhaps can."""
    return isinstance(error, FAULTS) and not isinstance(error, (psycopg.errors.QueryCanceled, PoolClosed))


class Pool(AsyncConnectionPool[Connection]):
    """At most ``size`` connections in autocommit mode that return rows as dicts.

    ``seconds`` bounds the wait for one of them.
    """

    def __init__(self, conninfo: str, *, size: int, seconds: float) -> None:
        self._finder = Finder(conninfo)
        self._used: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._renewed = 0.0
        super().__init__(
            self._finder,
            connection_class=AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "cursor_factory": MarkedCursor},
            configure=_begin_no_transactions,
            min_size=1,
            max_size=size,
            timeout=seconds,
            reconnect_timeout=RECONNECT_SECONDS,
            reconnect_failed=_try_again,
            check=self._check_idle,
            open=False,
        )

    @asynccontextmanager
    async def connection(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 -- the base class has it
    ) -> AsyncIterator[Connection]:
        """A connection; one that broke, or that no longer takes writes, takes the others with it."""
        async with super().connection(timeout) as connection:
            try:
                yield connection
            except psycopg.errors.ReadOnlySqlTransaction:
                await connection.close()
                raise
            finally:
                self._used[connection] = time.monotonic()
                if connection.closed:
                    await self.renew()

    async def renew(self) -> None:
        """Replace all connections: idle ones at once, others when they come back."""
        now = time.monotonic()
        if now - self._renewed > RENEWAL_SECONDS:
            self._renewed = now
            self._finder.forget()
            await self.drain()

    async def find(self) -> None:
        """Return when a server that suits can be connected to; raises :class:`psycopg.OperationalError`."""
        self._finder.forget()
        await self._finder()

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 -- the base class has it
        """Give all connections back."""
        await self._finder.stop()
        await super().close(timeout)

    async def _check_idle(self, connection: Connection) -> None:
        """Raise if it died while it was idle; one just used needs no round trip for that."""
        if time.monotonic() - self._used.get(connection, 0.0) <= FRESH_SECONDS:
            return
        try:
            await self.check_connection(connection)
        except psycopg.Error:
            await self.renew()
            raise


async def _begin_no_transactions(connection: Connection) -> None:
    await connection.set_autocommit(True)


async def _try_again(pool: AsyncConnectionPool[Any]) -> None:
    await pool.check()
