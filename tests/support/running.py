"""The service and its workers as processes of their own, as people start them, and nothing of them left."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

import app
from app.embedded.ports import free_port

ROOT = Path(app.__file__).parents[1]
QUICK = {"KA_WORKER__HEARTBEAT_SECONDS": "0.3", "KA_WORKER__LOST_SECONDS": "1.0"}
WORKING = {"queued", "parsing", "indexing"}
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def wait_until(true: Callable[[], object], seconds: float, what: str = "it") -> None:
    """Look every 20 ms until ``true()`` holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} seconds for {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def descendants(pid: int) -> set[int]:
    """Ids of all processes below one."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


# what makes a command this folder's
OURS = ("PYTHONPATH", "KA_EMBEDDING__MODEL_DIR")


def environment(model_dir: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a command needs: no UI, one thread for the model, and the settings given as variables."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME", "TMPDIR") if name in os.environ}
    ours = {
        "PYTHONPATH": str(ROOT),
        "KA_SERVER__UI": "false",
        "KA_EMBEDDING__MODEL_DIR": str(model_dir),
        "KA_EMBEDDING__THREADS": "1",
    }
    return kept | ours | dict(settings or {})


@dataclass
class Running:
    """One process of ours with all it starts; ``errors`` is the file of its standard error."""

    process: subprocess.Popen[str]
    errors: Path
    family: set[int] = field(default_factory=set)

    @property
    def pid(self) -> int:
        return self.process.pid

    def look(self) -> set[int]:
        """Note and return the processes below it."""
        below = descendants(self.pid)
        self.family |= below
        return below

    def kill(self) -> None:
        """kill -9, of this process alone."""
        self.look()
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """Send a signal, wait for the end; the exit code."""
        self.look()
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def left(self) -> set[int]:
        """Processes it started that are still there."""
        return {pid for pid in self.family if alive(pid)}

    def told(self) -> str:
        """What it wrote to standard error."""
        return self.errors.read_text(errors="replace")


def _die_with_the_test() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def running(
    argv: Sequence[str], variables: Mapping[str, str], errors: Path, *, stdin: int | IO[Any] | None = None
) -> Iterator[Running]:
    """A process in a session of its own; in the end it is gone with all below it."""
    with errors.open("ab") as file:
        process = subprocess.Popen(
            list(argv),
            env=dict(variables),
            cwd=ROOT,
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            start_new_session=True,
            preexec_fn=_die_with_the_test,
        )
    one = Running(process, errors)
    try:
        yield one
    finally:
        if process.poll() is None:
            one.look()
            process.terminate()
            try:
                process.wait(25)
            except subprocess.TimeoutExpired:
                one.look()
                process.kill()
                process.wait()
        for stream in (process.stdout, process.stdin):
            if stream is not None:
                stream.close()
        deadline = time.monotonic() + 15
        while one.left() and time.monotonic() < deadline:
            time.sleep(0.02)
        stragglers = one.left()
        for pid in stragglers:
            os.kill(pid, signal.SIGKILL)
        assert not stragglers, f"processes outlived {argv[-3:]}"


@dataclass
class Service:
    """A service that answers at ``url``."""

    main: Running
    url: str
    data: Path

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request on a connection of its own."""
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as client:
            return client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> Any:
        """What a path holds, as data; fails unless the answer is a success."""
        return self.request("GET", f"/api/v1{path}", **options).raise_for_status().json()

    def upload(self, name: str, content: bytes, base: str = "default") -> dict[str, Any]:
        """Upload a file; what the service says became of it."""
        answer = self.request(
            "POST", f"/api/v1/knowledge-bases/{base}/documents", files={"file": (name, content)}
        )
        accepted: dict[str, Any] = answer.raise_for_status().json()
        return accepted

    def documents(self, base: str = "default") -> list[dict[str, Any]]:
        """All documents of a knowledge base."""
        found: list[dict[str, Any]] = self.get(f"/knowledge-bases/{base}/documents", params={"limit": "1000"})
        return found

    def make(self, base: str) -> str:
        """Make a knowledge base."""
        self.request("POST", "/api/v1/knowledge-bases", json={"name": base}).raise_for_status()
        return base

    def search(self, question: str, base: str = "default", limit: int = 8) -> dict[str, Any]:
        """Passages for a question."""
        answer = self.request(
            "POST",
            f"/api/v1/knowledge-bases/{base}/search",
            json={"question": question, "limit": limit},
        )
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def settled(self, base: str = "default", seconds: float = 60) -> list[dict[str, Any]]:
        """Wait until no document is being read; the documents."""
        documents: list[dict[str, Any]] = []

        def done() -> bool:
            nonlocal documents
            documents = self.documents(base)
            return not any(one["state"] in WORKING for one in documents)

        wait_until(done, seconds, f"the documents of {base}, now {documents}")
        return documents

    def answers(self) -> bool:
        """Whether the service answers at all."""
        try:
            return self.request("GET", "/healthz").is_success
        except httpx.HTTPError:
            return False


@contextmanager
def serving(
    data: Path,
    variables: Mapping[str, str],
    *,
    program: Sequence[str] = (),
    options: Sequence[str] = (),
    seconds: float = 90,
) -> Iterator[Service]:
    """``ka serve`` on a data folder and a free port; stopped at the end, if it lives.

    The variable KA_UNDER_TEST names another ``ka`` than this folder's: one that was packaged, with its model.
    """
    port = free_port()
    packaged = os.environ.get("KA_UNDER_TEST") if not program else None
    if packaged:
        command = [packaged]
        variables = {name: value for name, value in variables.items() if name not in OURS}
    else:
        command = [sys.executable, *(program or ("-m", "app.cli"))]
    argv = [*command, "serve", "--data", str(data), "--port", str(port), *options]
    with running(argv, variables, data.with_suffix(".errors")) as main:
        service = Service(main, f"http://127.0.0.1:{port}", data)
        wait_until(
            lambda: service.answers() or main.process.poll() is not None, seconds, f"a start: {main.told()}"
        )
        assert main.process.poll() is None, main.told()
        yield service
