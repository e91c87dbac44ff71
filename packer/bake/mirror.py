"""An apt mirror for builds: this machine's archives, as they were on a date, with what was fetched once kept.

It listens on a Unix socket, which reaches into namespaces without a network; `relay` opens a TCP port there.
What apt gets through it is checked by apt against the archive's signatures, as always.

Layout of the folder: `pool/N/...` holds packages (a package's file never changes), `DATE/N/dists/...` the
lists as they were when first asked for on that date. So a date pins every version of every package.
"""

import contextlib
import hashlib
import shutil
import socket
import socketserver
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from packer.bake.sources import Archive

CHUNK = 1 << 16


class Mirror:
    """Archives by number, the date whose lists are served, and the folder that keeps what was fetched.

    `offline` serves only lists that are kept: for a date that is past, since today's are not that date's.
    `fresh` forgets those of the date first.
    """

    def __init__(
        self, archives: list[Archive], folder: Path, date: str, *, offline: bool, fresh: bool
    ) -> None:
        self.archives = archives
        self.folder = folder
        self.date = date
        self.offline = offline
        if fresh and not offline:
            shutil.rmtree(folder / date, ignore_errors=True)
        self.trouble: str | None = None  # the last reason why upstream gave nothing

    def kept(self, number: int, path: str) -> Path:
        """Where a file of an archive is kept."""
        if path.startswith("pool/"):
            return self.folder / "pool" / str(number) / path
        return self.folder / self.date / str(number) / path

    def get(self, number: int, path: str) -> Path | None:
        """The file, fetched if it is not kept yet; None when upstream does not have it."""
        kept = self.kept(number, path)
        if kept.is_file():
            return kept
        if self.offline and not path.startswith("pool/"):
            self.trouble = f"The package lists of {self.date} are not kept on this machine"
            return None
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f".{uuid.uuid4().hex}")
        try:
            url = f"{self.archives[number].uri}/{urllib.parse.quote(path)}"
            # file: for mirrors on a disk; the address comes from root's own apt settings
            with urllib.request.urlopen(url, timeout=60) as source, part.open("wb") as sink:  # noqa: S310
                shutil.copyfileobj(source, sink, CHUNK)
            part.replace(kept)
        except (OSError, urllib.error.URLError) as error:
            if getattr(error, "code", None) != 404:
                self.trouble = f"{self.archives[number].uri}: {error}"
            return None
        finally:
            part.unlink(missing_ok=True)
        return kept

    def lists(self) -> list[dict[str, str]]:
        """Each suite's date and the hash of its signed index: what this mirror's date stands for."""
        found = []
        for number, archive in enumerate(self.archives):
            for suite in archive.suites:
                index = self.get(number, f"dists/{suite}/InRelease")
                if index is None:
                    continue
                text = index.read_text(errors="replace")
                date = next((row[6:] for row in text.splitlines() if row.startswith("Date: ")), "")
                digest = hashlib.sha256(index.read_bytes()).hexdigest()
                found.append({"suite": suite, "date": date, "sha256": digest})
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        number, _, path = urllib.parse.unquote(self.path).lstrip("/").partition("/")
        mirror = self.server.mirror
        clean = number.isdigit() and int(number) < len(mirror.archives) and ".." not in path.split("/")
        found = mirror.get(int(number), path) if clean else None
        if found is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with found.open("rb") as source:
            self.send_response(200)
            self.send_header("Content-Length", str(found.stat().st_size))
            self.end_headers()
            shutil.copyfileobj(source, self.wfile, CHUNK)

    def address_string(self) -> str:
        return "build"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- named by the parent class
        """Apt tells itself what it could not get."""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, mirror: Mirror) -> None:
        self.mirror = mirror
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Handler)


def serve(mirror: Mirror, path: Path) -> socketserver.BaseServer:
    """Serve on a Unix socket, in a thread; shutdown() ends it."""
    server = _Server(path, mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def relay(path: Path, address: str, port: int = 0) -> int:
    """Listen on TCP and carry each connection to the Unix socket; returns the port. Ends with the process."""
    listening = socket.create_server((address, port))

    def accept() -> None:
        while True:
            near, _ = listening.accept()
            threading.Thread(target=_carry, args=(near, path), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listening.getsockname()[1])


def _carry(near: socket.socket, path: Path) -> None:
    with near, socket.socket(socket.AF_UNIX) as far:
        far.connect(str(path))
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
