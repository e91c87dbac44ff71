"""A Chroma server as a process of its own, on one folder, reached through a port of the loopback interface.

The server is the one of ``chroma run``, called in the package's compiled part without importing the rest of
it: ready in a tenth of a second instead of two. It knows no passwords, so every user of this machine can
reach it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

import httpx

from app.embedded.errors import DataFolderNotUsable, ServerFailed
from app.embedded.lock import DataFolderLock
from app.embedded.ports import free_port, is_port_free
from app.embedded.process import ServerProcess

_HOST: Final = "127.0.0.1"
_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0
_TRIES = 3

_PROGRAM = """
import sys
sys.path.append(sys.argv.pop(1))
import chromadb_rust_bindings
chromadb_rust_bindings.cli(sys.argv)
"""


class EmbeddedChroma:
    """One Chroma server on ``folder``: its data in ``data``, its output in ``chroma.log``.

    ``start``, ``stop`` and ``restart`` are to be awaited in the main thread. The port is chosen at the
    first start and kept over restarts as long as it is free, so that clients stay valid; ask ``url`` again
    after a restart.
    """

    name = "Chroma"

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 (without following links)
        self.log = self.folder / "chroma.log"
        self._data = self.folder / "data"
        self._lock = DataFolderLock(self.folder)
        self._process: ServerProcess | None = None
        self._port: int | None = None
        self._wanted = False
        self._turn = asyncio.Lock()

    @property
    def port(self) -> int:
        """The port of the server.

        Raises:
            RuntimeError: it was not started yet.
        """
        if self._port is None:
            raise RuntimeError("Chroma has no port before its first start")
        return self._port

    @property
    def url(self) -> str:
        """Base address of the server, without a slash at the end."""
        return f"http://{_HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the server, None when it was not started."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the server process is alive."""
        return self._process is not None and self._process.running

    @property
    def wanted(self) -> bool:
        """Whether it should be running: started, and not stopped since."""
        return self._wanted

    async def start(self) -> None:
        """Start the server; returns when it answers.

        Raises:
            DataFolderInUse, DataFolderNotUsable: see :class:`DataFolderLock`.
            ServerFailed: it did not start; the sentence says why.
        """
        async with self._turn:
            if self.running:
                return
            self._lock.acquire()
            try:
                self._data.mkdir(mode=0o700, exist_ok=True)
                await self._start()
            except BaseException as problem:
                await self._halt()
                if isinstance(problem, OSError):
                    raise DataFolderNotUsable(folder=self.folder, why=str(problem)) from problem
                raise
            self._wanted = True

    async def stop(self) -> None:
        """Let the server finish its requests, end it, and release the folder."""
        self._wanted = False
        async with self._turn:
            await self._halt()

    async def restart(self) -> None:
        """Stop and start again, on the same port when that is free."""
        await self.stop()
        await self.start()

    def set_aside(self) -> Path:
        """Move the data of a server that does not start out of the way; returns where they are."""
        aside = self._data.with_name("damaged")
        shutil.rmtree(aside, ignore_errors=True)
        self._data.rename(aside)
        return aside

    async def _start(self) -> None:
        for left in reversed(range(_TRIES)):
            if self._port is None or not is_port_free(_HOST, self._port):
                self._port = free_port(_HOST)
            self._process = self._server(self._port)
            self._process.start()
            try:
                await self._process.wait_ready(self._answers, _READY_SECONDS)
                return
            except ServerFailed:
                # most likely another program took the port in between
                if left == 0:
                    raise

    def _server(self, port: int) -> ServerProcess:
        return ServerProcess(
            self.name,
            [
                *(sys.executable, "-I", "-S", "-c", _PROGRAM, str(_bindings())),
                *("run", "--path", str(self._data), "--host", _HOST, "--port", str(port)),
            ],
            self.log,
            death_signal=signal.SIGTERM,
            environment={"HOME": str(self.folder), "ANONYMIZED_TELEMETRY": "False", "NO_COLOR": "1"},
        )

    async def _answers(self) -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
                answer = await client.get(f"{self.url}/api/v2/heartbeat")
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK and self.running

    async def _halt(self) -> None:
        if self._process is not None:
            await self._process.stop([(signal.SIGTERM, _STOP_SECONDS)])
            self._process = None
        self._lock.release()


def _bindings() -> Path:
    """The folder from which the compiled part of Chroma can be imported."""
    spec = importlib.util.find_spec("chromadb_rust_bindings")
    if spec is None or spec.origin is None:
        raise ServerFailed(
            name="Chroma",
            why="the package chromadb is not installed",
            log="not written",
            advice="Install the locked requirements, or set the address of a Chroma server of your own.",
        )
    return Path(spec.origin).resolve().parent.parent
