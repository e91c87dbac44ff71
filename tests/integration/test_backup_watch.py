"""Which sets could be restored: judged by what is in the repositories, without restic."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ka_backup import run_restore_documents as documents
from ka_backup import run_watch, sets, wal, watch
from ka_backup.config import Config
from ka_backup.errors import NoRepository, RepositoryAway, WrongPassword
from ka_backup.restic import Entry, Repository, Snapshot

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEYS = ["a" * 64, "b" * 64]
BASE = "1" * 64
CONFIG = Config(
    "monitoring1", "monitoring", "rest:https://backup1:8000", databases=["postgres1", "postgres2"]
)


def made(
    start: str = "0/3000028", stop: str = "0/3000158", timeline: int = 1, at: datetime = NOON
) -> sets.Set:
    _, objects = sets.encode_objects(KEYS)
    rows = dict.fromkeys(sets.ROWS, 1)
    base = sets.Base("postgres2", BASE, 1000)
    return sets.Set(at.strftime(sets.ID), at, "postgres2", "7", timeline, start, stop, base, rows, objects)


def snapshot(name: str, hours: float, *tags: str) -> Snapshot:
    return Snapshot(name, NOON + timedelta(hours=hours), tags)


def seen(files: list[str], **other: Any) -> watch.Seen:
    given: dict[str, Any] = {"escrow": True, "histories": {}} | other
    return watch.Seen(
        snapshots={"postgres1": [], "postgres2": [Snapshot(BASE, NOON, ("base",))]},
        files=frozenset(files),
        **given,
    )


def segments(first: int, last: int, timeline: int = 1) -> list[str]:
    return [f"{wal.segment(timeline, index)}.gz" for index in range(first, last + 1)]


def test_a_set_is_good_when_base_log_documents_and_escrow_are_there() -> None:
    assert watch.judge(made(), [], seen(segments(3, 9))) == ""


def test_a_gap_in_the_log_is_named() -> None:
    lacking = [name for name in segments(3, 9) if name != segments(6, 6)[0]]
    assert "lacks 000000010000000000000006." in watch.judge(made(), [], seen(lacking))


def test_many_that_are_missing_are_counted() -> None:
    lacking = [*segments(3, 4), *segments(15, 15)]
    assert watch.judge(made(), [], seen(lacking)).endswith("and 7 more.")


def test_a_failover_to_another_timeline_is_no_gap_when_its_history_is_there() -> None:
    files = [*segments(3, 6), *segments(6, 9, timeline=2), "00000002.history.gz"]
    texts = {"00000002.history.gz": "1\t0/6000148\tno recovery target specified\n"}
    found = watch.histories(texts, files)
    assert found == {2: [(1, 0x6000148)]}
    assert watch.judge(made(), [], seen(files, histories=found)) == ""


def test_a_history_that_makes_no_sense_leads_nowhere() -> None:
    assert watch.histories({"00000002.history.gz": "one\ttwo"}, ["00000002.history.gz"]) == {}


def test_a_base_backup_that_is_gone_is_named() -> None:
    other = watch.Seen({"postgres2": []}, frozenset(segments(3, 9)), {}, True)
    assert "11111111 of postgres2" in watch.judge(made(), [], other)


def test_documents_that_are_missing_are_named() -> None:
    assert KEYS[1] in watch.judge(made(), KEYS[1:], seen(segments(3, 9)))


def test_documents_that_somebody_else_keeps_are_not_looked_for() -> None:
    assert watch.lacking(CONFIG, watch.Kept(), KEYS, {}) == set()


def test_without_an_escrow_no_set_is_good() -> None:
    assert "escrow" in watch.judge(made(), [], seen(segments(3, 9), escrow=False))


def test_of_documents_the_newest_whole_and_what_came_since_counts() -> None:
    all_of_it = [
        snapshot("whole1", -30, "objects"),
        snapshot("new1", -20, "objects-new"),
        snapshot("whole2", 0, "objects"),
        snapshot("new2", -1, "objects-new"),
        snapshot("new3", 3, "objects-new"),
    ]
    assert [one.id for one in documents.recent(all_of_it)] == ["whole2", "new2", "new3"]
    assert [one.id for one in documents.recent(all_of_it[1:2])] == ["new1"]
    repository = Repository(CONFIG, "objects1", reader=True)
    order = documents.ordered((repository, one) for one in [*all_of_it, snapshot("wal", 9, "wal")])
    assert [one.id for _, one in order] == ["whole2", "new3", "new2", "whole1", "new1"]


def test_what_an_empty_disk_has_saved_hides_nothing_of_what_was_saved_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = {"empty": [], "whole": KEYS[:1], "new": KEYS[1:], "oldest": ["c" * 64]}
    asked: list[str] = []

    def ls(_: object, name: str) -> list[Entry]:
        asked.append(name)
        return [Entry(f"/data/objects/{each}", 1) for each in held[name]]

    monkeypatch.setattr(Repository, "ls", ls)
    config = Config("monitoring1", "monitoring", "rest:https://backup1:8000", documents=["objects1"])
    there = {
        "objects1": [
            snapshot("oldest", -60, "objects"),
            snapshot("new", -40, "objects-new"),
            snapshot("whole", -30, "objects"),
            snapshot("empty", 0, "objects"),
        ]
    }
    assert watch.lacking(config, watch.Kept(), [*KEYS, "c" * 64, "d" * 64], there) == {"d" * 64}
    asked.clear()
    assert watch.lacking(config, watch.Kept(), KEYS[:1], there) == set()
    assert asked == ["empty", "whole"], "older ones are listed only for what is lacking"


def test_what_a_snapshot_holds_is_listed_once_and_forgotten_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ls(_: Repository, name: str) -> list[Entry]:
        asked.append(name)
        return [Entry(f"/data/{file}", 1) for file in (*segments(3, 3), "00000002.history.gz", "other")]

    monkeypatch.setattr(Repository, "ls", ls)
    monkeypatch.setattr(sets, "dumped", lambda *_: gzip.compress(b"1\t0/6000148\n"))
    repository, one, two = (
        Repository(CONFIG, "postgres1", reader=True),
        snapshot("one", 0, "wal-closed"),
        snapshot("two", 0, "wal-closed"),
    )
    path = tmp_path / "snapshots.json"
    kept = watch.Kept.load(path)
    for each in (one, two, one):
        assert kept.of(repository, each, watch.is_wal) == [*segments(3, 3), "00000002.history.gz"]
    assert kept.histories == {"00000002.history.gz": "1\t0/6000148\n"}
    kept.save()
    again = watch.Kept.load(path)
    again.of(repository, one, watch.is_wal)
    again.save()
    assert asked == ["one", "two"]
    assert watch.Kept.load(path).names.keys() == {"one"}


def test_a_snapshot_that_is_damaged_holds_nothing_is_told_of_and_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = [True]

    def ls(_: object, snapshot: str) -> list[Entry]:
        if broken[0]:
            raise RepositoryAway("unexpected EOF.")
        return [Entry(f"/{KEYS[0]}", 1)]

    monkeypatch.setattr(Repository, "ls", ls)
    monkeypatch.setattr(Repository, "run", lambda *_: "{}")
    repository, one, kept = Repository(CONFIG, "objects1", reader=True), snapshot("one", 0), watch.Kept()
    assert kept.of(repository, one, watch.is_key) == []
    assert kept.said == ["objects1, one: unexpected EOF."]
    broken[0] = False
    assert kept.of(repository, one, watch.is_key) == KEYS[:1]


@pytest.mark.parametrize("text", ["", "[]", '{"names": 1}', "{"])
def test_what_was_remembered_and_is_broken_is_looked_up_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "snapshots.json").write_text(text)
    assert watch.Kept.load(tmp_path / "snapshots.json").names == {}


def test_what_is_no_packed_text_is_empty() -> None:
    assert watch.unpacked(b"no gzip") == ""
    assert watch.unpacked(gzip.compress(b"1\t0/6000148\n")[:-4]) == ""


@pytest.mark.parametrize(
    ("error", "there"), [(WrongPassword("another"), True), (NoRepository("none"), False), (None, True)]
)
def test_an_escrow_is_there_when_only_its_passphrase_is_lacking(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, there: bool
) -> None:
    def run(*_: object, **__: object) -> str:
        if error:
            raise error
        return "{}"

    monkeypatch.setattr(Repository, "run", run)
    assert watch.has_escrow(CONFIG) is there


def test_figures_tell_the_newest_good_set_though_a_newer_one_is_not_good() -> None:
    old = sets.Found(made(at=NOON - timedelta(days=1)), "postgres2", "x")
    new = sets.Found(made(), "postgres2", "y")
    told = run_watch.figures(watch.Look(new, old, None, []), 5.0)
    assert list(told["ka_backup_set_good"][1]) == [({"id": new.set.id}, 0)]
    assert list(told["ka_backup_set_timestamp_seconds"][1]) == [
        ({"id": old.set.id}, old.set.made_at.timestamp())
    ]
    assert list(told["ka_backup_watched_since_timestamp_seconds"][1]) == [({}, 5.0)]


def test_without_any_set_there_is_only_since_when_somebody_looks() -> None:
    told = run_watch.figures(watch.Look(None, None, None, []), 5.0)
    assert list(told) == ["ka_backup_watched_since_timestamp_seconds"]


def test_what_was_seen_last_stays_when_repositories_are_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config("monitoring1", "monitoring", "rest:https://backup1:8000", metrics=str(tmp_path))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    good = sets.Found(made(), "postgres2", "x")
    monkeypatch.setattr(watch, "look", lambda *_: watch.Look(good, good, None, []))
    assert run_watch.main(config, []) == 0
    before = (tmp_path / "backup-sets.prom").read_text()
    assert f'ka_backup_set_good{{id="{good.set.id}"}} 1' in before

    def away(*_: object) -> watch.Look:
        raise RepositoryAway("It is away.")

    monkeypatch.setattr(watch, "look", away)
    with pytest.raises(RepositoryAway):
        run_watch.main(config, [])
    assert (tmp_path / "backup-sets.prom").read_text() == before
    assert 'ka_backup_failed{what="sets"} 1' in (tmp_path / "backup-sets-run.prom").read_text()
