"""The servers that no address was given for, started in the data folder and kept running."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.embedded.chroma import EmbeddedChroma
from app.embedded.errors import ServerFailed
from app.embedded.lock import DataFolderLock
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.watch import keep_running
from app.errors import AssistantError
from app.settings import Settings

log = logging.getLogger(__name__)


class NotRunning(AssistantError):
    """No assistant is running on the data folder {folder}."""

    status = 503
    advice = "Start one with 'ka serve', or give database.url and chroma.url."


class EmbeddedStack:
    """PostgreSQL and Chroma, as far as the settings name no others.

    ``database_url`` and ``chroma_url`` are those of the settings, or of the servers once ``start`` is done.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = DataFolderLock(settings.data_dir)
        self._watchers: list[asyncio.Task[None]] = []
        self.postgres = None if settings.database.url else EmbeddedPostgres(settings.data_dir / "postgres")
        self.chroma = None if settings.chroma.url else EmbeddedChroma(settings.data_dir / "chroma")

    async def start(self) -> None:
        """Take the data folder and start the servers.

        Raises :class:`AssistantError` with the reason, after stopping what was started.
        """
        self._lock.acquire()
        try:
            # in this thread, one after the other in time but not in waiting
            async with asyncio.TaskGroup() as group:
                if self.postgres is not None:
                    group.create_task(self.postgres.start())
                if self.chroma is not None:
                    group.create_task(_start_chroma(self.chroma))
        except* AssistantError as errors:
            await self.stop()
            raise errors.exceptions[0] from None
        self._write_endpoints()

    def watch(self, after_chroma: Callable[[], Awaitable[None]]) -> None:
        """From now on start again what dies; ``after_chroma`` is awaited after each start of Chroma."""
        if self.postgres is not None:
            self._watchers.append(asyncio.create_task(keep_running(self.postgres)))
        if self.chroma is not None:

            async def again() -> None:
                self._write_endpoints()
                await after_chroma()

            self._watchers.append(asyncio.create_task(keep_running(self.chroma, on_restart=again)))

    async def stop(self) -> None:
        """Stop the servers, Chroma first, and let go of the data folder."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        _file(self._settings.data_dir).unlink(missing_ok=True)
        if self.chroma is not None:
            await self.chroma.stop()
        if self.postgres is not None:
            await self.postgres.stop()
        self._lock.release()

    @property
    def database_url(self) -> str:
        """PostgreSQL's connection string."""
        if self.postgres is not None:
            return self.postgres.dsn
        url = self._settings.database.url
        return url.get_secret_value() if url else ""

    @property
    def chroma_url(self) -> str:
        """Chroma's address."""
        return self.chroma.url if self.chroma is not None else self._settings.chroma.url or ""

    def _write_endpoints(self) -> None:
        """Tell the workers; only of the embedded servers, whose addresses hold no secret."""
        known = {
            "database": self.postgres.dsn if self.postgres else None,
            "chroma": self.chroma.url if self.chroma else None,
        }
        target = _file(self._settings.data_dir)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = target.with_suffix(".new")
        fresh.write_text(json.dumps(known), encoding="utf-8")
        fresh.replace(target)


async def _start_chroma(chroma: EmbeddedChroma) -> None:
    """Start it; if its data keep it from starting, do so without them, since they are only a copy."""
    try:
        await chroma.start()
    except ServerFailed as failure:
        aside = chroma.set_aside()
        log.warning("%s It starts without its data (now in %s), to be rebuilt.", failure.message, aside)
        await chroma.start()


def addresses(settings: Settings) -> tuple[str, str]:
    """Connection string of PostgreSQL and address of Chroma, for a process that starts neither.

    Raises :class:`NotRunning` if they are embedded and nobody runs them.
    """
    database, chroma = settings.database.url, settings.chroma.url
    known: dict[str, str | None] = {}
    if database is None or chroma is None:
        try:
            known = json.loads(_file(settings.data_dir).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise NotRunning(folder=settings.data_dir) from None
    return (
        database.get_secret_value() if database else known.get("database") or "",
        chroma or known.get("chroma") or "",
    )


def _file(data_dir: Path) -> Path:
    return data_dir / "run" / "endpoints.json"
