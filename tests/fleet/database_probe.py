"""Writes straight into the database, beside the assistant's: what part of a gap is the database's own.

Runs on an API host, with that host's certificate, since the database lets in nobody else.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO

from tests.fleet.fleet import Fleet
from tests.lab.errors import LabError

_PYTHON = "/nix/var/nix/profiles/ka/bin/python"
# Ten times a second, a new attempt each, given up after a second; prints the moment of each acknowledgement.
# The moments can be compared with ours: containers share the machine's clock.
_SCRIPT = """
import asyncio, pathlib, signal, time
import psycopg

URL = pathlib.Path("/etc/knowledge-assistant/database.url").read_text().strip()

async def connect():
    return await psycopg.AsyncConnection.connect(
        URL, autocommit=True, target_session_attrs="read-write", connect_timeout=2, tcp_user_timeout=2000
    )

async def write():
    connection = None
    while True:
        due = time.monotonic() + 0.1
        try:
            async with asyncio.timeout(1):
                connection = connection or await connect()
                await connection.execute("INSERT INTO lab_probe VALUES (now())")
            print(time.monotonic(), flush=True)
        except (psycopg.Error, OSError, TimeoutError):
            if connection is not None:
                connection.pgconn.finish()
            connection = None
        await asyncio.sleep(max(0, due - time.monotonic()))

async def main():
    connection = await connect()
    await connection.execute("CREATE TABLE IF NOT EXISTS lab_probe (at timestamptz)")
    await connection.close()
    writing = asyncio.ensure_future(write())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, writing.cancel)
    try:
        await writing
    except asyncio.CancelledError:
        pass
    connection = await connect()
    await connection.execute("DROP TABLE lab_probe")

asyncio.run(main())
"""


class Probe:
    """Moments at which the database acknowledged a write, on ``time.monotonic()``'s clock."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    @property
    def gap(self) -> float | None:
        """Longest time in seconds without one; None if it could not be told."""
        return max((later - earlier for earlier, later in pairwise(self.moments)), default=None)


@contextmanager
def database_probe(fleet: Fleet, host: str) -> Iterator[Probe]:
    """Probe from an API host during the block; the result is complete afterwards.

    Raises:
        LabError: it does not write.
    """
    probe, told = Probe(), fleet.home / "probe.txt"
    fleet.output(host, f"cat > /run/lab-probe.py <<'END'\n{_SCRIPT}\nEND")
    unit = "systemd-run --quiet --pipe --collect --unit=lab-probe --uid=knowledge-assistant"
    command = fleet.lab.ssh_command(host, f"{unit} {_PYTHON} -I /run/lab-probe.py")
    with told.open("w") as file, _started(command, file):
        try:
            _wait_for_text(told)
            yield probe
        finally:
            fleet.output(host, "systemctl stop lab-probe || true")
    probe.moments += [float(line) for line in told.read_text().split()]


@contextmanager
def _started(command: list[str], output: IO[str]) -> Iterator[None]:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL) as it:
        yield
        it.wait(timeout=60)


def _wait_for_text(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.stat().st_size:
        if time.monotonic() > deadline:
            raise LabError("The probe of the database does not write: journalctl -u lab-probe")
        time.sleep(0.1)
