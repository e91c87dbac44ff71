"""Keep a server running that dies by itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from app.embedded.process import trim_log
from app.errors import AssistantError

_LOGGER = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
CALM_SECONDS = 60.0
"""A server that lived this long starts again with the first pause."""


class Server(Protocol):
    """What can be watched: EmbeddedChroma and EmbeddedPostgres."""

    name: str
    log: Path

    @property
    def running(self) -> bool:
        """Whether its process is alive."""

    @property
    def wanted(self) -> bool:
        """Whether it should be alive."""

    async def start(self) -> None:
        """Start it; returns when it answers."""


async def keep_running(
    server: Server,
    *,
    on_restart: Callable[[], Awaitable[None]] | None = None,
    poll_seconds: float = 0.25,
    first_pause_seconds: float = FIRST_PAUSE_SECONDS,
) -> None:
    """Watch ``server`` until cancelled: start it again when it died, after pauses that double up to 30 s.

    Run it as a task of the main thread's loop. A server that was stopped on purpose is left alone.
    ``on_restart`` is awaited after each start, for checks of what the death may have broken. Failures are
    logged, never raised.
    """
    pause, since = first_pause_seconds, time.monotonic()
    while True:
        await asyncio.sleep(poll_seconds)
        trim_log(server.log)
        if server.running or not server.wanted:
            continue
        if time.monotonic() - since > CALM_SECONDS:
            pause = first_pause_seconds
        _LOGGER.warning("%s has died; starting it again in %.1f seconds", server.name, pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        if server.wanted:  # not stopped in the meantime
            await _revive(server, on_restart)
        since = time.monotonic()


async def _revive(server: Server, on_restart: Callable[[], Awaitable[None]] | None) -> None:
    try:
        await server.start()
        _LOGGER.info("%s runs again", server.name)
        if on_restart is not None:
            await on_restart()
    except AssistantError as problem:
        _LOGGER.error("%s", problem.sentence())
    except Exception:
        _LOGGER.exception("%s runs again, but what was to be done after that failed", server.name)
