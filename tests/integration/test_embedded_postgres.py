"""The embedded database on folders of all kinds."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psycopg
import pytest

from app.embedded import identity
from app.embedded.errors import (
    CannotRunAsRoot,
    DataFolderInUse,
    DataFolderNotUsable,
    ServerFailed,
    WrongServerVersion,
)
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.process import RunAs
from tests.support.servers import postgres_server

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about a start as root")


def permissions(path: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owners of a folder and of all above it."""
    states = {place: place.stat() for place in (path, *path.parents)}
    return {place: (state.st_mode, state.st_uid, state.st_gid) for place, state in states.items()}


def ask(dsn: str, question: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None


def write(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")


def test_a_second_start_finds_the_data_of_the_first(tmp_path: Path) -> None:
    with postgres_server(tmp_path / "pg") as server:
        write(server.dsn)
    assert not server.running
    with postgres_server(tmp_path / "pg") as server:
        assert ask(server.dsn, "SELECT number FROM kept") == 7


def test_the_server_is_durable_checks_its_pages_and_listens_to_no_network(postgres_dsn: str) -> None:
    expected = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "autovacuum": "on",
        "listen_addresses": "",
        "server_encoding": "UTF8",
    }
    for name, value in expected.items():
        assert ask(postgres_dsn, f"SHOW {name}") == value, name
    assert str(ask(postgres_dsn, "SHOW server_version")).startswith("18.")


def test_words_are_found_without_the_quotation_marks_around_them(postgres_dsn: str) -> None:
    assert ask(postgres_dsn, "SELECT to_tsvector('simple', '“Größe”—東京、大阪')::text") == (
        "'größe':1 '大阪':3 '東京':2"
    )


def test_no_folder_above_the_data_is_changed_and_nothing_is_open_to_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = permissions(closed)
    with postgres_server(closed / "pg") as server:
        write(server.dsn)
        assert permissions(closed) == before
    assert permissions(closed) == before
    for path in (closed / "pg", *(closed / "pg").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@as_root
def test_root_can_use_a_folder_below_the_closed_folder_of_another_user(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "data").mkdir()
    os.chown(home, 12345, 12345)
    before = permissions(home)
    with postgres_server(home / "data" / "pg") as server:
        write(server.dsn)
        assert server.pid is not None
        assert "CapEff:\t0000000000000004" in Path(f"/proc/{server.pid}/status").read_text()
    assert permissions(home) == before


@as_root
def test_root_runs_the_database_of_an_ordinary_user_as_that_user(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    # initdb wants a name for the id, which this one has not
    with pytest.raises(ServerFailed, match="user ID 12345"), postgres_server(folder):
        pass
    os.chown(folder, 65534, 65534)
    with postgres_server(folder) as server:
        write(server.dsn)
    assert (folder / "data" / "PG_VERSION").stat().st_uid == 65534


@as_root
def test_without_user_namespaces_root_hands_the_database_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_server(tmp_path / "pg") as server:
        write(server.dsn)
    before = permissions(tmp_path)
    attempt = identity._try

    def no_namespaces(run_as: RunAs, program: Path) -> str | None:
        return "Operation not permitted" if run_as == "map" else attempt(run_as, program)

    monkeypatch.setattr(identity, "_try", no_namespaces)
    for _ in range(2):
        with postgres_server(tmp_path / "pg") as server:
            assert ask(server.dsn, "SELECT number FROM kept") == 7
            assert server.pid is not None
            assert "Uid:\t65534\t65534\t65534\t65534" in Path(f"/proc/{server.pid}/status").read_text()
    with postgres_server(tmp_path / "fresh") as server:
        write(server.dsn)
    assert permissions(tmp_path) == before
    assert (tmp_path / "fresh" / "data" / "PG_VERSION").stat().st_uid == 65534


@as_root
async def test_root_without_any_other_identity_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_try", lambda run_as, program: "Operation not permitted")
    with pytest.raises(CannotRunAsRoot) as caught:
        await EmbeddedPostgres(tmp_path / "pg").start()
    assert "ordinary user" in caught.value.sentence()
    assert "database.url" in caught.value.sentence()


NAMES = ["x" * 120, "with, comma", "with space", "mit Ümlaut 東京", 'it\'s "quoted"']


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_works(tmp_path: Path, name: str) -> None:
    with postgres_server(tmp_path / name / "pg") as server:
        write(server.dsn)
        socket_folder = Path(psycopg.conninfo.conninfo_to_dict(server.dsn)["host"])  # type: ignore[arg-type]
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    assert not socket_folder.exists() or socket_folder.is_relative_to(tmp_path)


def test_a_stale_note_with_the_id_of_a_living_process_does_not_matter(tmp_path: Path) -> None:
    with postgres_server(tmp_path / "pg") as server:
        write(server.dsn)
        note = (tmp_path / "pg" / "data" / "postmaster.pid").read_text()
    stale = "\n".join([str(os.getpid()), *note.splitlines()[1:]])
    (tmp_path / "pg" / "data" / "postmaster.pid").write_text(stale)
    with postgres_server(tmp_path / "pg") as server:
        assert ask(server.dsn, "SELECT number FROM kept") == 7


async def test_a_second_instance_on_the_folder_is_refused_with_the_id_of_the_first(tmp_path: Path) -> None:
    first, second = EmbeddedPostgres(tmp_path), EmbeddedPostgres(tmp_path)
    await first.start()
    try:
        with pytest.raises(DataFolderInUse, match=f"process {os.getpid()}"):
            await second.start()
        assert first.running
        assert ask(first.dsn, "SELECT 1") == 1
    finally:
        await first.stop()
    await second.start()
    await second.stop()


async def test_a_folder_of_another_major_version_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(WrongServerVersion, match="made by PostgreSQL 17"):
        await EmbeddedPostgres(tmp_path).start()
    assert [path.name for path in data.rglob("*")] == ["PG_VERSION"]


async def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "letter.txt").write_text("Dear reader")
    with pytest.raises(DataFolderNotUsable, match="not a PostgreSQL cluster"):
        await EmbeddedPostgres(tmp_path).start()
    assert (tmp_path / "data" / "letter.txt").read_text() == "Dear reader"


async def test_a_damaged_cluster_is_told_with_the_reason_and_the_log(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    await server.stop()
    (tmp_path / "data" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(ServerFailed, match="pg_control") as caught:
        await server.start()
    assert str(server.log) in caught.value.sentence()
    assert not server.running


async def test_stopping_twice_or_before_the_start_is_fine(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    await server.stop()
    await server.start()
    await server.start()
    await server.stop()
    await server.stop()
    assert server.pid is None
