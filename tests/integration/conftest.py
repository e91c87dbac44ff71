"""Servers shared by the integration tests: started once, when the first test asks for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import S3Server, chroma_server, fresh_database, postgres_server, s3_server_on
from tests.support.standby import Pair, pair
from tests.support.tls import Authority


@pytest.fixture(scope="session")
def postgres_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Connection string of an embedded PostgreSQL that the whole session shares."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server.dsn


@pytest.fixture
def database_url(postgres_dsn: str) -> Iterator[str]:
    """Connection string of an empty database that only this test uses."""
    with fresh_database(postgres_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an embedded Chroma that the whole session shares: give collections names of your own."""
    with chroma_server(tmp_path_factory.mktemp("chroma")) as server:
        yield server.url


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that the whole session shares: give buckets names of your own."""
    with s3_server_on(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Pair]:
    """A primary and its standby that only this test uses."""
    with pair(tmp_path) as both:
        yield both


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Makes certificates for the tests of a module."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, and it makes the certificates")
    return Authority(tmp_path_factory.mktemp("authority") / "ca")
