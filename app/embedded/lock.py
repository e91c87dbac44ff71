"""One owner per data folder, by a lock that death releases."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from app.embedded.errors import DataFolderInUse, DataFolderNotUsable


class DataFolderLock:
    """Holds ``folder`` for this process, by flock(2) on the file ``lock`` in it.

    The folder is made with mode 0700 when missing; an existing one keeps its permissions. The lock ends with
    ``release`` or with the process, however it dies. Children that are forked without ``exec`` don't keep it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: int | None = None
        os.register_at_fork(after_in_child=self._forget)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self) -> None:
        """Take the lock; does nothing when it is held already.

        Raises:
            DataFolderInUse: another process holds it (its id is named).
            DataFolderNotUsable: the folder cannot be made or written to.
        """
        if self._file is not None:
            return
        try:
            self._file = self._take()
        except BlockingIOError as problem:
            raise DataFolderInUse(pid=self._owner(), folder=self.folder) from problem
        except OSError as problem:
            raise DataFolderNotUsable(
                folder=self.folder, why=(problem.strerror or str(problem)).lower()
            ) from problem

    def release(self) -> None:
        """Give the lock up; does nothing when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self) -> int:
        if not self.folder.is_dir():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
        file = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(file)
            raise
        return file

    def _owner(self) -> str:
        try:
            return (self.folder / "lock").read_text(encoding="ascii").strip() or "unknown"
        except (OSError, UnicodeDecodeError):
            return "unknown"

    def _forget(self) -> None:
        """In a forked child: close the copy, or the child would hold the folder after our death."""
        self.release()
