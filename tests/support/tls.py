"""A certificate authority made on the spot, and a door in front of a server that asks for certificates."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Authority:
    """Makes certificates in ``folder``; ``ca_file`` is whom to trust."""

    def __init__(self, folder: Path, name: str = "test") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        _openssl("req", "-x509", *_new(folder / "ca.key"), "-out", self.ca_file, "-subj", f"/CN={name}")

    def certificate(self, name: str) -> Path:
        """One for ``localhost`` and 127.0.0.1, with its key in the same file; the same name renews it."""
        request, key, file = (self.folder / f"{name}.{part}" for part in ("csr", "key", "pem"))
        extra = self.folder / "names"
        extra.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", encoding="ascii")
        _openssl("req", *_new(key), "-out", request, "-subj", f"/CN={name}")
        signer = ("-CA", self.ca_file, "-CAkey", self.folder / "ca.key", "-CAcreateserial")
        made = self.folder / f"{name}.new"
        _openssl("x509", "-req", "-in", request, *signer, "-days", "1", "-extfile", extra, "-out", made)
        made.write_text(made.read_text("ascii") + key.read_text("ascii"), encoding="ascii")
        made.replace(file)
        return file


def _new(key: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@contextmanager
def door(authority: Authority, port: int) -> Iterator[str]:
    """An https address, for those with a certificate of the authority, in front of a loopback port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.ca_file))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(authority.certificate("door"))
    loop = asyncio.new_event_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, outside = await asyncio.open_connection("127.0.0.1", port)
        both = [asyncio.create_task(pump(reader, outside)), asyncio.create_task(pump(inside, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for one in (writer, outside):
                one.transport.abort()

    server = loop.run_until_complete(asyncio.start_server(visit, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def shut() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted closes its socket in the loop's next round

    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(shut(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
