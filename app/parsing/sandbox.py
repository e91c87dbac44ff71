"""Documents read in child processes with limits, so that none can hurt the service.

Each document has a process of its own, forked from a warmed-up parent (see ``zygote``), with bounds on
memory, CPU, files and the file system. Whatever such a process does, the reader sees pages and then either
the end or an ``Unreadable`` with its reason.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from app.errors import Unavailable
from app.parsing.child import EXIT_MEMORY
from app.parsing.frames import HEADER, MOST_FRAME_BYTES, BadFrame, decode, to_error, to_page
from app.parsing.keeper import Exit, Keeper
from app.parsing.model import Damaged, Empty, Limits, Page, TooLarge, TooSlow, Unreadable

_BUFFER_BYTES = 256 * 1024
_REPORT_SECONDS = 10.0


class ParserPool:
    """Reads documents in child processes, ``workers`` at a time; further ones wait for their turn.

    Use it as ``async with ParserPool() as pool``, or call ``close`` at the end. The zygote starts with the
    first document (or with ``start``) and again if it was lost. ``extra_formats`` names further format
    modules, which are asked before the built-in ones.
    """

    def __init__(self, *, workers: int = 2, extra_formats: Sequence[str] = ()) -> None:
        self._slots = asyncio.Semaphore(workers)
        self._starting = asyncio.Lock()
        self._extra_formats = tuple(extra_formats)
        self._keeper: Keeper | None = None
        self._peak_rss = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Load the parsers now, so that the first document doesn't wait for it. Raises: Unavailable."""
        await self._running()

    async def close(self) -> None:
        """End all parser processes, those at work included, and wait until they are gone."""
        self._peak_rss = self.peak_rss_bytes
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.close()

    @property
    def peak_rss_bytes(self) -> int:
        """Largest resident memory that any parser process has had."""
        return max(self._peak_rss, self._keeper.peak_rss if self._keeper else 0)

    async def parse(self, path: Path, name: str, limits: Limits | None = None) -> AsyncGenerator[Page, None]:
        """Yield the pages of the file at ``path``, as they are read; slow readers make the parser wait.

        ``name`` is what the uploader called the file; it is a hint among kinds of text and never opened.
        Raises: Unreadable (with its reason), Unavailable (the parsers' process was lost: try again), OSError
        (the file cannot be opened).
        """
        limits = limits or Limits()
        async with self._slots, self._begun(path, name, limits) as job:
            async for page in job.pages():
                yield page

    async def _running(self) -> Keeper:
        async with self._starting:
            if self._keeper is not None and not self._keeper.alive:
                await self.close()
            if self._keeper is None:
                self._keeper = await Keeper.start(self._extra_formats)
            return self._keeper

    @asynccontextmanager
    async def _begun(self, path: Path, name: str, limits: Limits) -> AsyncIterator[_Job]:
        document = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            about = os.fstat(document)
            if not stat.S_ISREG(about.st_mode):
                raise Damaged
            if not about.st_size:
                raise Empty
            keeper = await self._running()
            ours, theirs = socket.socketpair()
            try:
                number, ended = keeper.begin(document, theirs.fileno(), name, limits)
            except BaseException:
                ours.close()
                raise
            finally:
                theirs.close()
        finally:
            os.close(document)
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_BUFFER_BYTES)
        job = _Job(keeper, number, ended, reader, limits, limits.wall_seconds)
        try:
            yield job
        finally:
            keeper.kill(number)
            writer.close()
            # the peer may be gone already, which is no news
            with suppress(OSError):
                await writer.wait_closed()


@dataclass
class _Job:
    """One document being read."""

    keeper: Keeper
    number: int
    ended: asyncio.Future[Exit]
    reader: asyncio.StreamReader
    limits: Limits
    seconds_left: float
    characters: int = field(default=0)

    async def pages(self) -> AsyncIterator[Page]:
        """Yield pages until the parser says it is done. Raises: Unreadable, Unavailable."""
        count = 0
        while (page := await self._next()) is not None:
            count += 1
            self.characters += len(page.text)
            if count > self.limits.max_pages:
                raise TooLarge(f"more than {self.limits.max_pages:,} pages")
            if self.characters > self.limits.max_characters:
                raise TooLarge(f"more than {self.limits.max_characters:,} characters")
            yield page
        if not count:
            raise Empty

    async def _next(self) -> Page | None:
        """The next page, or None at the end."""
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(max(0.0, self.seconds_left)):
                message = decode(await self._frame())
            if message.get("type") == "page":
                return to_page(message)
            if message.get("type") == "error":
                raise to_error(message)
            if message.get("type") == "end":
                return None
            raise BadFrame
        except TimeoutError:
            raise TooSlow(f"{self.limits.wall_seconds:g} seconds") from None
        except BadFrame:
            raise Damaged from None
        except (asyncio.IncompleteReadError, OSError):
            raise await self._verdict() from None
        finally:
            self.seconds_left -= clock() - started

    async def _frame(self) -> bytes:
        (length,) = HEADER.unpack(await self.reader.readexactly(HEADER.size))
        if length > MOST_FRAME_BYTES:
            raise BadFrame
        return await self.reader.readexactly(length)

    async def _verdict(self) -> Unreadable | Unavailable:
        """Why a parser ended without a word."""
        try:
            async with asyncio.timeout(_REPORT_SECONDS):
                end = await asyncio.shield(self.ended)
        except Unavailable as error:
            return error
        except TimeoutError:
            return Damaged()
        if end.signal == signal.SIGXCPU or end.cpu >= self.limits.cpu_seconds:
            return TooSlow(f"{self.limits.cpu_seconds} seconds of computing")
        # A library that gets no more memory crashes in its own way; what it had by then tells.
        if end.code == EXIT_MEMORY or end.rss > self.limits.memory_bytes / 2:
            return TooLarge()
        return Damaged()
