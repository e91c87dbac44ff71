"""A restic that is waited for no longer than is good: in time, and while the repository is away.

restic itself tries for a quarter of an hour what fails on the way to the repository.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Seconds in which the repository has to be back once restic says that it tries again.
GRACE = 45.0
# Seconds to give locks back in.
FAREWELL = 5.0
KEPT = 400  # last lines of what it says
TROUBLE = ("retrying after", "failed for")
RELIEF = "operation successful after"
LATE, LOST = "late", "lost"


@dataclass(frozen=True)
class Done:
    """``code`` is restic's; ``ended`` is LATE or LOST when it was ended here, and empty otherwise."""

    code: int
    out: str
    error: str
    ended: str = ""


class _Listener(threading.Thread):
    """Reads what restic says, and since when it has been trying in vain."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self.lines: list[str] = []
        self.troubled: float | None = None

    def run(self) -> None:
        """Until it says no more."""
        with contextlib.suppress(ValueError):  # closed meanwhile
            for line in self._stream:
                self.lines = [*self.lines[-KEPT:], line.rstrip()]
                if RELIEF in line:
                    self.troubled = None
                elif self.troubled is None and any(sign in line for sign in TROUBLE):
                    self.troubled = time.monotonic()


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    seconds: float,
    *,
    given: bytes = b"",
    to: IO[bytes] | None = None,
    folder: str | Path | None = None,
) -> Done:
    """Run it in a group of its own, which ends as a whole; raises OSError when it cannot be started."""
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as words,
    ):
        words.write(given)
        words.seek(0)
        with subprocess.Popen(
            command,
            env=dict(environment),
            stdin=words,
            stdout=to if to is not None else out,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder,
            start_new_session=True,
        ) as process:
            assert process.stderr is not None  # noqa: S101 -- for the type checker
            listener = _Listener(process.stderr)
            listener.start()
            try:
                ended = _wait(process, listener, seconds)
            finally:
                end(process)
            listener.join(FAREWELL)
        out.seek(0)
        said = out.read().decode(errors="replace")
    return Done(process.returncode, said, "\n".join(listener.lines), ended)


def _wait(process: subprocess.Popen[str], listener: _Listener, seconds: float) -> str:
    until = time.monotonic() + seconds
    while True:
        try:
            process.wait(0.2)
            return ""
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if listener.troubled is not None and now - listener.troubled > GRACE:
            return LOST
        if now > until:
            return LOST if listener.troubled is not None else LATE


def end(process: subprocess.Popen[str]) -> None:
    """Nothing of its group runs on: restic is asked first, since it gives back its lock then."""
    if process.poll() is None:
        _kill(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(FAREWELL)
    _kill(process.pid, signal.SIGKILL)
    process.wait()


def _kill(group: int, what: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, what)
