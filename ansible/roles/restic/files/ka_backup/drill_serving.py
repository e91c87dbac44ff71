"""The release on restored data: Chroma, an S3 server and `ka serve`, on loopback, on ports of chance."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from ka_backup.errors import BackupError

HOST = "127.0.0.1"
FAREWELL = 15.0
READY = {"Chroma": "/api/v2/heartbeat", "the S3 server": "/", "the release": "/readyz"}
CHROMA = "import sys, chromadb_rust_bindings as chroma; chroma.cli(sys.argv)"


class Serving:
    """Started in order, ended in the other one; all files are below ``folder``, all logs beside them.

    ``profile`` is the release, ``socket_folder`` where the restored database listens, ``documents`` the
    folder of buckets and ``bucket`` the one that is used.
    """

    def __init__(
        self, folder: Path, profile: Path, socket_folder: str, documents: Path, bucket: str, seconds: float
    ) -> None:
        self._folder = folder
        self._bin = profile / "bin"
        self._socket = socket_folder
        self._documents = documents
        self._bucket = bucket
        self._seconds = seconds
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.port = 0

    def __enter__(self) -> Self:
        """All of it answers. Raises BackupError."""
        try:
            self._start_all()
        except BaseException:
            self._stop_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing of it runs on."""
        self._stop_all()

    def _start_all(self) -> None:
        chroma, s3, self.port = free_ports(3)
        access, secret = (self._secret(name) for name in ("access", "secret"))
        self._start(
            "Chroma", chroma, self._chroma(chroma), {"ANONYMIZED_TELEMETRY": "False", "NO_COLOR": "1"}
        )
        # quoted, since rclone takes the variable for a list with commas
        keys = f'"{access.read_text()},{secret.read_text()}"'
        self._start("the S3 server", s3, self._rclone(s3), {"RCLONE_AUTH_KEY": keys})
        settings = self._settings(f"http://{HOST}:{chroma}", f"http://{HOST}:{s3}", access, secret)
        self._start("the release", self.port, [str(self._bin / "ka"), "serve"], settings)

    def _settings(self, chroma: str, s3: str, access: Path, secret: Path) -> dict[str, str]:
        url = self._folder / "database.url"
        url.write_text(f"postgresql:///assistant?host={quote(self._socket, safe='')}\n", encoding="utf-8")
        config = self._folder / "config.toml"
        config.touch(mode=0o600)  # so that no other one is read
        return {
            "KA_CONFIG": str(config),
            "KA_DATA_DIR": str(self._made("service")),
            "KA_SERVER__HOST": HOST,
            "KA_SERVER__PORT": str(self.port),
            "KA_SERVER__UI": "false",
            "KA_DATABASE__URL_FILE": str(url),
            "KA_CHROMA__URL": chroma,
            "KA_CHROMA__CHECK_SECONDS": "15",
            "KA_OBJECTS__KIND": "s3",
            "KA_OBJECTS__ENDPOINT": s3,
            "KA_OBJECTS__BUCKET": self._bucket,
            "KA_OBJECTS__ACCESS_KEY_FILE": str(access),
            "KA_OBJECTS__SECRET_KEY_FILE": str(secret),
            "KA_WORKER__PROCESSES": "1",
        }

    def _chroma(self, port: int) -> list[str]:
        python = [str(self._bin / "python"), "-I", "-B", "-c", CHROMA]
        return [*python, "run", "--path", str(self._made("chroma")), "--host", HOST, "--port", str(port)]

    def _rclone(self, port: int) -> list[str]:
        own = ["--config", "/dev/null", "--cache-dir", str(self._made("rclone")), "--poll-interval", "0"]
        return [
            str(self._bin / "rclone"),
            "serve",
            "s3",
            *own,
            "--addr",
            f"{HOST}:{port}",
            str(self._documents),
        ]

    def _made(self, name: str) -> Path:
        path = self._folder / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def _secret(self, name: str) -> Path:
        path = self._folder / f"{name}.key"
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16), encoding="ascii")
        return path

    def _start(self, what: str, port: int, command: list[str], own: dict[str, str]) -> None:
        """Raises BackupError when it does not answer in time."""
        log = self._folder / f"{what.rpartition(' ')[2].lower()}.log"
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            "LANG": "C.UTF-8",
        }
        try:
            with log.open("wb") as out:
                process = subprocess.Popen(
                    command,
                    env=environment | own,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise BackupError(f"For the drill, {what} cannot be started: {error}. Run deploy.yml.") from error
        self._running.append((what, process))
        until = time.monotonic() + self._seconds
        while not answers(port, READY[what]):
            ended = process.poll() is not None
            if ended or time.monotonic() > until:
                how = (
                    f"ended with {process.returncode}"
                    if ended
                    else f"did not answer in {self._seconds:.0f} s"
                )
                raise BackupError(f"On the restored data {what} {how}: {last_line(log)}")
            time.sleep(0.2)

    def _stop_all(self) -> None:
        while self._running:
            process = self._running.pop()[1]
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(FAREWELL)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(port: int, path: str) -> bool:
    """Whether something serves there; refusing a stranger (S3) is an answer, being not ready is none."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        return [port for port, _ in (_bound(stack) for _ in range(count))]


def _bound(stack: contextlib.ExitStack) -> tuple[int, socket.socket]:
    one = stack.enter_context(socket.socket())
    one.bind((HOST, 0))
    return int(one.getsockname()[1]), one


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    with contextlib.suppress(OSError):
        lines: Iterator[str] = reversed(log.read_text(encoding="utf-8", errors="replace").splitlines())
        return next((line.strip()[:500] for line in lines if line.strip()), "it says nothing.")
    return "it says nothing."


def request(port: int, method: str, path: str, body: bytes = b"", seconds: float = 60) -> tuple[int, str]:
    """Status and text of the release's answer. Raises BackupError when there is none."""
    connection = http.client.HTTPConnection(HOST, port, timeout=seconds)
    headers: dict[str, Any] = {"Content-Type": "application/json"} if body else {}
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise BackupError(f"On the restored data the release does not answer: {error}.") from error
    finally:
        connection.close()
