"""Open-loop load: each request is sent when it is due, whatever became of those before it.

So a server that stands still cannot slow its clients down, and its delay shows in full ("coordinated
omission", https://www.youtube.com/watch?v=lJ8ydIuPFeU).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count

from tests.load.http import Broken
from tests.load.outcome import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """What an act made of the response to its one request."""

    status: int
    verdict: Verdict
    detail: str = ""
    degraded: bool = False


Act = Callable[[int], Awaitable[Answer]]  # is given the number of the request; raises Broken


class Generator:
    """Runs acts at fixed rates until it is stopped; ``outcomes`` grows meanwhile."""

    def __init__(self, acts: Mapping[str, tuple[Act, float]]) -> None:
        """``acts``: by kind, what to do and how many times a second."""
        self._acts = acts
        self._stop = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self.outcomes: list[Outcome] = []

    async def run(self) -> None:
        """Send until stopped, then wait for what is under way."""
        await asyncio.gather(*(self._send(kind, *act) for kind, act in self._acts.items()))
        await asyncio.gather(*self._under_way)

    def stop(self) -> None:
        """Send nothing more."""
        self._stop.set()

    async def _send(self, kind: str, act: Act, rate: float) -> None:
        begun = time.monotonic()
        for number in count():
            due = begun + number / rate
            if await self._stopped_before(due):
                return
            task = asyncio.create_task(self._one(kind, act, number, due))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _stopped_before(self, due: float) -> bool:
        wait = due - time.monotonic()
        if wait <= 0:
            return self._stop.is_set()
        try:
            async with asyncio.timeout(wait):
                return await self._stop.wait()
        except TimeoutError:
            return False

    async def _one(self, kind: str, act: Act, number: int, due: float) -> None:
        try:
            answer = await act(number)
        except Broken as error:
            answer = Answer(0, "failed", str(error))
        self.outcomes.append(
            Outcome(
                kind,
                due,
                time.monotonic() - due,
                answer.status,
                answer.verdict,
                answer.detail,
                answer.degraded,
            )
        )
