"""An HTTP/1.1 client that costs little: the load comes from the machine that also runs the servers.

Connections are kept and used again, the last used first. https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_IDLE_SECONDS = 20.0  # servers close what was idle for longer
_LONGEST_HEAD = 64 * 1024
_ROOM = 4 * 2**20


class Broken(Exception):
    """No whole answer came; the text says what happened instead."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``headers`` have small letters; ``first_seconds`` until the first byte of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    first_seconds: float

    def json(self) -> Any:
        """The body as JSON; raises :class:`Broken` if it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Broken(f"{self.status} without JSON: {self.body[:80]!r}") from error


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: float

    @property
    def fresh(self) -> bool:
        """Whether the server has surely not said good-bye."""
        return not self.reader.at_eof() and time.monotonic() - self.used < _IDLE_SECONDS


class Client:
    """Sends requests to one address, which has to prove by its certificate that it is ``name``.

    ``ca`` is the file of the authority that it trusts alone, ``seconds`` the longest time for a request.
    """

    def __init__(self, address: str, name: str, ca: Path, *, port: int = 443, seconds: float = 60.0) -> None:
        self._address = address
        self._port = port
        self._name = name
        self._seconds = seconds
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._idle: list[_Connection] = []

    def trust(self, ca: Path) -> None:
        """Trust these authorities too, from the next connection on."""
        self._tls.load_verify_locations(cafile=str(ca))

    async def get(self, path: str, *, seconds: float | None = None) -> Response:
        """GET; raises :class:`Broken`."""
        return await self.request("GET", path, seconds=seconds)

    async def post(self, path: str, value: object) -> Response:
        """POST of ``value`` as JSON; raises :class:`Broken`."""
        return await self.request("POST", path, json.dumps(value).encode(), "application/json")

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "",
        *,
        seconds: float | None = None,
    ) -> Response:
        """Send a request once and read the whole answer; raises :class:`Broken`."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(seconds or self._seconds), self._connection() as connection:
                connection.writer.write(self._head(method, path, len(body), content_type) + body)
                await connection.writer.drain()
                return await _read(connection.reader, begun)
        except TimeoutError as error:
            raise Broken("no answer in time") from error
        except asyncio.IncompleteReadError as error:
            raise Broken("closed in the middle" if error.partial else "closed without an answer") from error
        except (OSError, ValueError, asyncio.LimitOverrunError) as error:
            raise Broken(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close what is kept open."""
        for connection in self._idle:
            connection.writer.transport.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # the loop does it in its next round

    def _head(self, method: str, path: str, length: int, content_type: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._name}"]
        if content_type:
            lines += [f"Content-Type: {content_type}", f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", ""]).encode()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        """One that is kept, or a new one; it is kept on if the block ends without an error."""
        while self._idle:
            connection = self._idle.pop()
            if connection.fresh:
                break
            connection.writer.transport.abort()
        else:
            reader, writer = await asyncio.open_connection(
                self._address, self._port, ssl=self._tls, server_hostname=self._name, limit=_ROOM
            )
            connection = _Connection(reader, writer, 0.0)
        try:
            yield connection
        except BaseException:
            connection.writer.transport.abort()
            raise
        connection.used = time.monotonic()
        self._idle.append(connection)


async def _read(reader: asyncio.StreamReader, begun: float) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body, first = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        first = time.monotonic()
    if headers.get("connection", "").lower() == "close":
        reader.feed_eof()
    return Response(status, headers, body, first - begun)


async def _chunks(reader: asyncio.StreamReader) -> tuple[bytes, float]:
    """The body, and when its first byte came."""
    parts: list[bytes] = []
    first = 0.0
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        first = first or time.monotonic()
        part = await reader.readexactly(size + 2)
        if not size:
            return b"".join(parts), first
        parts.append(part[:-2])
