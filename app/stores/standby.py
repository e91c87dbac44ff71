"""Reading goes on from a standby while the primary is away, or does not say whether it is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg

from app.stores.pool import FAULTS, Connection, Pool, is_away

T = TypeVar("T")
log = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds that a primary may be silent before a standby is asked as well
PROBE_SECONDS = 1.0  # seconds in which a silent primary must let itself be connected to
PAUSE = 0.1  # seconds before a reading that failed everywhere is tried again


class Standby:
    """Sends one reading to the primary, and to a standby when that fails or takes long.

    A reading may so be done twice, and what it returns may be older than the last write by the standby's lag.
    Once the primary was away, all is read from a standby until the primary, or the next one, is there.
    """

    def __init__(self, primary: Pool, standby: Pool, seconds: float) -> None:
        self._primary = primary
        self._standby = standby
        self._seconds = seconds
        self._away = False
        self._last_used = float("-inf")
        self._search: asyncio.Task[None] | None = None

    @property
    def in_use(self) -> bool:
        """Whether the primary is away at this moment, as far as is known."""
        return self._away

    @property
    def last_used(self) -> float:
        """When a standby answered for the last time, as :func:`time.monotonic` tells it."""
        return self._last_used

    async def open(self) -> None:
        """Begin to connect; a standby that is away keeps nobody waiting."""
        await self._standby.open(wait=False)

    async def close(self) -> None:
        """Give the connections back."""
        if self._search is not None:
            self._search.cancel()
            await asyncio.gather(self._search, return_exceptions=True)
        await self._standby.close()

    async def read(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what ``run`` returns, given a connection; for ``seconds`` it is tried again.

        Raises the error of the last try.
        """
        deadline = time.monotonic() + self._seconds
        while True:
            try:
                return await (self._on_standby(run) if self._away else self._on_either(run))
            except FAULTS as error:
                if not is_away(error) or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(PAUSE)

    def primary_answered(self) -> None:
        """It took a write: what is read from now on must not be older."""
        if self._away:
            log.info("the database's primary is back")
            self._away = False

    async def _on_either(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        first = asyncio.ensure_future(_on(self._primary, run))
        second: asyncio.Future[T] | None = None
        try:
            await asyncio.wait({first}, timeout=PATIENCE)
            if first.done() and not is_away(first.exception()):
                return first.result()
            self._look(str(first.exception()) if first.done() else None)
            second = asyncio.ensure_future(self._on_standby(run))
            return await _sooner(first, second)
        finally:
            # not waited for: to take a statement back from a dead host takes seconds
            for one in (first, second):
                if one is not None and not one.done():
                    one.cancel()

    async def _on_standby(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        result = await _on(self._standby, run)
        self._last_used = time.monotonic()
        return result

    def _look(self, fault: str | None) -> None:
        """Search for the primary; without a ``fault`` it was only silent, so it may be found where it was."""
        if fault is not None:
            self._set_away(fault)
        if self._search is None or self._search.done():
            self._search = asyncio.create_task(self._until_found())

    def _set_away(self, why: str) -> None:
        if not self._away:
            log.warning("the database's primary is away: reading from a standby (%s)", why.strip())
            self._away = True

    async def _until_found(self) -> None:
        try:
            await asyncio.wait_for(self._primary.find(), PROBE_SECONDS)
        except (TimeoutError, psycopg.Error) as error:
            self._set_away(str(error) or "it does not answer")
            await self._primary.renew()
            while self._away:
                with contextlib.suppress(psycopg.Error):
                    await self._primary.find()
                    break
        self.primary_answered()


async def _on(pool: Pool, run: Callable[[Connection], Awaitable[T]]) -> T:
    async with pool.connection() as connection:
        return await run(connection)


async def _sooner(first: asyncio.Future[T], second: asyncio.Future[T]) -> T:
    """The result of the first one that has any."""
    pending = {first, second}
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for one in (first, second):
            if one in done and not is_away(one.exception()):
                return one.result()
    return first.result()
