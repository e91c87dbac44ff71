"""Ending an answer early, by the one who asked it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stops:
    """Who is being answered, by session."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Event] = {}

    @contextmanager
    def answering(self, session: str) -> Iterator[asyncio.Event]:
        """The event that tells to stop, while this block runs."""
        stop = asyncio.Event()
        self._running[session] = stop
        try:
            yield stop
        finally:
            if self._running.get(session) is stop:
                del self._running[session]

    def stop(self, session: str) -> None:
        """Tell the session's answer to stop, if there is one."""
        if stop := self._running.get(session):
            stop.set()


async def until(events: AsyncGenerator[T, None], stop: asyncio.Event) -> AsyncGenerator[T, None]:
    """What ``events`` yields, ended at once when ``stop`` is set, also while waiting."""
    stopped = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            coming = asyncio.create_task(_next(events))
            try:
                await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait({coming})
            if coming.cancelled():
                return
            found = coming.result()
            if not found:
                return
            yield found[0]
    finally:
        stopped.cancel()


async def _next(events: AsyncGenerator[T, None]) -> tuple[T] | tuple[()]:
    """The next one, or nothing at the end."""
    try:
        return (await anext(events),)
    except StopAsyncIteration:
        return ()
