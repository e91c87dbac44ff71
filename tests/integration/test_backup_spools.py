"""A database that lost its disks leaves an open spool in its repository, which new ones do not hide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ka_backup.gather import needed
from ka_backup.keep import Held, Policy, forget, superseded
from ka_backup.restic import Snapshot
from ka_backup.wal import spool_of, spool_tag

NOW = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)


def shot(name: str, hours: float, *tags: str) -> Snapshot:
    """A snapshot so many hours old."""
    return Snapshot(name, NOW - timedelta(hours=hours), tags)


LOST = [shot("lost before", 9.1, "wal", "spool-a"), shot("lost last", 9, "wal", "spool-a")]
NEW = [shot("new before", 8, "wal", "spool-b"), shot("new last", 0, "wal", "spool-b")]


def test_a_spool_bears_the_same_name_as_long_as_its_disk_lives(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for spool in (one, other):
        spool.mkdir()
    assert spool_tag(one) == spool_tag(one) != spool_tag(other)
    assert spool_of(["wal", spool_tag(one)]) == spool_tag(one)
    assert spool_of(["wal"]) == ""


def test_a_set_needs_the_last_state_of_every_spool_since_it_was_made() -> None:
    assert [one.id for one in needed([*NEW, *LOST], "7", NOW - timedelta(hours=20))] == [
        "lost last",
        "new last",
    ]
    assert [one.id for one in needed([*NEW, *LOST], "7", NOW - timedelta(hours=3))] == ["new last"]
    assert [one.id for one in needed(LOST, "7", NOW)] == ["lost last"], "old, but there is no other"


def test_the_last_state_of_a_lost_spool_stays_as_long_as_a_base_that_needs_it() -> None:
    held = [Held("postgres1", one, one.time) for one in [*LOST, *NEW]]
    gone = {each.snapshot.id for each in superseded(held, Policy(), NOW)}
    assert gone == {"lost before", "new before"}

    def left(bases: float) -> set[str]:
        base = shot("base", bases, "base")
        all_of = [*held, Held("postgres1", base, base.time)]
        forgotten = {each.snapshot.id for each in forget(all_of, Policy(), NOW)}
        return {each.snapshot.id for each in all_of} - forgotten

    assert left(20) == {"lost last", "new last", "base"}
    assert left(1) == {"new last", "base"}
