"""Objects as files below one folder."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from app.stores.objects.errors import ObjectNotFound, ObjectStoreFailed, ObjectStoreFull
from app.stores.objects.interface import PIECE_BYTES
from app.stores.objects.keys import check_key, check_prefix

T = TypeVar("T")

_INCOMING = ".incoming"
_ABANDONED_SECONDS = 24 * 3600.0


class FolderStore:
    """An :class:`~app.stores.objects.interface.ObjectStore` below ``root``, made with mode 0700 when missing.

    An object is written to ``.incoming`` in the same file system, synced, and renamed to ``root/key``, so
    that a crash or a loss of power leaves either the whole object or none.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 (without following links)

    async def put_file(self, key: str, path: Path) -> None:
        """Copy a file in."""
        target = self._path(key)

        def copy(source: BinaryIO) -> None:
            with self._writing(target) as file:
                shutil.copyfileobj(source, file, PIECE_BYTES)

        def put() -> None:
            with path.open("rb") as source:
                self._guard(lambda: copy(source), key)

        await asyncio.to_thread(put)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Store bytes."""
        target = self._path(key)

        def put() -> None:
            with self._writing(target) as file:
                file.write(data)

        await self._run(put, key)

    async def get_to_file(self, key: str, path: Path) -> None:
        """Copy an object out, to a name beside ``path`` first."""
        source = self._path(key)
        part = path.with_name(f".{uuid.uuid4().hex}.part")

        def get() -> None:
            with self._guard(lambda: source.open("rb"), key) as file:
                try:
                    with part.open("xb") as copy:
                        shutil.copyfileobj(file, copy, PIECE_BYTES)
                    part.replace(path)
                finally:
                    part.unlink(missing_ok=True)

        await asyncio.to_thread(get)

    async def open_stream(self, key: str) -> AsyncIterator[bytes]:
        """The object's bytes in pieces."""
        path = self._path(key)
        file = await self._run(lambda: path.open("rb", buffering=0), key)
        try:
            while piece := await self._run(lambda: file.read(PIECE_BYTES), key):
                yield piece
        finally:
            file.close()

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return await self._run(self._path(key).is_file, key)

    async def size(self, key: str) -> int:
        """Bytes of the object."""
        path = self._path(key)

        def size() -> int:
            if not path.is_file():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            return path.stat().st_size

        return await self._run(size, key)

    async def delete(self, key: str) -> None:
        """Delete the object; its name is gone from the disk when this returns."""
        path = self._path(key)

        def delete() -> None:
            if path.is_file():
                path.unlink(missing_ok=True)
                _sync_folder(path.parent)

        await self._run(delete, key)

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        """Keys that begin with ``prefix``, folder by folder."""
        check_prefix(prefix)
        waiting = [prefix.rpartition("/")[0]]
        while waiting:
            folder = waiting.pop()
            names, folders = await self._run(functools.partial(_read_folder, self.root, folder), folder)
            waiting.extend(inner for inner in folders if inner.startswith(prefix) or prefix.startswith(inner))
            for name in names:
                if name.startswith(prefix):
                    yield name

    async def check(self) -> None:
        """Write and remove a small file, and remove what uploads of killed processes left behind."""

        def check() -> None:
            with self._incoming() as (_, file):
                file.write(b"ready?")
            for left in (self.root / _INCOMING).iterdir():
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    left.unlink(missing_ok=True)

        await self._run(check, "")

    async def close(self) -> None:
        """Nothing is held open."""

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    @contextmanager
    def _writing(self, target: Path) -> Iterator[BinaryIO]:
        """A file to write to, which takes the name ``target`` at the end unless something was raised."""
        with self._incoming() as (path, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            self._make_folder(target.parent)
            path.replace(target)
            _sync_folder(target.parent)

    @contextmanager
    def _incoming(self) -> Iterator[tuple[Path, BinaryIO]]:
        self._make_folder(self.root / _INCOMING)
        path = self.root / _INCOMING / uuid.uuid4().hex
        try:
            with path.open("xb") as file:
                path.chmod(0o600)
                yield path, file
        finally:
            path.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        """Make ``folder`` and what is missing above it, each entry safe on the disk."""
        if folder.is_dir():
            return
        if folder != self.root:
            self._make_folder(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(folder.parent)

    async def _run(self, work: Callable[[], T], key: str) -> T:
        return await asyncio.to_thread(self._guard, work, key)

    def _guard(self, work: Callable[[], T], key: str) -> T:
        try:
            return work()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as problem:
            raise ObjectNotFound(name=key) from problem
        except OSError as problem:
            where = f"in '{self.root}'"
            if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise ObjectStoreFull(where=where) from problem
            raise ObjectStoreFailed(where=where, why=(problem.strerror or str(problem)).lower()) from problem


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_folder(root: Path, folder: str) -> tuple[list[str], list[str]]:
    """Keys of the objects and of the folders directly in the folder with key ``folder``."""
    names: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(root / folder) as entries:
            for entry in entries:
                key = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name != _INCOMING:
                    (folders if entry.is_dir(follow_symlinks=False) else names).append(key)
    except (FileNotFoundError, NotADirectoryError):
        pass
    return names, folders
