"""A PostgreSQL server that an earlier owner left behind, and the notes it leaves in its folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

from app.embedded.errors import DatabaseStillRunning

WAIT_SECONDS = 60.0
"""How long a server of an earlier owner gets to shut down; the kernel has told it to already."""

_PROGRAMS = {b"postgres", b"initdb"}


def processes_in(data: Path) -> list[int]:
    """Ids of the PostgreSQL processes on ``data``: their working directory, or named in their arguments."""
    place = data.resolve()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_bytes().strip() not in _PROGRAMS:
                continue
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if os.fsencode(data) in arguments or (entry / "cwd").readlink() == place:
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended, or belongs to another user
    return sorted(found)


def main_process(data: Path) -> int | None:
    """The process id in ``postmaster.pid``, whether it lives or not."""
    try:
        return int((data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


async def clear_leftovers(data: Path, wait_seconds: float = WAIT_SECONDS) -> None:
    """Wait until no server of an earlier owner uses ``data``, then remove its stale ``postmaster.pid``.

    The caller holds the folder's lock, so a server that is still there has lost its owner. PostgreSQL
    itself would refuse to start when the id in the file belongs to any living process by now (usual after a
    reboot).

    Raises:
        DatabaseStillRunning: it did not end in time, although it was told to.
    """
    deadline = time.monotonic() + wait_seconds
    told = False
    while left := processes_in(data):
        main = main_process(data)
        target = main if main in left else left[0]
        if time.monotonic() > deadline:
            raise DatabaseStillRunning(pid=target, folder=data.parent)
        if not told:
            _interrupt(target)
            told = True
        await asyncio.sleep(0.05)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _interrupt(process: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(process, signal.SIGINT)
