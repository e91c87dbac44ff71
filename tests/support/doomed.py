"""``ka`` with an end by kill -9 at a point that a test names, for tests of what is left after that.

``python -m tests.support.doomed POINT ARGUMENT...``: ``POINT`` is ``module:Class.method:when:n``, ``when``
being ``before`` or ``after``, and ``n`` the call at which the process kills itself; ``-`` is never. For a
function, ``module:function:when:n``. A worker loads everything, prints ``ready``, and begins when a line is
written to it, so that tests need not wait for it to load; its windows and lots of pages are small, so that
small documents go through every stage.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any


def doom(point: str) -> None:
    """Replace the method that ``point`` names by one that dies."""
    module_name, path, when, count = point.split(":")
    module: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for part in outer:
        module = getattr(module, part)
    method: Callable[..., Awaitable[Any]] = getattr(module, name)
    calls = 0

    @functools.wraps(method)
    async def doomed(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        mine = calls == int(count)
        if mine and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await method(*args, **named)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(module, name, doomed)


def wait_for_a_word() -> None:
    """Let a worker load, and wait."""
    import asyncio

    from app.ingestion import pipeline
    from app.ingestion.worker import Worker

    setattr(pipeline, "WINDOW", 16)  # noqa: B010
    setattr(pipeline, "PAGES_AT_ONCE", 2)  # noqa: B010
    run = Worker.run

    @functools.wraps(run)
    async def when_told(self: Worker, **options: Any) -> None:
        print("ready", flush=True)
        if not await asyncio.to_thread(sys.stdin.readline):
            return
        await run(self, **options)

    setattr(Worker, "run", when_told)  # noqa: B010 -- a method is replaced on purpose


if __name__ == "__main__":
    place = sys.argv.pop(1)
    if place != "-":
        doom(place)
    if sys.argv[1] == "worker":
        wait_for_a_word()
    from app.cli import main

    main()
