"""Alertmanager and the blackbox exporter as the fleet's roles would run them, on loopback of this machine."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded.process import ServerProcess
from tests.support.promtool import FOLDER, fetched
from tests.support.running import wait_until
from tests.support.servers import run_now

# Debian's Alertmanager reads templates from /usr/share, where this machine need not have them
BESIDE = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"']
SHARED = [*BESIDE, str(FOLDER / "share")]
SECONDS = 20.0


def amtool(*words: str) -> subprocess.CompletedProcess[str]:
    """How amtool ended; skipped where this machine lets nobody have mounts of his own."""
    if subprocess.run([*SHARED, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mounts of our own here, which Debian's Alertmanager needs to find its templates")
    command = [*SHARED, fetched("amtool"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def arguments(unit: Path) -> list[str]:
    """Those of the program that a unit starts."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    command = next(line for line in lines if line.startswith("ExecStart=/"))
    return shlex.split(command.removeprefix("ExecStart="))[1:]


@contextmanager
def served(name: str, unit: Path, port: int, folder: Path, *before: str) -> Iterator[str]:
    """The address of a program that runs as its unit says, stopped at the end; ``before`` starts it."""
    argv = [*before, fetched(name), *arguments(unit)]
    if before:
        argv[0] = shutil.which(argv[0]) or pytest.skip(f"no {argv[0]} here")
    log = folder / f"{name}.log"
    process = ServerProcess(name, argv, log)
    process.start()
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _healthy(url), SECONDS, f"{name}: {log}")
        yield url
    finally:
        run_now(process.stop([(signal.SIGTERM, 5.0)]))


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/healthy", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def alert(name: str, severity: str, over: bool = False, **labels: str) -> dict[str, Any]:
    """An alert as Prometheus sends it; one that is ``over`` ends what was sent before."""
    notes = {"summary": f"This is {name}.", "runbook": f"monitoring/runbooks/{name}.md"}
    known = {"alertname": name, "severity": severity, "fleet": "test", **labels}
    end = {"endsAt": "2026-01-01T00:00:00Z"} if over else {}
    return {"labels": known, "annotations": notes, **end}
