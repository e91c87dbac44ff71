"""PostgreSQL: one pool for a process, and its faults as sentences."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import DictRow
from psycopg_pool import PoolTimeout

from app.errors import Invalid, Unavailable
from app.stores.conninfo import for_reading, for_writing, with_option
from app.stores.pool import FAULTS, Connection, Pool, is_away
from app.stores.standby import Standby

__all__ = ["Connection", "Database"]
T = TypeVar("T")
PAUSE = 0.1  # seconds before a change that was not made is tried again


class Database:
    """A pool of connections in autocommit mode that return rows as dicts.

    ``url`` may name several hosts; the one that takes writes is used. With ``reads_go_on``, what is read
    comes from a standby while there is none: for showing and answering, never to decide what to remove.
    While no host takes writes, changes and, without a standby, readings wait for one, ``connect_seconds`` at
    most; then :class:`Unavailable` is raised. ``statement_seconds`` bounds one statement.
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
        self._seconds = connect_seconds
        limit = f"-c statement_timeout={round(statement_seconds * 1000)}"
        self.pool = Pool(
            with_option(for_writing(url, connect_seconds), limit), size=size, seconds=connect_seconds
        )
        self._standby: Standby | None = None
        if reads_go_on and (standby := for_reading(url)):
            reading = Pool(with_option(standby, limit), size=size, seconds=connect_seconds)
            self._standby = Standby(self.pool, reading, connect_seconds)

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

    def stale_since(self, moment: float) -> bool:
        """Whether anything was read from a standby since a moment of :func:`time.monotonic`."""
        return self._standby is not None and self._standby.last_used >= moment

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection, each statement of which is a transaction of its own."""
        with _as_sentences():
            async with self.pool.connection() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that commits when the block ends without an error.

        When the primary goes away in the middle, this fails: for jobs, which are done again as a whole.
        """
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
            return await self._on_primary(run)
        with _as_sentences():
            return await self._standby.read(run)

    async def value(self, query: LiteralString, *args: object, **named: object) -> Any:
        """Run one statement and return the first column of its first row."""
        row = await self.row(query, *args, **named)
        return next(iter(row.values())) if row else None

    async def execute(self, query: LiteralString, *args: object, **named: object) -> int:
        """Run one statement and return the number of rows it changed.

        It is sent again if its connection broke before the answer, so doing it twice must do no harm.
        """

        async def run(connection: Connection) -> int:
            return (await connection.execute(query, args or named or None)).rowcount

        return await self._on_primary(run)

    async def write(self, run: Callable[[Connection], Awaitable[T]], *, repeatable: bool = False) -> T:
        """Let ``run`` make a change in one transaction, and return what it returns.

        When the primary goes away before the commit, nothing was changed, so ``run`` is called again on the
        next one. When it goes away during the commit, nobody knows: that is :class:`Unavailable`, or another
        call if ``repeatable`` says that ``run`` finds what it did before and does not do it twice.
        """

        async def transaction(connection: Connection) -> T:
            committing = False
            try:
                async with connection.transaction():
                    result = await run(connection)
                    committing = True
            except FAULTS as error:
                if committing and not repeatable:
                    why = "it broke off before it said whether the change was made"
                    raise Unavailable(what="PostgreSQL", why=why) from error
                raise
            return result

        return await self._on_primary(transaction)

    async def _on_primary(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """What ``run`` returns; again on the next primary if this one goes away and there is time left."""
        deadline = time.monotonic() + self._seconds
        with _as_sentences():
            while True:
                try:
                    async with self.pool.connection(max(PAUSE, deadline - time.monotonic())) as connection:
                        result = await run(connection)
                except FAULTS as error:
                    if not is_away(error) or time.monotonic() > deadline:
                        raise
                else:
                    if self._standby is not None:
                        self._standby.primary_answered()
                    return result
                await asyncio.sleep(PAUSE)

    async def check(self) -> None:
        """Raise :class:`Unavailable` unless the server answers."""
        await self.value("SELECT 1")


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
    except FAULTS as error:
        raise Unavailable(what="PostgreSQL", why=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
