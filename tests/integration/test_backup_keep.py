"""What of the repositories is kept, for how long, and what a wrong clock or a wrong host cannot do to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ka_backup import keeping, run_check, run_retention, sets
from ka_backup.config import Config
from ka_backup.errors import BackupError, Incomplete
from ka_backup.keep import Held, Policy, forget, superseded
from ka_backup.metrics import Samples, text, write
from ka_backup.restic import Entry, Repository, Snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = Policy()
DAY = timedelta(days=1)


def held(name: str, tag: str, age: timedelta, *, late: timedelta = timedelta(0), where: str = "p1") -> Held:
    """A snapshot that came some time ago; ``late`` is by how much its host says less."""
    return Held(where, Snapshot(name, NOW - age + late, (tag,)), NOW - age)


def daily(days: int, where: str = "p1") -> list[Held]:
    """A base and its set on each day."""
    found = []
    for day in range(days):
        found.append(held(f"base{day}", "base", day * DAY + timedelta(hours=2), where=where))
        found.append(held(f"set{day}", "set", day * DAY + timedelta(hours=1), where=where))
    return found


def gone(all_of: list[Held]) -> set[str]:
    return {each.snapshot.id for each in forget(all_of, POLICY, NOW)}


def test_bases_stay_for_days_and_weeks_with_their_sets() -> None:
    lost = gone(daily(90))
    kept = [day for day in range(90) if f"base{day}" not in lost]
    assert set(range(14)) <= set(kept)
    assert len(kept) <= 14 + 8
    assert 40 < max(kept) < 60
    assert {f"set{day}" in lost for day in kept} == {False}
    assert {f"set{day}" in lost for day in range(90) if day not in kept} == {True}


def test_bases_of_all_hosts_count_together() -> None:
    assert not gone(daily(14, "p1"))
    mixed = [each for day in range(60) for each in daily(60, f"p{day % 3}")[2 * day : 2 * day + 2]]
    lost = gone(mixed)
    kept = [each for each in mixed if each.snapshot.id not in lost and "base" in each.snapshot.id]
    assert len(kept) <= 14 + 8


def test_when_backups_have_ended_the_last_ones_stay() -> None:
    old = [Held(each.repository, each.snapshot, each.arrived) for each in daily(60)]
    later = NOW + 365 * DAY
    kept = {each.snapshot.id for each in old} - {each.snapshot.id for each in forget(old, POLICY, later)}
    assert {"base0", "set0", "base13"} <= kept


def test_a_base_without_a_set_takes_no_place_of_one_that_has_it() -> None:
    found = [held("bare", "base", 9 * DAY), held("whole", "base", 9 * DAY + timedelta(hours=6))]
    found.append(held("set", "set", 9 * DAY + timedelta(hours=5)))
    lost = gone([*found, *daily(2)])
    assert "bare" in lost
    assert "whole" not in lost


def test_wal_stays_as_long_as_a_base_may_need_it() -> None:
    found = [held("needed", "wal-closed", 50 * DAY), held("free", "wal-closed", 95 * DAY)]
    found += daily(90)
    lost = gone(found)
    oldest = max(day for day in range(90) if f"base{day}" not in lost)
    found.append(held("just", "wal-closed", oldest * DAY + timedelta(hours=2, minutes=30)))
    lost = gone(found)
    assert "free" in lost
    assert "just" not in lost  # a base needs what was written when it began


def test_without_any_base_no_wal_goes() -> None:
    assert not gone([held("closed", "wal-closed", 400 * DAY)])


def test_new_documents_stay_until_all_kept_snapshots_of_all_hold_them() -> None:
    whole = [held(f"all{day}", "objects", day * DAY, where="o1") for day in range(90)]
    lost = gone(
        [
            *whole,
            held("old", "objects-new", 89 * DAY, where="o1"),
            held("new", "objects-new", DAY, where="o1"),
        ]
    )
    assert "old" in lost
    assert "new" not in lost


def test_copies_of_the_spool_go_but_for_the_newest_of_each_host() -> None:
    found = [held("a", "wal", 5 * DAY), held("b", "wal", 4 * DAY), held("c", "wal", 9 * DAY, where="p2")]
    assert {each.snapshot.id for each in superseded(found, POLICY, NOW)} == {"a"}


def test_a_date_in_the_future_pushes_nothing_out() -> None:
    bogus = [held(f"bogus{n}", "base", timedelta(minutes=n), late=n * 365 * DAY) for n in range(2, 60)]
    lost = gone([*daily(10), *bogus])
    assert not lost & {f"base{day}" for day in range(8)}
    assert not lost & {each.snapshot.id for each in bogus}  # they came today


def test_a_date_in_the_past_lets_nothing_go_early() -> None:
    lost = gone([*daily(2), held("back", "wal-closed", timedelta(hours=1), late=-400 * DAY)])
    assert "back" not in lost


def test_a_clock_an_hour_off_changes_nothing() -> None:
    for late in (timedelta(hours=1), timedelta(hours=-1)):
        shifted = [
            Held(
                each.repository,
                Snapshot(each.snapshot.id, each.snapshot.time + late, each.snapshot.tags),
                each.arrived,
            )
            for each in daily(10)
        ]
        assert not gone(shifted)


def test_what_nobody_knows_stays() -> None:
    assert not gone([*daily(3), held("odd", "by-hand", 900 * DAY)])


class Shelf:
    """Keys that snapshots hold, and that sets name, by the snapshots' names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held: dict[str, str] = {}
        self.sets: dict[str, str | BackupError] = {}
        self.listed: list[str] = []
        self.went: list[str] = []
        monkeypatch.setattr(Repository, "ls", lambda _, name: self._ls(name))
        monkeypatch.setattr(sets, "read", lambda _, one: one.id)
        monkeypatch.setattr(sets, "keys", lambda _, name: self._keys(name))
        self._patch = monkeypatch
        self.config = Config("backup1", "backup", "/nowhere")

    def _ls(self, name: str) -> list[Entry]:
        self.listed.append(name)
        return [Entry(f"/data/objects/{64 * each}", 1) for each in self.held[name]]

    def _keys(self, name: str) -> list[str]:
        found = self.sets[name]
        if isinstance(found, BackupError):
            raise found
        return [64 * each for each in found]

    def spared(self, found: list[Held], *gone: str) -> set[str]:
        """Which stay, though they would go."""
        going = [each for each in found if each.snapshot.id in gone]
        left = run_retention.spared(self.config, found, going)
        return set(gone) - {each.snapshot.id for each in left}

    def all(self, found: list[Held]) -> tuple[set[str], list[str]]:
        """What goes when all of it is done, and the problems that are told."""
        gone: list[Held] = []

        def forget(_: Config, some: list[Held]) -> list[str]:
            gone.extend(some)
            return []

        self._patch.setattr(run_retention, "_gather", lambda _: (found, []))
        self._patch.setattr(run_retention, "_forget", forget)
        self._patch.setattr(run_retention, "datetime", type("Clock", (), {"now": lambda _: NOW}))
        problems = run_retention._all(self.config, POLICY, "1M")
        return {each.snapshot.id for each in gone}, problems


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return Shelf(monkeypatch)


FOUND = [
    held("set", "set", 10 * DAY),
    held("empty", "objects", DAY, where="o1"),
    held("fresh", "objects-new", DAY, where="o1"),
    held("late", "objects", 20 * DAY, where="o1"),
    held("early", "objects", 21 * DAY, where="o1"),
    held("old", "objects-new", 22 * DAY, where="o1"),
]


def test_the_last_snapshot_with_a_document_that_a_kept_set_names_never_goes(shelf: Shelf) -> None:
    shelf.sets = {"set": "abc"}
    shelf.held = {"empty": "", "fresh": "z", "late": "a", "early": "ab", "old": "bc"}
    assert shelf.spared(FOUND, "late", "early", "old") == {"late", "early", "old"}
    shelf.held["late"] = "ab"
    assert shelf.spared(FOUND, "late", "early", "old") == {"late", "old"}, "the newest of those that hold it"


def test_what_kept_snapshots_hold_lets_older_ones_go(shelf: Shelf) -> None:
    shelf.sets = {"set": "ab"}
    shelf.held = {"empty": "a", "fresh": "b", "late": "ab", "early": "ab", "old": "b"}
    assert shelf.spared(FOUND, "late", "early", "old") == set()
    shelf.listed.clear()
    shelf.held["empty"] = "ab"
    assert shelf.spared(FOUND, "late", "early", "old") == set()
    assert shelf.listed == ["empty"], "nothing more is read than is needed"


def test_a_document_that_no_snapshot_holds_keeps_none(shelf: Shelf) -> None:
    shelf.sets = {"set": "x"}
    shelf.held = {"empty": "", "late": "a", "early": "a", "old": "b"}
    assert shelf.spared(FOUND, "late", "early", "old") == set()
    assert "fresh" not in shelf.listed


def test_documents_that_only_a_set_names_that_goes_as_well_go_with_it(shelf: Shelf) -> None:
    shelf.sets = {"set": "a"}
    shelf.held = {"empty": "", "late": "a"}
    assert shelf.spared(FOUND, "set", "late") == set()


def test_what_is_tagged_as_a_set_and_is_none_keeps_nothing(shelf: Shelf) -> None:
    shelf.sets = {"set": Incomplete("This is no set.")}
    shelf.held = {"empty": "", "late": "a"}
    assert shelf.spared(FOUND, "late") == set()


def months(shelf: Shelf) -> list[Held]:
    """A base, a set and a snapshot of all on each day; an empty one since the disk was lost 70 days ago."""
    found = daily(90)
    for day in range(90):
        found.append(held(f"all{day}", "objects", day * DAY + timedelta(hours=3), where="o1"))
        shelf.held[f"all{day}"] = "ab" if day >= 70 else ""
        shelf.sets[f"set{day}"] = "ab"
    return found


def test_retention_loses_no_document_by_snapshots_of_an_empty_disk(shelf: Shelf) -> None:
    gone, problems = shelf.all(months(shelf))
    assert problems == []
    assert "all70" not in gone
    assert {f"all{day}" for day in range(71, 90)} | {"all69"} <= gone


def test_while_a_snapshot_is_damaged_nothing_goes_that_it_may_need(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(_: Config, repository: Repository) -> list[Held]:
        repository.damaged = ["p1, cccccccc: This snapshot is damaged."]
        return months(shelf)

    monkeypatch.setattr(keeping, "names", lambda _: ["p1"])
    monkeypatch.setattr(keeping, "held", found)
    monkeypatch.setattr(Repository, "run", lambda *_, **__: "")
    monkeypatch.setattr(run_retention, "_forget", lambda _, gone: [each.snapshot.id for each in gone])
    assert run_retention._all(shelf.config, POLICY, "1M") == ["p1, cccccccc: This snapshot is damaged."]


def test_where_a_set_cannot_be_read_no_document_goes_and_it_is_told(shelf: Shelf) -> None:
    found = months(shelf)
    shelf.sets["set3"] = BackupError("The tree is damaged.")
    gone, problems = shelf.all(found)
    assert not {name for name in gone if name.startswith("all")}
    assert {name for name in gone if name.startswith("base")}
    assert problems == [
        "No snapshot of documents goes, since nobody knows what sets need: The tree is damaged."
    ]


def fresh(since: float = 0.0) -> dict[str, object]:
    return {"since": since, "parts": {}, "damaged": {}}


def test_all_is_read_within_a_week_and_what_waits_longer_is_caught_up() -> None:
    own, read = fresh(), []
    for day in range(7):
        (part,) = run_check.due(own, day * 86400.0 + 1, everything=False)
        run_check.note(own, part, [], day * 86400.0 + 1)
        read.append(part)
    assert sorted(read) == [1, 2, 3, 4, 5, 6, 7]
    assert run_check.complete(own) == 1.0
    assert len(run_check.due(own, 10 * 86400.0, everything=False)) > 2


def test_what_is_damaged_is_looked_at_every_day_until_it_is_right() -> None:
    own = fresh()
    run_check.note(own, 3, ["pack a", "error: x"], 1.0)
    assert run_check.damaged(own) == {"pack a"}
    assert 3 in run_check.due(own, 2.0, everything=False)
    run_check.note(own, 3, [], 3.0)
    assert run_check.damaged(own) == set()


def test_all_at_once_is_one_look_that_counts_for_every_part() -> None:
    own = fresh()
    (part,) = run_check.due(own, 5.0, everything=True)
    run_check.note(own, part, ["pack a"], 5.0)
    assert run_check.complete(own) == 5.0
    assert run_check.damaged(own) == {"pack a"}


def test_a_flipped_byte_in_the_escrow_is_found_without_its_passphrase(tmp_path: Path) -> None:
    import hashlib

    place = tmp_path / "escrow" / "data" / "ab"
    place.mkdir(parents=True)
    content = b"whole"
    file = place / hashlib.sha256(content).hexdigest()
    file.write_bytes(content)
    config = Config("backup1", "backup", str(tmp_path))
    assert run_check._look(config, "escrow", run_check.WHOLE) == []
    file.write_bytes(b"whale")
    assert run_check._look(config, "escrow", run_check.WHOLE) == [f"file data/ab/{file.name}"]


def test_figures_are_as_prometheus_reads_them(tmp_path: Path) -> None:
    written: dict[str, tuple[str, Samples]] = {
        "ka_a": ("What\\ it\nis.", [({"x": 'a"\\\n'}, 1.5)]),
        "ka_b_total": ("B.", [({}, 2)]),
    }
    assert text(written).splitlines() == [
        r"# HELP ka_a What\\ it\nis.",
        "# TYPE ka_a gauge",
        r'ka_a{x="a\"\\\n"} 1.5',
        "# HELP ka_b_total B.",
        "# TYPE ka_b_total counter",
        "ka_b_total 2",
    ]
    write(tmp_path, "x", written)
    assert [path.name for path in tmp_path.iterdir()] == ["backup-x.prom"]
    assert (tmp_path / "backup-x.prom").stat().st_mode & 0o777 == 0o644
    with pytest.raises(OSError, match="nowhere"):
        write(tmp_path / "nowhere", "x", written)
