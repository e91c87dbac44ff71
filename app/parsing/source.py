"""An open document as the parsers see it: bytes by position, size, and a name that is only a hint."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import BinaryIO

HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class Source:
    """A document opened for reading. ``name`` is what the uploader called it: data, never a path to open."""

    file: BinaryIO
    name: str
    size: int
    head: bytes = field(repr=False)

    @property
    def ending(self) -> str:
        """The name's ending in lower case with its dot, or an empty text."""
        return PurePath(self.name.replace("\x00", "")).suffix.lower()

    def mapped(self) -> mmap.mmap:
        """The whole file as private memory that is filled only where it is touched."""
        return mmap.mmap(self.file.fileno(), self.size, access=mmap.ACCESS_COPY)


def from_file(file: BinaryIO, name: str) -> Source:
    """Make a source of a file opened for reading in binary mode."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return Source(file=file, name=name, size=size, head=head)


@contextmanager
def opened(path: Path, name: str) -> Iterator[Source]:
    """Open the file at ``path`` under the document's own ``name``."""
    with path.open("rb") as file:
        yield from_file(file, name)
