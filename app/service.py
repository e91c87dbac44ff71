"""Everything that one ``ka serve`` runs: embedded servers, workers, and the HTTP service."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from app import logs
from app.api.create_app import create_app
from app.assistant import Endpoints, open_assistant
from app.embedded.ports import ensure_port_free
from app.embedded.process import ServerProcess
from app.embedded.stack import EmbeddedStack
from app.embedded.watch import keep_running
from app.metrics_folder import FOLDER, forget_former_runs
from app.scratch import clear_scratch
from app.settings import Settings
from app.stores.database import Database
from app.stores.migrate import migrate
from app.tls import follow, showing

log = logging.getLogger(__name__)
# What a worker gets of our environment: settings, credentials, and what programs generally need.
PASSED_ON = ("HOME", "LANG", "LC_ALL", "TMPDIR", "CREDENTIALS_DIRECTORY", "PYTHONPATH", "VIRTUAL_ENV")


class WorkerProcess:
    """A ``ka worker`` that ends with this process."""

    def __init__(self, number: int, settings: Settings, config: Path | None) -> None:
        self.name = f"Worker {number}"
        self.log = settings.data_dir / f"worker-{number}.log"
        self.wanted = True
        options = ["--data", str(settings.data_dir.absolute())]
        if config:
            options += ["--config", str(config.absolute())]
        self._process = ServerProcess(
            self.name,
            [sys.executable, "-P", "-m", "app.cli", "worker", *options],
            self.log,
            death_signal=signal.SIGTERM,
            environment=_environment(os.environ),
            folder=Path.cwd(),
        )

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process.running

    async def start(self) -> None:
        """Start it; it needs nobody to wait for it."""
        self._process.start()

    async def stop(self) -> None:
        """Let it hand back its jobs; one that does not is killed, and its jobs are taken up again."""
        self.wanted = False
        await self._process.stop([(signal.SIGTERM, 8.0), (signal.SIGKILL, 2.0)])


class Server(uvicorn.Server):
    """uvicorn's server, which says where it is once it answers, and lets us end in our own order."""

    def __init__(self, config: uvicorn.Config, settings: Settings, api: FastAPI) -> None:
        super().__init__(config)
        self._settings = settings
        self._api = api

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as the wish to stop; uvicorn's own way would end the process before we are done."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell the load balancer, serve until it has noticed, then finish what is under way.

        It has been told already where the service is drained. A second signal does not wait for it.
        """
        again, self._api.state.draining = self._api.state.draining, True
        # who keeps a connection comes by a new one next time, which leads elsewhere
        self.config.encoded_headers.append((b"connection", b"close"))
        told = self._api.state.traffic.drained_seconds
        wait = 0.0 if again else max(0.0, self._settings.server.notice_seconds - told)
        asyncio.get_running_loop().call_later(wait, super().handle_exit, sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell people."""
        await super().startup(sockets)
        if self.started:
            data = self._settings.data_dir.absolute()
            logs.tell(f"The assistant is ready: {self._settings.url}")
            logs.tell(f"Its data is in {data}. Ctrl-C stops it.")


async def run(settings: Settings, config: Path | None) -> None:
    """Serve until told to stop; ``config`` is the settings file that workers are to read too.

    Raises :class:`~app.errors.AssistantError` when something can't be started.
    """
    ensure_port_free(settings.server.host, settings.server.port)
    stack = EmbeddedStack(settings)
    # the UI's library takes seconds to import, so it does while the servers start
    importing = asyncio.create_task(asyncio.to_thread(_import_ui, settings))
    try:
        await stack.start()
        forget_former_runs()
        clear_scratch(settings.scratch_dir)
        await _migrate(settings, stack)
        await importing
        await _serve(settings, config, stack)
    finally:
        importing.cancel()
        await stack.stop()


async def _serve(settings: Settings, config: Path | None, stack: EmbeddedStack) -> None:
    endpoints = Endpoints(stack.database_url, stack.chroma_url)
    async with open_assistant(settings, endpoints, reads_go_on=True) as assistant:
        api = create_app(assistant)
        tls, following = _tls(settings)
        server = Server(
            uvicorn.Config(
                api,
                host=settings.server.host,
                port=settings.server.port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=round(settings.server.drain_seconds),
                **tls,
            ),
            settings,
            api,
        )
        workers = [WorkerProcess(n + 1, settings, config) for n in range(settings.worker_processes)]
        for worker in workers:
            await worker.start()
        watchers = [asyncio.create_task(keep_running(worker)) for worker in workers]
        stack.watch(lambda: assistant.keeper.check_all(deep=True))
        try:
            await server.serve()
        finally:
            for watcher in (*watchers, *following):
                watcher.cancel()
            await asyncio.gather(*(worker.stop() for worker in workers))
            log.info("stopped")


def _tls(settings: Settings) -> tuple[dict[str, Any], list[asyncio.Task[None]]]:
    """What uvicorn needs for HTTPS, if that is wanted, and the task that keeps its certificate fresh."""
    cert, key = settings.server.cert_file, settings.server.key_file
    if cert is None:
        return {}, []
    context = showing(cert, key)
    return {"ssl_context_factory": lambda *_: context}, [asyncio.create_task(follow(context, cert, key))]


async def _migrate(settings: Settings, stack: EmbeddedStack) -> None:
    # with a database of their own other processes may use it as well
    beside = None if stack.postgres is None else ()
    database = Database(stack.database_url, size=2, connect_seconds=settings.database.connect_seconds)
    await database.open()
    try:
        if applied := await migrate(database, beside):
            log.info("applied %d migrations, the last of them %s", len(applied), applied[-1])
    finally:
        await database.close()


def _import_ui(settings: Settings) -> None:
    if settings.server.ui:
        import app.ui.mount  # noqa: F401 -- so that Gradio is there when the UI is made


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in ours.items() if name in (*PASSED_ON, FOLDER) or name.startswith("KA_")
    }
