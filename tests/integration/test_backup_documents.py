"""Raw documents: out of whichever snapshot holds them whole, and never fewer into the next than were lost."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from ka_backup import drill, returning, run_now, run_objects, watch
from ka_backup import run_restore_documents as documents
from ka_backup.config import Config
from ka_backup.documents import DocumentsLoop
from ka_backup.drill_compare import Document
from ka_backup.errors import BackupError, Fewer, Incomplete, RepositoryAway
from ka_backup.loop import Teller
from ka_backup.restic import Entry, Repository, Snapshot

from tests.integration import test_backup_loops as loops

MADE = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
SAVED = datetime(2026, 11, 23, 21, 0, 12, tzinfo=UTC)


class Shelf:
    """Snapshots of documents in memory, as :class:`ka_backup.restic.Repository` gives them."""

    name = "objects1"

    def __init__(self, held: dict[str, dict[str, bytes]]) -> None:
        self.held = held
        self.asked: list[str] = []
        self.unlisted: set[str] = set()  # snapshots whose tree is damaged
        self.rotten: set[bytes] = set()  # contents that cannot be read in the first snapshot that has them
        self.away = False

    def blame(self, error: BackupError) -> None:
        if self.away:
            raise error

    def ls(self, snapshot: str) -> list[Entry]:
        self.asked.append(snapshot)
        if snapshot in self.unlisted or self.away:
            raise RepositoryAway("unexpected EOF.")
        return [Entry(path, len(content)) for path, content in self.held[snapshot].items()]

    def restore(self, snapshot: str, folder: Path, include: list[str] | None = None) -> None:
        include = list(self.held[snapshot]) if include is None else include
        broken = 0
        for path in include:
            to, content = folder / path.lstrip("/"), self.held[snapshot][path]
            to.parent.mkdir(parents=True, exist_ok=True)
            if content in self.rotten:
                broken += 1
                to.write_bytes(bytes(len(content)))
            else:
                to.write_bytes(content)
        self.rotten -= {self.held[snapshot][path] for path in include}
        if broken:
            raise BackupError(f"There were {broken} errors.")


def key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def path(content: bytes) -> str:
    return str(documents.place(Path("/data/objects/knowledge-assistant"), key(content)))


def test_documents_come_back_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = b"one", b"two", b"three"
    shelf = Shelf({"new": {path(one): b"rotten"}, "old": {path(one): one, path(two): two}})
    shots = [(shelf, Snapshot(name, MADE)) for name in ("new", "old")]
    monkeypatch.setattr(documents, "snapshots", lambda _config: shots)
    bucket = tmp_path / "objects" / "knowledge-assistant"
    config = Config("objects1", "objects", "rest:https://backup1:8000")
    assert documents.put_back(config, bucket, {key(one), key(two), key(three)}) == ({key(three)}, [])
    for content in (one, two):
        assert documents.place(bucket, key(content)).read_bytes() == content
        assert documents.place(bucket, key(content)).stat().st_mode & 0o777 == 0o600
    assert not documents.place(bucket, key(three)).exists()
    assert [entry.name for entry in bucket.parent.iterdir()] == [bucket.name], "nothing half is left"


def test_no_snapshot_is_read_once_all_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf({"new": {path(b"one"): b"one"}, "old": {}})
    shots = [(shelf, Snapshot(name, MADE)) for name in ("new", "old")]
    monkeypatch.setattr(documents, "snapshots", lambda _config: shots)
    bucket = tmp_path / "knowledge-assistant"
    config = Config("objects1", "objects", "rest:https://backup1:8000")
    assert documents.put_back(config, bucket, {key(b"one")}) == (set(), [])
    assert shelf.asked == ["new"]


def many(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A snapshot that is damaged, and two older ones."""
    contents = {path(content): content for content in many(12)}
    found = Shelf({"new": contents, "old": contents, "older": dict(list(contents.items())[:6])})
    shots = [(found, Snapshot(name, MADE)) for name in found.held]
    monkeypatch.setattr(documents, "snapshots", lambda _config: shots)
    return found


def put_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wanted: list[str]
) -> dict[str, object]:
    config = Config("objects1", "objects", "rest:https://backup1:8000")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(wanted)))
    try:
        assert documents.main(config, [str(folder / "bucket"), "make"]) == 0
    finally:
        out = capsys.readouterr().out
    found: dict[str, object] = json.loads(out)
    return found


def test_what_one_snapshot_holds_damaged_comes_out_of_another(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.rotten = set(many(3))
    found = put_back(tmp_path, monkeypatch, capsys, [key(content) for content in many(12)])
    assert (found["back"], found["said"]) == (12, ["objects1, new: There were 3 errors."])
    for content in many(12):
        assert documents.place(tmp_path / "bucket", key(content)).read_bytes() == content


def test_a_snapshot_that_cannot_even_be_listed_ends_nothing(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.unlisted = {"new", "old"}
    found = put_back(tmp_path, monkeypatch, capsys, [key(content) for content in many(6)])
    assert (found["back"], len(str(found["said"]).split("unexpected EOF"))) == (6, 3)


def test_only_documents_that_nobody_holds_are_an_error_that_names_ten_and_counts_all(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.unlisted = {"new"}
    nobody = sorted(key(content + b"!") for content in many(12))
    with pytest.raises(Incomplete) as caught:
        put_back(tmp_path, monkeypatch, capsys, [*nobody, *(key(content) for content in many(12))])
    assert str(caught.value).startswith("12 of 24 documents are whole in no snapshot; all others are back.")
    assert ", ".join(nobody[:10]) + " and 2 more." in str(caught.value)
    for content in many(12):
        assert documents.place(tmp_path / "bucket", key(content)).exists()


def test_a_repository_that_is_away_is_told_as_such_and_nothing_is_called_lost(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.away = True
    with pytest.raises(RepositoryAway):
        documents.put_back(Config("objects1", "objects", ""), tmp_path / "bucket", {key(b"1")})
    assert shelf.asked == ["new"]


def test_a_return_brings_what_is_whole_and_names_what_is_not(shelf: Shelf, tmp_path: Path) -> None:
    shelf.unlisted = {"new"}
    wanted = [returning.Document(name, key(name.encode()), 1, MADE) for name in ("1", "2", "lost")]
    files, said = returning.files(Config("monitoring1", "monitoring", ""), wanted, SAVED, tmp_path)
    assert {name: file.read_bytes() for name, file in files.items()} == {key(b"1"): b"1", key(b"2"): b"2"}
    assert said[0].startswith("1 documents are whole in no snapshot any more (lost). By SHA-256: ")
    assert key(b"lost") in said[0]
    assert returning.files(Config("monitoring1", "monitoring", ""), wanted[:2], SAVED, tmp_path)[1] == []


def test_a_drill_takes_from_other_snapshots_what_the_newest_holds_damaged(
    shelf: Shelf, tmp_path: Path
) -> None:
    config = Config("monitoring1", "monitoring", "", documents=["objects1"])
    settings = drill.Settings(tmp_path, "https://x", "", tmp_path, "default", ())
    one = drill.Drill(config, settings, watch.Kept())
    shelf.rotten = set(many(2))
    found = [
        Document(name, "default", name, key(name.encode()), "ready", 1, 1, 0.0) for name in ("0", "7", "x")
    ]
    files = cast("list[tuple[Repository, Snapshot]]", [(shelf, Snapshot("new", MADE))])
    root = one._objects(tmp_path / "objects", files, found, SAVED.timestamp())
    assert documents.place(root / drill.BUCKET, key(b"0")).read_bytes() == b"0"
    assert one.result.said == ["objects1, new: There were 2 errors."]
    assert one.result.problems == [f"1 documents are whole in no snapshot. By SHA-256: {key(b'x')}."]
    assert (one.result.objects_checked, one.result.objects_bytes) == (3, 14)


def test_a_file_that_is_not_what_its_name_says_counts_as_missing_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / key(b"one")
    file.write_bytes(b"two")
    assert documents.there(file, file.name, hashed=False)
    assert not documents.there(file, file.name, hashed=True)
    assert not documents.there(tmp_path / "none", "none", hashed=True)


class Store:
    """A folder of ten documents that are saved, and the loop that saves them."""

    def __init__(self, folder: Path) -> None:
        self.root, self.shelf, self.now = folder / "objects", loops.Shelf(), 1_000_000.0
        for number in range(10):
            self.put(str(number).encode())
        self.loop = self.started()
        self.loop.once()
        assert self.shelf.tags == ["objects"]

    def started(self) -> DocumentsLoop:
        return DocumentsLoop(self.root, self.shelf, Teller(print), lambda: self.now)

    def put(self, content: bytes) -> str:
        return loops.document(self.root, content, self.now - 3600)

    def lose(self, count: int) -> None:
        for file in [file for file in sorted(self.root.rglob("*")) if file.is_file()][:count]:
            file.unlink()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_an_empty_disk_makes_no_snapshot_of_all_and_new_documents_are_saved_all_the_same(
    store: Store,
) -> None:
    store.lose(10)
    loop, new = store.started(), store.put(b"new")
    with pytest.raises(
        Fewer, match=r"holds 1 files, .* all 10: .*restore_only=documents.*documents_fewer=yes"
    ):
        loop.once()
    assert store.shelf.made_of[1:] == [("objects-new", {new: b"new"})]
    assert loop.failed
    assert loop.saved_at == store.now
    with pytest.raises(Fewer):
        loop.once()
    assert store.shelf.tags == ["objects", "objects-new"]


def test_once_the_documents_are_back_all_of_them_are_saved_again(store: Store) -> None:
    store.lose(10)
    loop = store.started()
    with pytest.raises(Fewer):
        loop.once()
    for number in range(10):
        store.put(str(number).encode())
    loop.once()
    assert store.shelf.tags[-1] == "objects"
    assert not loop.failed


def test_half_of_the_documents_is_enough(store: Store) -> None:
    store.lose(5)
    store.started().once()
    assert store.shelf.tags == ["objects", "objects"]


def test_with_a_word_fewer_documents_are_all_and_the_next_are_measured_by_them(store: Store) -> None:
    store.lose(9)
    store.now += 6 * 3600
    with pytest.raises(Fewer):
        store.loop.once(everything=True)
    store.loop.once(everything=True, fewer=True)
    store.started().once()
    assert store.shelf.tags == ["objects"] * 3


def ask(folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Ask for all while the loop runs as a unit does."""
    monkeypatch.setattr(run_now, "FOLDER", folder)
    work, ended = run_objects._Asked(store.loop, folder / run_objects.REQUEST), threading.Event()

    def passes() -> None:
        while not ended.is_set():
            with suppress(Fewer):
                work.once()
            time.sleep(0.02)

    unit = threading.Thread(target=passes)
    unit.start()
    try:
        return run_now.main(Config("objects1", "objects", ""), ["objects", *words])
    finally:
        ended.set()
        unit.join()


def test_who_asks_for_all_is_told_at_once_that_it_is_refused_and_may_say_the_word(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(tmp_path, store, monkeypatch) == 0
    store.lose(8)
    with pytest.raises(Fewer, match="documents_fewer=yes"):
        ask(tmp_path, store, monkeypatch)
    assert store.shelf.tags == ["objects", "objects"]
    assert ask(tmp_path, store, monkeypatch, "fewer") == 0
    assert store.shelf.tags == ["objects", "objects", "objects"]
    assert not (tmp_path / run_objects.REQUEST).exists()
