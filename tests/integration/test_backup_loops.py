"""The loops that save: what is saved when, and what they do when it cannot be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ka_backup import base, postgres, wal
from ka_backup.documents import DocumentsLoop
from ka_backup.errors import BackupError, NoRepository, RepositoryAway
from ka_backup.loop import Loop, Teller
from ka_backup.restic import Snapshot
from ka_backup.walloop import REQUEST, WalLoop


class Shelf:
    """A repository: snapshots by tag, each with the contents of its files by name."""

    def __init__(self) -> None:
        self.made_of: list[tuple[str, dict[str, bytes]]] = []
        self.trouble: BackupError | None = None
        self.made = 0

    def _take(self, tags: list[str], files: Iterable[Path]) -> str:
        if self.trouble:
            raise self.trouble
        self.made_of.append((tags[0], {path.name: path.read_bytes() for path in files}))
        return f"{len(self.made_of):064x}"

    def init_if_missing(self) -> None:
        self.made += 1
        self.trouble = None

    def snapshots(self, tags: list[str]) -> list[Snapshot]:
        if self.trouble:
            raise self.trouble
        counts = [len(files) for tag, files in self.made_of if tag in tags]
        at = datetime(2026, 11, 23, tzinfo=UTC)
        return [Snapshot(str(n), at, summary={"total_files_processed": n}) for n in counts]

    def backup_folder(
        self, path: str | Path, tags: list[str], seconds: float = 0, exclude: object = ()
    ) -> str:
        return self._take(tags, (each for each in Path(path).rglob("*") if each.is_file()))

    def backup_files(self, paths: Iterable[str | Path], tags: list[str]) -> str:
        return self._take(tags, map(Path, paths))

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.made_of]

    def held(self) -> set[str]:
        """As a restore sees it: the newest `wal`, and all of the closed ones."""
        newest = [files for tag, files in self.made_of if tag == "wal"][-1:]
        closed = [files for tag, files in self.made_of if tag == "wal-closed"]
        return {name for files in newest + closed for name in files if name.endswith(".gz")}


class Database:
    """A server that can be primary, standby or away; each mark ends a segment."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.role: bool | None = True
        self.now = 1_000_000.0
        self.segments: list[str] = []

    def primary(self) -> bool:
        if self.role is None:
            raise postgres.DatabaseAway("The database does not answer. See: journalctl -u patroni")
        return self.role

    def mark(self) -> tuple[str, float]:
        return self.keep(), self.now

    def keep(self) -> str:
        name = wal.segment(1, len(self.segments))
        path = self.spool / wal.CURRENT / f"{name}.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        os.utime(path, (self.now, self.now))
        self.segments.append(f"{name}.gz")
        return name


class Case:
    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.shelf = Shelf()
        self.database = Database(spool)
        self.said: list[str] = []
        self.teller = Teller(self.said.append)
        self.loop = self.again()

    def again(self) -> WalLoop:
        """As after a restart."""
        self.loop = WalLoop(
            self.spool,
            self.shelf,
            self.teller,
            10**9,
            primary=self.database.primary,
            mark=self.database.mark,
            clock=lambda: self.database.now,
        )
        return self.loop

    def step(self, seconds: float = 15) -> None:
        self.database.now += seconds
        self.loop.once()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_what_a_primary_writes_is_saved_and_an_idle_one_marks_the_time_twice_a_minute(case: Case) -> None:
    for _ in range(8):
        case.step()
        assert case.shelf.held() == set(case.database.segments)
        assert case.loop.saved_at == case.database.now
    assert len(case.database.segments) == 4
    assert len(case.shelf.made_of) == 4  # nothing new, no snapshot


def test_an_hour_is_closed_saved_and_removed_and_all_of_it_is_held(case: Case) -> None:
    for _ in range(300):
        case.step()
        assert case.shelf.held() == set(case.database.segments)
    assert case.shelf.tags.count("wal-closed") == 1
    assert wal.closed(case.spool) == []
    assert len(list((case.spool / wal.CURRENT).iterdir())) < 40


def test_while_the_repository_is_away_all_stays_and_is_saved_afterwards(case: Case) -> None:
    case.step()
    case.shelf.trouble = RepositoryAway("The repository does not answer.")
    case.step()  # there is nothing new yet
    for _ in range(300):
        with pytest.raises(RepositoryAway):
            case.step()
    assert case.loop.failed
    assert {path.name for path in case.spool.rglob("*.gz")} == set(case.database.segments)
    case.shelf.trouble = None
    case.step()
    assert case.shelf.held() == set(case.database.segments)
    assert not case.loop.failed


def test_a_closed_folder_that_is_not_wholly_saved_stays_over_a_restart(case: Case) -> None:
    case.step()
    case.step(3700)
    case.shelf.trouble = BackupError("Not all could be read.")
    with pytest.raises(BackupError):
        case.step(3700)
    case.again()
    case.shelf.trouble = None
    case.step()
    assert case.shelf.held() == set(case.database.segments)


def test_a_standby_saves_nothing_and_all_that_it_kept_once_it_takes_over(case: Case) -> None:
    case.database.role = False
    case.step()
    for _ in range(5):
        case.database.keep()
        case.step()
    assert case.shelf.made_of == []
    case.database.role = True
    case.again()
    case.step()
    assert case.shelf.held() == set(case.database.segments)


def test_what_was_kept_as_primary_is_saved_by_the_standby_that_it_becomes(case: Case) -> None:
    case.step()
    late = case.database.keep()
    case.database.role = False
    case.again()  # nor is it remembered in memory alone
    case.shelf.trouble = RepositoryAway("The repository does not answer.")
    for _ in range(3):
        with pytest.raises(RepositoryAway):
            case.step(4000)
    case.shelf.trouble = None
    case.step()
    assert f"{late}.gz" in case.shelf.held()
    assert case.shelf.held() == set(case.database.segments)


def test_a_database_that_is_away_does_not_keep_its_log_from_being_saved(case: Case) -> None:
    case.step()
    case.database.keep()
    case.database.role = None
    case.step()
    assert case.shelf.held() == set(case.database.segments)
    assert len(case.said) == 1
    assert "does not answer" in case.said[0]


def test_after_a_gap_a_base_backup_is_asked_for_once_the_repository_takes_something(case: Case) -> None:
    (case.spool / wal.WANTED).touch()
    case.shelf.trouble = RepositoryAway("The repository does not answer.")
    with pytest.raises(RepositoryAway):
        case.step()
    assert not (case.spool / wal.NOW).exists()
    case.shelf.trouble = None
    case.step()
    assert (case.spool / wal.NOW).exists()
    (case.spool / wal.NOW).unlink()
    case.step()
    assert not (case.spool / wal.NOW).exists()  # not all the time
    case.step(600)
    assert (case.spool / wal.NOW).exists()


def test_a_pass_that_is_asked_for_ends_the_segment_and_saves(case: Case) -> None:
    case.step()
    (case.spool / REQUEST).touch()
    case.step(1)
    assert len(case.database.segments) == 2
    assert not (case.spool / REQUEST).exists()
    assert case.shelf.held() == set(case.database.segments)


def test_wal_that_is_not_handed_over_is_no_silent_success(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ka_backup.walloop.ARCHIVED", 0.0)
    monkeypatch.setattr(case.database, "keep", lambda: wal.segment(1, 9))
    with pytest.raises(BackupError, match="does not hand over 000000010000000000000009"):
        case.step()
    assert case.loop.failed
    assert case.loop.saved_at == 0


def document(root: Path, content: bytes, now: float, name: str = "") -> str:
    name = name or hashlib.sha256(content).hexdigest()
    path = root / "bucket" / name[:2] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (now, now))
    os.utime(path.parent, (now, now))
    return name


def test_all_documents_are_saved_first_then_only_the_new_ones(tmp_path: Path) -> None:
    shelf, now = Shelf(), [1_000_000.0]
    loop = DocumentsLoop(tmp_path, shelf, Teller(print), lambda: now[0])
    old = document(tmp_path, b"old", now[0] - 3600)
    loop.once()
    assert shelf.made_of == [("objects", {old: b"old"})]
    now[0] += 20
    loop.once()
    assert len(shelf.made_of) == 1
    new = document(tmp_path, b"new", now[0])
    now[0] += 20
    loop.once()
    assert shelf.made_of[1:] == [("objects-new", {new: b"new"})]
    now[0] += 6 * 3600
    loop.once()
    assert shelf.tags == ["objects", "objects-new", "objects"]


def test_a_document_that_is_half_written_is_saved_once_it_is_whole(tmp_path: Path) -> None:
    shelf, now, said = Shelf(), [1_000_000.0], list[str]()
    loop = DocumentsLoop(tmp_path, shelf, Teller(said.append), lambda: now[0])
    name = hashlib.sha256(b"whole").hexdigest()
    document(tmp_path, b"who", now[0], name)
    loop.once()
    assert shelf.tags == ["objects"]
    document(tmp_path, b"whole", now[0], name)
    now[0] += 20
    loop.once()
    assert shelf.made_of[1:] == [("objects-new", {name: b"whole"})]
    assert said == []


def test_a_document_that_never_becomes_what_its_name_says_is_told_of_once(tmp_path: Path) -> None:
    shelf, now, said = Shelf(), [1_000_000.0], list[str]()
    loop = DocumentsLoop(tmp_path, shelf, Teller(said.append), lambda: now[0])
    document(tmp_path, b"changed", now[0], "0" * 64)
    for _ in range(40):
        loop.once()
        now[0] += 20
    assert loop.damaged == 1
    assert len(said) == 1
    assert "restore_only=documents" in said[0]


def test_new_documents_wait_while_the_repository_is_away(tmp_path: Path) -> None:
    shelf, now = Shelf(), [1_000_000.0]
    loop = DocumentsLoop(tmp_path, shelf, Teller(print), lambda: now[0])
    loop.once()
    saved = loop.saved_at
    new = document(tmp_path, b"new", now[0])
    shelf.trouble = RepositoryAway("The repository does not answer.")
    now[0] += 20
    with pytest.raises(RepositoryAway):
        loop.once()
    assert loop.saved_at == saved
    shelf.trouble = NoRepository("There is no repository.")
    now[0] += 20
    loop.once()
    assert shelf.made == 1
    assert shelf.made_of[-1] == ("objects-new", {new: b"new"})


def test_a_loop_says_once_what_is_wrong_and_once_that_it_is_well(tmp_path: Path) -> None:
    case = Case(tmp_path)
    folder = tmp_path / "metrics"
    folder.mkdir()
    loop = Loop("wal", case.loop, case.teller, str(folder), 15)
    case.shelf.trouble = RepositoryAway("The repository does not answer.")
    for _ in range(5):
        loop.once()
    written = (folder / "backup-wal.prom").read_text()
    assert 'ka_backup_failed{what="wal"} 1' in written
    assert "ka_backup_saved_timestamp_seconds" not in written
    case.shelf.trouble = None
    loop.once()
    assert len(case.said) == 2
    assert "well again" in case.said[1]
    written = (folder / "backup-wal.prom").read_text()
    assert 'ka_backup_failed{what="wal"} 0' in written
    assert 'ka_backup_saved_timestamp_seconds{what="wal"} 1000000.0' in written


@pytest.mark.parametrize(
    ("members", "whose"),
    [
        (
            [("b", "sync_standby", "streaming"), ("c", "replica", "streaming"), ("a", "leader", "running")],
            "b",
        ),
        ([("b", "replica", "starting"), ("c", "replica", "streaming"), ("a", "leader", "running")], "c"),
        ([("b", "replica", "stopped"), ("a", "leader", "running")], "a"),
        ([("a", "leader", "stopped")], ""),
        ([], ""),
    ],
)
def test_the_first_healthy_replica_makes_the_base_backup(
    members: list[tuple[str, str, str]], whose: str
) -> None:
    servers = [dict(zip(("name", "role", "state"), one, strict=True)) for one in members]
    assert postgres.whose_turn(servers) == whose


def test_where_a_base_backup_begins_and_ends_is_what_pg_basebackup_says() -> None:
    said = (
        "pg_basebackup: initiating base backup, waiting for checkpoint to complete\n"
        "pg_basebackup: checkpoint completed\n"
        "pg_basebackup: write-ahead log start point: 1/A2000028 on timeline 12\n"
        "pg_basebackup: write-ahead log end point: 1/A3000100\n"
        "pg_basebackup: base backup completed\n"
    )
    assert base.positions(said) == base.Positions(12, "1/A2000028", "1/A3000100")
    with pytest.raises(BackupError, match="did not say"):
        base.positions("pg_basebackup: error: connection failed\n")
