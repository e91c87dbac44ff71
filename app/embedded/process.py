"""Start, wait for and stop a server that must never outlive its owner."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from app.embedded.errors import ServerFailed

RunAs = str | list[int]
"""``"keep"``, ``"map"`` or ``[uid, gid]``; see :mod:`app.embedded.launcher`."""

LOG_LIMIT = 2_000_000
"""A log above this many bytes is moved to ``NAME.1``, so that both stay near twice that."""

LAUNCHER = Path(__file__).with_name("launcher.py")
"""The file that becomes the server."""

_POLL_SECONDS = 0.02


class ServerProcess:
    """One server process in a session of its own, so that Ctrl-C in the terminal reaches only us.

    Args:
        name: for error messages, such as ``PostgreSQL``.
        argv: absolute program and its arguments.
        log: file that its output is appended to.
        death_signal: sent by the kernel when the thread that called ``start`` (the main thread) ends.
        run_as: the identity it gets.
        environment: its whole environment apart from PATH and TZ.
        folder: where it runs; what is relative in its arguments and settings begins there.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        death_signal: int = signal.SIGTERM,
        run_as: RunAs = "keep",
        environment: Mapping[str, str] | None = None,
        folder: Path = Path("/"),
    ) -> None:
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._death_signal = death_signal
        self._run_as = run_as
        self._environment = dict(environment or {})
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """Process id, None before the start."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code (negative: signal), None while it runs or before the start."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process. Quick; has to be called in the main thread.

        Raises:
            RuntimeError: called in another thread, whose end would end the server.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("servers live as long as the thread that starts them: use the main one")
        if self.running:
            return
        order = {
            "owner": os.getpid(),
            "death_signal": int(self._death_signal),
            "run_as": self._run_as,
            "argv": self._argv,
        }
        shared = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
        with _open_log(self.log) as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(order)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=shared | self._environment,
                cwd=self._folder,
                start_new_session=True,
            )

    async def wait_ready(self, probe: Callable[[], Awaitable[bool]], timeout_seconds: float) -> None:
        """Wait until ``probe`` says yes.

        Raises:
            ServerFailed: the process ended, or the time is over (the process is killed then).
        """
        deadline = time.monotonic() + timeout_seconds
        while self.running:
            if await probe():
                return
            if time.monotonic() > deadline:
                self.kill()
                raise self.failure(f"it was not ready after {timeout_seconds:.0f} seconds")
            await asyncio.sleep(_POLL_SECONDS)
        raise self.failure(f"it ended with code {self.exit_code}")

    async def wait_ended(self, timeout_seconds: float) -> bool:
        """Whether the process has ended within the time."""
        deadline = time.monotonic() + timeout_seconds
        while self.running:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    async def stop(self, steps: Sequence[tuple[int, float]]) -> None:
        """Send one signal after the other, each with its seconds to end in, and SIGKILL at last."""
        for number, seconds in steps:
            self.send(number)
            if await self.wait_ended(seconds):
                break
        self.kill()

    def send(self, number: int) -> None:
        """Send a signal to the process, if it lives."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL for the process and whatever is left of its session; waits for the process."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def output(self) -> str:
        """What the process has written since its start; the last 4,000 bytes of it."""
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_start, size - 4_000))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def failure(self, why: str) -> ServerFailed:
        """The error to raise, with the last line of the output as its reason."""
        lines = [line.strip() for line in self.output().splitlines() if line.strip()]
        reason = f"{why}; it said: {' / '.join(lines[-3:])}" if lines else why
        return ServerFailed(name=self.name, why=reason.rstrip("."), log=self.log)


def trim_log(path: Path) -> None:
    """Move what a log holds to ``NAME.1`` when it is above ``LOG_LIMIT`` bytes; its writer only appends."""
    try:
        if path.stat().st_size > LOG_LIMIT:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)
    except OSError:
        return  # nothing there yet, or no room: a log is no reason to stop


def _open_log(path: Path) -> BinaryIO:
    trim_log(path)
    file = path.open("ab")
    path.chmod(0o600)
    return file
