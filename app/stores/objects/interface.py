"""What every object store can do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

PIECE_BYTES = 256 * 1024
"""Largest piece that ``open_stream`` yields."""


class ObjectStore(Protocol):
    """Objects by key. Keys are made of their content, so that the same key always has the same bytes.

    A key that is not safe raises ``InvalidKey``; a store that cannot work raises ``Unavailable`` (of which
    ``ObjectStoreFailed`` and its kin are); both are AssistantErrors. An OSError is about the local ``path``.
    Nothing is ever seen half written.
    """

    async def put_file(self, key: str, path: Path) -> None:
        """Store the bytes of a file, without reading it whole into memory. When it returns they are safe."""

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Store ``data``. When it returns they are safe."""

    async def get_to_file(self, key: str, path: Path) -> None:
        """Write the object to ``path`` (replaced when it exists). Raises ObjectNotFound."""

    def open_stream(self, key: str) -> AsyncIterator[bytes]:
        """The object's bytes in pieces of at most 256 KiB. Raises ObjectNotFound at the first piece."""

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    async def size(self, key: str) -> int:
        """Bytes of the object. Raises ObjectNotFound."""

    async def delete(self, key: str) -> None:
        """Delete the object; one that is not there is fine."""

    def list(self, prefix: str = "") -> AsyncIterator[str]:
        """Keys that begin with ``prefix`` (as a string), in no promised order."""

    async def check(self) -> None:
        """Return when the store is ready, within seconds. Raises Unavailable with the reason."""

    async def close(self) -> None:
        """Give back what the store holds; it is not used afterwards."""
