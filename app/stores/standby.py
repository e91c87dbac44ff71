"""Reading goes on from a standby while the primary is away, or does not say whether it is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from psycopg_pool import AsyncConnectionPool

T = TypeVar("T")
log = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds that a primary may be silent before a standby is asked as well
PROBE_SECONDS = 0.5


class Standby:
    """Sends one reading to the primary, and to a standby when that fails or takes long.

    A reading may so be done twice, and what it returns may be older than the last write by the standby's lag.
    ``faults`` are the errors that mean that a server is away; all others are the caller's own.
    """

    def __init__(
        self,
        primary: AsyncConnectionPool[Any],
        standby: AsyncConnectionPool[Any],
        faults: tuple[type[Exception], ...],
    ) -> None:
        self._primary = primary
        self._standby = standby
        self._faults = faults
        self._probe: asyncio.Task[None] | None = None

    @property
    def in_use(self) -> bool:
        """Whether the primary is away at this moment, as far as is known."""
        return self._probe is not None

    async def open(self) -> None:
        """Begin to connect; a standby that is away keeps nobody waiting."""
        await self._standby.open(wait=False)

    async def close(self) -> None:
        """Give the connections back."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
        await self._standby.close()

    async def read(self, run: Callable[[Any], Awaitable[T]]) -> T:
        """Return what ``run`` returns, given a connection.

        Raises the primary's error when no standby can be read either.
        """
        if self.in_use:
            return await self._on(self._standby, run)
        first = asyncio.ensure_future(self._on(self._primary, run))
        second: asyncio.Future[T] | None = None
        try:
            await asyncio.wait({first}, timeout=PATIENCE)
            if first.done() and not self._away(first):
                return first.result()
            second = asyncio.ensure_future(self._on(self._standby, run))
            return await self._sooner(first, second)
        finally:
            # not waited for: to take a statement back from a dead host takes seconds
            for one in (first, second):
                if one is not None and not one.done():
                    one.cancel()

    async def _sooner(self, first: asyncio.Future[T], second: asyncio.Future[T]) -> T:
        """The result of the first one that has any."""
        pending = {first, second}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for one in (first, second):
                if one in done and not self._failed(one):
                    return one.result()
        return first.result()

    def _away(self, first: asyncio.Future[T]) -> bool:
        """Whether the primary turned out to be away; if so, it is looked for until it is back."""
        if not self._failed(first):
            return False
        if self._probe is None:
            log.warning("the database's primary is away: reading from a standby (%s)", first.exception())
            self._probe = asyncio.create_task(self._look())
        return True

    def _failed(self, one: asyncio.Future[T]) -> bool:
        return isinstance(one.exception(), self._faults)

    async def _on(self, pool: AsyncConnectionPool[Any], run: Callable[[Any], Awaitable[T]]) -> T:
        async with pool.connection() as connection:
            return await run(connection)

    async def _look(self) -> None:
        """Try the primary until it takes writes again."""
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            with contextlib.suppress(*self._faults):
                async with self._primary.connection(timeout=PROBE_SECONDS) as connection:
                    await connection.execute("SELECT 1")
                log.info("the database's primary is back")
                self._probe = None
                return
