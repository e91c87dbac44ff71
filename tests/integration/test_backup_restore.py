"""What a restore takes and refuses, as far as it can be said without a repository."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import IO

import pytest
from ka_backup import run_restore_choose, sets, watch
from ka_backup.config import Config
from ka_backup.errors import BackupError, NoSet, RepositoryAway
from ka_backup.restic import Repository, Snapshot
from ka_backup.run_restore_choose import of, plan, target
from ka_backup.run_restore_live import lost, read, zoned
from ka_backup.sets import Base, Found, Objects, Set

MADE = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
SAVED = datetime(2026, 11, 23, 21, 0, 12, tzinfo=UTC)
ONE = Set(
    id="20261123T030000Z",
    made_at=MADE,
    host="postgres2",
    system="7",
    timeline=1,
    start_lsn="0/2000028",
    stop_lsn="0/2000150",
    base=Base("postgres2", "a" * 64, 1000),
    rows={"documents": 3, "pages": 3, "chunks": 3, "knowledge_bases": 1},
    objects=Objects(3, "0" * 64),
)
FOUND = Found(ONE, "postgres2", "b" * 64)
CONTROL = """pg_control version number:            1700
Database system identifier:           7432198765432109876
Database cluster state:               in production
pg_control last modified:             Mon Nov 23 21:00:00 2026
"""


def test_a_word_is_a_moment_a_set_or_the_newest() -> None:
    assert target("newest") == target("") == (None, "")
    assert target("20261123T030000Z") == (None, "20261123T030000Z")
    assert target("2026-11-23T22:00:12+01:00") == (SAVED, "")
    with pytest.raises(BackupError, match="is no moment"):
        target("2026-11-23T21:00:12")


def test_without_a_moment_all_that_is_saved_comes_back() -> None:
    made = plan(FOUND, None, False, SAVED)
    assert (made["target"], made["until"], made["set"]) == ("end", "2026-11-23T21:00:12+00:00", ONE.id)
    assert plan(FOUND, None, False, None)["until"] == "2026-11-23T03:00:00+00:00"


def test_a_moment_is_told_to_the_millionth_of_a_second() -> None:
    before = SAVED.replace(microsecond=250_000)
    assert plan(FOUND, before.replace(second=1), False, SAVED)["target"] == "2026-11-23T21:00:01.250000+00:00"


def test_a_set_alone_is_as_it_was_made() -> None:
    assert plan(FOUND, None, True, SAVED)["target"] == "2026-11-23T03:00:00+00:00"


def test_a_moment_that_is_not_saved_is_refused_with_the_last_that_is() -> None:
    with pytest.raises(NoSet, match=r"2026-11-23T21:00:12\+00:00"):
        plan(FOUND, SAVED.replace(minute=1), False, SAVED)


def test_what_another_database_saved_later_says_nothing() -> None:
    assert of(("wal",), "7")
    assert of(("wal", "system-7"), "7")
    assert not of(("wal", "system-8"), "7")


class Bases:
    """Three sets a day apart, the newest first; bases that cannot be read, by the number of their set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = Config("postgres1", "postgres", "rest:https://backup1:8000", databases=["postgres2"])
        self.broken: dict[int, BackupError] = {}
        self.manifests: dict[int, BackupError] = {}
        self.log = ""
        self.read: list[int] = []
        self.away = False
        names = [(MADE - timedelta(days=day)).strftime(sets.ID) for day in range(3)]
        self.ids = names
        repository = Repository(self.config, "postgres2", reader=True)
        shots = [(repository, Snapshot(str(day), MADE - timedelta(days=day), ("set",))) for day in range(3)]
        monkeypatch.setattr(sets, "listed", lambda _config: (list(shots), []))
        monkeypatch.setattr(sets, "read", lambda _, shot: self._set(int(shot.id)))
        monkeypatch.setattr(Repository, "dump", lambda _, *which: self._dump(*which))
        monkeypatch.setattr(Repository, "run", lambda _, *words: self._answer())
        monkeypatch.setattr(watch, "logs", lambda *_: ({}, set()))
        monkeypatch.setattr(watch, "gap", lambda *_: self.log)
        monkeypatch.setattr(run_restore_choose, "until", lambda *_: SAVED)

    def _set(self, day: int) -> Found:
        if day in self.manifests:
            raise self.manifests[day]
        base = Base("postgres2", f"{day}" * 64, 1000)
        one = replace(ONE, id=self.ids[day], made_at=MADE - timedelta(days=day), base=base)
        return replace(FOUND, set=one)

    def _dump(self, snapshot: str, path: str, to: IO[bytes]) -> None:
        self.read.append(int(snapshot[0]))
        to.write(b"first")
        if int(snapshot[0]) in self.broken:
            raise self.broken[int(snapshot[0])]

    def _answer(self) -> str:
        if self.away:
            raise RepositoryAway("The repository does not answer.")
        return "{}"

    def choose(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, list[str]]:
        assert run_restore_choose.main(self.config, list(words)) == 0
        found = json.loads(capsys.readouterr().out)
        return found["set"], found["said"]


@pytest.fixture
def bases(monkeypatch: pytest.MonkeyPatch) -> Bases:
    return Bases(monkeypatch)


def test_the_newest_set_is_taken_and_only_its_base_is_read(
    bases: Bases, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bases.choose(capsys) == (bases.ids[0], [])
    assert bases.read == [0]


def test_a_set_whose_base_is_damaged_is_passed_over_for_the_next_older_and_named(
    bases: Bases, capsys: pytest.CaptureFixture[str]
) -> None:
    bases.broken = {0: BackupError("ciphertext verification failed."), 1: RepositoryAway("unexpected EOF.")}
    chosen, said = bases.choose(capsys)
    assert chosen == bases.ids[2]
    lost = "of postgres2, is missing or damaged:"
    assert said == [
        f"{bases.ids[0]} was passed over. Its base backup, 00000000 {lost} ciphertext verification failed.",
        f"{bases.ids[1]} was passed over. Its base backup, 11111111 {lost} unexpected EOF.",
    ]


def test_for_a_moment_the_next_older_set_leads_there_too(
    bases: Bases, capsys: pytest.CaptureFixture[str]
) -> None:
    bases.broken = {1: BackupError("gone.")}
    chosen, said = bases.choose(capsys, (MADE - timedelta(hours=1)).isoformat())
    assert (chosen, len(said), bases.read) == (bases.ids[2], 1, [1, 2])


def test_a_set_that_was_named_is_refused_with_the_reason_and_never_replaced(bases: Bases) -> None:
    bases.broken = {1: BackupError("ciphertext verification failed.")}
    with pytest.raises(NoSet, match=rf"{bases.ids[1]} cannot be restored\. .*11111111.* verification failed"):
        run_restore_choose.main(bases.config, [bases.ids[1]])
    assert bases.read == [1]


def test_a_set_that_was_named_and_cannot_be_read_is_refused_with_the_reason(bases: Bases) -> None:
    bases.manifests = {1: BackupError("The tree is damaged.")}
    with pytest.raises(NoSet, match=rf"no set '{bases.ids[1]}'.*The tree is damaged\."):
        run_restore_choose.main(bases.config, [bases.ids[1]])
    assert bases.read == []


def test_a_set_that_cannot_be_read_does_not_hide_the_one_before(
    bases: Bases, capsys: pytest.CaptureFixture[str]
) -> None:
    bases.manifests = {0: BackupError("The tree is damaged.")}
    assert bases.choose(capsys) == (bases.ids[1], ["postgres2, 0: The tree is damaged."])


def test_when_no_set_is_good_each_is_named_with_what_it_lacks(bases: Bases) -> None:
    bases.broken = {day: BackupError(f"broken {day}.") for day in range(3)}
    with pytest.raises(NoSet, match=r"No set is good\. .*broken 0\. .*broken 1\. .*broken 2\."):
        run_restore_choose.main(bases.config, [])


def test_a_gap_in_the_log_is_told_before_a_base_is_read_and_only_where_all_is_wanted(
    bases: Bases, capsys: pytest.CaptureFixture[str]
) -> None:
    bases.log = "The log after it lacks 000000010000000000000006."
    with pytest.raises(NoSet, match=r"lacks 000000010000000000000006\..*restore_time"):
        run_restore_choose.main(bases.config, [])
    assert bases.read == []
    assert bases.choose(capsys, MADE.isoformat()) == (bases.ids[0], [])


def test_a_repository_that_is_away_is_no_damage(bases: Bases) -> None:
    bases.broken, bases.away = {0: RepositoryAway("unexpected EOF.")}, True
    with pytest.raises(RepositoryAway, match="does not answer"):
        run_restore_choose.main(bases.config, [])
    assert bases.read == [0]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({"system": "", "answers": False, "documents": None, "newest": None}, ""),
        ({"system": "8", "answers": True, "documents": 0, "newest": None}, ""),
        ({"system": "8", "answers": True, "documents": 5, "newest": None}, "database is there, with 5"),
        ({"system": "8", "answers": False, "documents": None, "newest": None}, "nobody knows how many"),
        (
            {"system": "7", "answers": True, "documents": 3, "newest": "2026-11-20T10:00:00.5"},
            "after 2026-11-23 21:00:12 UTC would be lost (3 documents, last change: 2026-11-20",
        ),
        ({"system": "7", "answers": False, "documents": None, "newest": "2026-11-23T21:00:00+00:00"}, ""),
        (
            {"system": "7", "answers": False, "documents": None, "newest": "2026-11-23T21:05:00+00:00"},
            "does not run, but was written at 2026-11-23 21:05:00 UTC",
        ),
    ],
    ids=[
        "no database",
        "a new and empty one",
        "another with documents",
        "another that is stopped",
        "this one, running",
        "this one, older than what is saved",
        "this one, newer than what is saved",
    ],
)
def test_what_is_newer_is_named_before_it_is_lost(found: dict[str, object], sentence: str) -> None:
    said = lost(found, "7", SAVED)
    assert sentence in said
    assert bool(said) == bool(sentence)


def test_a_stopped_database_is_known_by_its_control_file() -> None:
    assert read(CONTROL) == {
        "system": "7432198765432109876",
        "answers": False,
        "documents": None,
        "newest": "2026-11-23T21:00:00+00:00",
    }
    assert read("pg_controldata: error: could not open file")["system"] == ""
    assert zoned("2026-11-23T21:00:00") == "2026-11-23T21:00:00+00:00"
