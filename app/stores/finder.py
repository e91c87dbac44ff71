"""Which of several hosts is the primary, or a standby, at this moment."""

from __future__ import annotations

import asyncio
import random
import time

import psycopg

from app.stores.conninfo import each_host

HEAD_START = 0.1  # seconds until the next host is tried beside one that has not answered
PAUSE, LONGEST_PAUSE = 0.1, 0.5  # seconds between two tries of one host, doubled each time
SEARCH_SECONDS = 10.0
KNOWN_SECONDS = 1.0  # for so long a host that was found is taken to be still the one


class Finder:
    """Tries all hosts of a connection string side by side until one of them suits it.

    So a host that says nothing holds up nobody, and the next primary is found as soon as it is one; psycopg
    itself tries one host after the other. All who ask at the same time share one search.
    """

    def __init__(self, conninfo: str) -> None:
        self._hosts = each_host(conninfo)
        random.shuffle(self._hosts)  # so that not all processes read from the same standby
        self._search: asyncio.Task[str] | None = None
        self._known_until = 0.0

    async def __call__(self) -> str:
        """The connection string of a host that suits ``target_session_attrs``; a single one is not asked.

        Raises :class:`psycopg.OperationalError` when none does for ten seconds.
        """
        if len(self._hosts) == 1:
            return self._hosts[0]
        if self._search is None or (self._search.done() and time.monotonic() > self._known_until):
            self._search = asyncio.create_task(self._find())
        return await asyncio.shield(self._search)

    def forget(self) -> None:
        """Let the next who asks begin a new search, unless one is under way."""
        self._known_until = 0.0

    async def stop(self) -> None:
        """End a search that is under way."""
        if self._search is not None:
            self._search.cancel()
            await asyncio.gather(self._search, return_exceptions=True)

    async def _find(self) -> str:
        self.forget()
        failures: dict[str, str] = {}
        tries = [
            asyncio.create_task(_until_it_suits(host, place * HEAD_START, failures))
            for place, host in enumerate(self._hosts)
        ]
        try:
            done, _ = await asyncio.wait(tries, timeout=SEARCH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in tries:
                one.cancel()
        if not done:
            raise psycopg.OperationalError("\n".join(sorted(set(failures.values()))) or "no host answers")
        found = done.pop().result()
        self._hosts.remove(found)
        self._hosts.insert(0, found)  # tried first the next time
        self._known_until = time.monotonic() + KNOWN_SECONDS
        return found


async def _until_it_suits(host: str, delay: float, failures: dict[str, str]) -> str:
    pause = PAUSE
    await asyncio.sleep(delay)
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(host)
        except psycopg.OperationalError as error:
            failures[host] = str(error)
        else:
            await connection.close()
            return host
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
