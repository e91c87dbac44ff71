"""An answer can be stopped while it waits, and then nothing of it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from app.ui.stopping import Stops, until


class Source:
    """Yields 0 and 1, then waits for ever; ``ended`` tells that it was closed."""

    def __init__(self) -> None:
        self.ended = False

    async def events(self, *, endless: bool) -> AsyncGenerator[int, None]:
        try:
            yield 0
            yield 1
            if endless:
                await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_without_a_stop_everything_comes_through() -> None:
    source = Source()
    assert [n async for n in until(source.events(endless=False), asyncio.Event())] == [0, 1]


async def test_a_stop_ends_the_wait_and_closes_the_source() -> None:
    source, stop = Source(), asyncio.Event()
    seen = []
    asyncio.get_running_loop().call_later(0.02, stop.set)
    async with asyncio.timeout(5), aclosing(source.events(endless=True)) as events:
        seen += [n async for n in until(events, stop)]
    assert seen == [0, 1]
    assert source.ended


async def test_an_error_of_the_source_comes_through() -> None:
    async def broken() -> AsyncGenerator[int, None]:
        yield 0
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        [n async for n in until(broken(), asyncio.Event())]


async def test_one_who_goes_away_leaves_nothing_behind() -> None:
    source = Source()

    async def read() -> None:
        async with aclosing(source.events(endless=True)) as events:
            async for _ in until(events, asyncio.Event()):
                pass

    before = asyncio.all_tasks()
    task = asyncio.create_task(read())
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)
    assert source.ended
    assert asyncio.all_tasks() <= before


def test_a_stop_reaches_only_its_own_session() -> None:
    stops = Stops()
    with stops.answering("one") as one, stops.answering("two") as two:
        stops.stop("one")
        stops.stop("nobody")
        assert (one.is_set(), two.is_set()) == (True, False)
    stops.stop("two")
    assert not two.is_set()
