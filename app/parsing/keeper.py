"""The service's handle on the zygote: start it, give it documents, hear how their parsers ended."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from app.errors import Unavailable
from app.parsing.frames import MOST_CONTROL_BYTES, BadFrame, decode, encode_control
from app.parsing.model import Limits

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_LONGEST_NAME = 500


@dataclass(frozen=True, slots=True)
class Exit:
    """How a parser process ended: signal (0 if none), exit code, peak resident bytes, CPU seconds."""

    signal: int
    code: int
    rss: int
    cpu: float


def _gone() -> Unavailable:
    return Unavailable(what="The document parser", why="its process has ended")


class Keeper:
    """A running zygote. Belongs to the event loop that started it."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._jobs: dict[int, asyncio.Future[Exit]] = {}
        self._numbers = itertools.count(1)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.alive = True
        self.peak_rss = 0

    @classmethod
    async def start(cls, extra_formats: Sequence[str]) -> Keeper:
        """Start a zygote and wait until it has loaded the parsers. Raises: Unavailable."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            process = await asyncio.to_thread(_spawn, theirs.fileno(), extra_formats)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        keeper = cls(process, ours)
        asyncio.get_running_loop().add_reader(ours.fileno(), keeper._hear)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await keeper._ready
        except (TimeoutError, Unavailable):
            await keeper.close()
            raise Unavailable(what="The document parser", why="its process did not start") from None
        except BaseException:
            await keeper.close()
            raise
        return keeper

    def begin(
        self, document: int, stream: int, name: str, limits: Limits
    ) -> tuple[int, asyncio.Future[Exit]]:
        """Have a child read the open file ``document`` and write to the socket ``stream``.

        Returns the job's number and the future of its end. Raises: Unavailable.
        """
        job = next(self._numbers)
        order = {"type": "parse", "job": job, "name": name[-_LONGEST_NAME:], "limits": asdict(limits)}
        try:
            socket.send_fds(self._control, [encode_control(order)], [document, stream])
        except OSError as error:
            self._lost()
            raise _gone() from error
        ended = self._jobs[job] = asyncio.get_running_loop().create_future()
        return job, ended

    def kill(self, job: int) -> None:
        """End the job's process, if it still runs."""
        if job in self._jobs:
            with contextlib.suppress(OSError):
                self._control.send(encode_control({"type": "kill", "job": job}))

    def _hear(self) -> None:
        try:
            packet = self._control.recv(MOST_CONTROL_BYTES)
            message = decode(packet) if packet else None
        except BlockingIOError:
            return
        except (OSError, BadFrame):
            message = None
        if message is None:
            self._lost()
        elif message.get("type") == "ready" and not self._ready.done():
            self._ready.set_result(None)
        elif message.get("type") == "exit":
            end = Exit(
                int(message["signal"]), int(message["code"]), int(message["rss"]), float(message["cpu"])
            )
            self.peak_rss = max(self.peak_rss, end.rss)
            waiting = self._jobs.pop(int(message["job"]), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(end)

    def _lost(self) -> None:
        """The zygote is gone, and with it all its children."""
        if not self.alive:
            return
        self.alive = False
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()
        waiting: list[asyncio.Future[Exit]] = [future for future in self._jobs.values() if not future.done()]
        self._jobs.clear()
        for future in waiting:
            future.set_exception(_gone())
            future.exception()  # a job nobody waits for any more is no news
        if not self._ready.done():
            self._ready.set_exception(_gone())
            self._ready.exception()

    async def close(self) -> None:
        """End the zygote and every child, and wait until it is gone."""
        self._lost()
        await asyncio.to_thread(_end, self._process)


def _spawn(control: int, extra_formats: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        # the child must find the same packages as we did, and nothing else of our environment
        "PYTHONPATH": os.pathsep.join(
            [str(_ROOT), *(str(Path(path).absolute()) for path in sys.path if path)]
        ),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "app.parsing.zygote", str(control), *extra_formats],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(control,),
        env=environment,
        cwd="/",
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
