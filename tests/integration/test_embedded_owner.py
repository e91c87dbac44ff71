"""The servers live and die with their owner, and what they acknowledged is there again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from app.embedded.errors import DatabaseStillRunning
from app.embedded.leftovers import clear_leftovers, processes_in
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.process import LAUNCHER
from app.embedded.watch import keep_running
from tests.support.owner import API
from tests.support.servers import chroma_server, postgres_server

ROOT = Path(__file__).parents[2]
NOBODY = 65534
USERS = ["this user", "ordinary user"] if os.geteuid() == 0 else ["this user"]


@dataclass
class Owner:
    process: subprocess.Popen[str]
    postgres: int
    chroma: int

    def acknowledged(self, at_least: int) -> int:
        """Wait for so many rows; the number of the last one."""
        assert self.process.stdout is not None
        return next(int(line) for line in self.process.stdout if int(line) >= at_least)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.02)


@contextmanager
def spawn(folder: Path, user: str) -> Iterator[subprocess.Popen[str]]:
    """An owner in a process group of its own; whatever happens, nothing of it is left at the end."""
    argv = [sys.executable, "-m", "tests.support.owner", str(folder)]
    if user == "ordinary user":
        # Through the launcher, which lets this user reach an interpreter and a folder below closed ones.
        os.chown(folder, NOBODY, NOBODY)
        order = {"owner": os.getpid(), "death_signal": 9, "run_as": [NOBODY, NOBODY], "argv": argv}
        argv = [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(order)]
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, process_group=0, env={"PYTHONPATH": str(ROOT)}
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def owner_of(folder: Path, user: str = "this user") -> Iterator[Owner]:
    with spawn(folder, user) as process:
        assert process.stdout is not None
        pids = json.loads(process.stdout.readline())
        try:
            yield Owner(process, pids["postgres"], pids["chroma"])
        finally:
            process.kill()
            wait_until(lambda: not alive(pids["postgres"]) and not alive(pids["chroma"]), 15.0)


def stored(folder: Path) -> tuple[int, int]:
    """Rows in PostgreSQL and in Chroma, after a new start of both on the folder."""
    with postgres_server(folder / "postgres") as postgres, psycopg.connect(postgres.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM numbers").fetchone()
        assert row is not None
    with chroma_server(folder / "chroma") as chroma, httpx.Client(base_url=chroma.url) as client:
        collection = client.get(f"{API}/numbers").json()["id"]
        return row[0], client.get(f"{API}/{collection}/count").json()


@pytest.mark.parametrize("user", USERS)
def test_killing_the_owner_ends_its_servers_and_loses_nothing_acknowledged(tmp_path: Path, user: str) -> None:
    with owner_of(tmp_path, user) as owner:
        expected = owner.acknowledged(20)
        os.kill(owner.process.pid, signal.SIGKILL)
        wait_until(lambda: not alive(owner.postgres) and not alive(owner.chroma), 10.0)
        assert processes_in(tmp_path / "postgres" / "data") == []
    assert min(stored(tmp_path)) >= expected


def test_a_start_right_after_the_kill_waits_for_the_old_server(tmp_path: Path) -> None:
    with owner_of(tmp_path) as owner:
        expected = owner.acknowledged(5)
        os.kill(owner.process.pid, signal.SIGKILL)
        owner.process.wait()
        assert min(stored(tmp_path)) >= expected


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_process_group_ends_in_an_orderly_stop(
    tmp_path: Path, user: str, number: signal.Signals
) -> None:
    with owner_of(tmp_path, user) as owner:
        owner.acknowledged(3)
        os.killpg(owner.process.pid, number)
        assert owner.process.wait(30) == 0
        assert not alive(owner.postgres)
        assert not alive(owner.chroma)
    log = (tmp_path / "postgres" / "postgresql.log").read_text()
    assert "fast shutdown" in log
    assert log.rstrip().endswith("database system is shut down")


def test_a_kill_while_the_folder_is_made_leaves_nothing_half_made(tmp_path: Path) -> None:
    for delay in (0.0, 0.15, 0.4):
        with spawn(tmp_path, "this user") as process:
            wait_until((tmp_path / "postgres" / "data.new").exists, 30.0)
            time.sleep(delay)
            process.kill()
        assert not (tmp_path / "postgres" / "data").exists() or delay > 0.1
        if (tmp_path / "postgres" / "data").exists():
            break
    with postgres_server(tmp_path / "postgres") as postgres, psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not (tmp_path / "postgres" / "data.new").exists()


async def test_an_old_server_that_does_not_end_is_told_in_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    with owner_of(tmp_path) as owner:
        try:
            os.kill(owner.postgres, signal.SIGSTOP)
            os.kill(owner.process.pid, signal.SIGKILL)
            owner.process.wait()
            with pytest.raises(DatabaseStillRunning, match=str(owner.postgres)):
                await clear_leftovers(data, wait_seconds=0.5)
            assert (data / "postmaster.pid").exists()
        finally:
            os.kill(owner.postgres, signal.SIGCONT)
        await clear_leftovers(data, wait_seconds=20)
    assert not (data / "postmaster.pid").exists()


async def test_a_database_whose_main_process_is_killed_comes_back_with_its_data(tmp_path: Path) -> None:
    with postgres_server_kept(tmp_path) as server:
        await server.start()
        async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
        again = asyncio.Event()

        async def tell() -> None:
            again.set()

        watching = asyncio.create_task(keep_running(server, on_restart=tell))
        await asyncio.wait_for(again.wait(), 30)
        watching.cancel()
        async with await psycopg.AsyncConnection.connect(server.dsn) as connection:
            cursor = await connection.execute("SELECT number FROM kept")
            assert await cursor.fetchone() == (7,)
        await server.stop()


@contextmanager
def postgres_server_kept(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "postgres")
    try:
        yield server
    finally:
        if server.pid is not None and server.running:
            os.kill(server.pid, signal.SIGKILL)
