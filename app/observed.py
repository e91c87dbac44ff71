"""Counts what goes by in a stream of answer events."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from app import metrics
from app.answering.events import Done, Event, Token


async def watched(events: AsyncGenerator[Event, None], started: float) -> AsyncGenerator[Event, None]:
    """The same events, counted; ``started`` is the ``time.perf_counter()`` of the question."""
    waiting = True
    async with aclosing(events):
        async for event in events:
            if waiting and isinstance(event, Token):
                metrics.FIRST_TOKEN_SECONDS.observe(time.perf_counter() - started)
                waiting = False
            if isinstance(event, Done):
                _count(event)
            yield event


def _count(done: Done) -> None:
    metrics.ANSWERS.labels(done.kind).inc()
    metrics.DROPPED.inc(done.dropped)
    if done.uncited:
        metrics.UNCITED.inc()
    if done.kind == "refused":
        metrics.REFUSALS.inc()
    for cause in done.degraded:
        metrics.DEGRADED.labels(cause.reason).inc()
