"""TLS inside a fleet: who is trusted, who is let in, and certificates that are renewed."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from app.embedded.ports import free_port
from app.errors import AssistantError, Unavailable
from app.stores.vectors import VectorIndex
from app.tls import CertificateUnusable, follow, showing, trusting
from tests.support.running import environment, running, wait_until
from tests.support.servers import chroma_server
from tests.support.tls import Authority, door


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("chroma")
    with chroma_server(folder) as chroma, door(authority, urlsplit(chroma.url).port or 0) as address:
        yield address


async def test_chroma_is_used_with_the_certificate_that_it_asks_for(
    guarded: str, authority: Authority
) -> None:
    index = VectorIndex(guarded, tls=trusting(authority.ca_file, authority.certificate("api")))
    try:
        await index.create("some-collection")
        await index.upsert("some-collection", [7], np.eye(1, 3, dtype=np.float32))
        found = await index.query("some-collection", np.array([1, 0, 0], np.float32), 1)
        assert [one for one, _ in found] == [7]
    finally:
        await index.close()


@pytest.mark.parametrize("case", ["nothing to show", "a stranger's server", "https without a CA"])
async def test_a_chroma_that_cannot_be_trusted_or_does_not_trust_us_is_away(
    case: str, guarded: str, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger", "stranger")
    tls = {
        "nothing to show": trusting(authority.ca_file),
        "a stranger's server": trusting(stranger.ca_file, authority.certificate("api")),
        "https without a CA": None,
    }[case]
    index = VectorIndex(guarded, tls=tls)
    with pytest.raises(Unavailable):
        await index.check()
    await index.close()


def test_the_service_is_reached_by_https_by_those_who_trust_its_ca(
    authority: Authority, tmp_path: Path, model_dir: Path
) -> None:
    port = free_port()
    pair = {"KA_SERVER__CERT_FILE": str(authority.certificate("service"))}
    variables = environment(model_dir, pair)
    serve = ["serve", "--data", str(tmp_path / "data"), "--port", str(port), "--workers", "0"]
    url = f"https://localhost:{port}"
    with running([sys.executable, "-m", "app.cli", *serve], variables, tmp_path / "errors") as service:
        wait_until(lambda: url.rsplit(":", 1)[1] in service.told(), 60, "a start")

        def status(**more: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "app.cli", "status", "--url", url]
            return subprocess.run(
                command, env=variables | more, capture_output=True, text=True, timeout=60, check=False
            )

        wait_until(lambda: status(KA_SERVER__CA_FILE=str(authority.ca_file)).returncode == 0, 60, "an answer")
        refused = status()
        assert refused.returncode == 1
        assert "No assistant answers" in refused.stderr


async def test_a_renewed_certificate_is_shown_without_a_restart(authority: Authority) -> None:
    file = authority.certificate("renewed")
    context = showing(file, None)
    following = asyncio.create_task(follow(context, file, None, every=0.05))

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def shown() -> str:
        _, writer = await asyncio.open_connection("localhost", port, ssl=trusting(authority.ca_file))
        told: ssl.SSLSocket = writer.get_extra_info("ssl_object")
        serial = str((told.getpeercert() or {})["serialNumber"])
        writer.transport.abort()
        await asyncio.sleep(0)  # its socket is closed in the loop's next round
        return serial

    before = await shown()
    file.write_text("half writ", encoding="ascii")  # somebody is writing it
    await asyncio.sleep(0.15)
    assert await shown() == before
    authority.certificate("renewed")
    for _ in range(100):
        await asyncio.sleep(0.05)
        if await shown() != before:
            break
    else:
        pytest.fail("the old certificate is still shown")
    following.cancel()
    server.close()


def test_a_certificate_without_its_key_is_a_sentence(authority: Authority) -> None:
    with pytest.raises(CertificateUnusable) as told:
        showing(authority.ca_file, None)
    assert isinstance(told.value, AssistantError)
    assert "ca.pem" in told.value.sentence()
