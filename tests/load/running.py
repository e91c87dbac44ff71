"""Load beside a program that is not asynchronous: a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.load.generator import Act, Generator

T = TypeVar("T")


class Loop:
    """Runs coroutines for callers that wait for them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="load", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, or its error."""
        return self.start(work).result()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin ``work``; its result comes later."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def load(self, acts: Mapping[str, tuple[Act, float]]) -> Iterator[Generator]:
        """Load during the block; at its end every request that was sent has its outcome."""

        async def make() -> Generator:
            return Generator(acts)

        generator = self.run(make())
        running = self.start(generator.run())
        try:
            yield generator
        finally:
            self._loop.call_soon_threadsafe(generator.stop)
            running.result()
