"""Which WAL is missing, and a spool that loses nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ka_backup import wal

NOW = datetime(2026, 11, 23, 21, tzinfo=UTC)
indexes = st.integers(0, 2**40 // wal.SEGMENT)


def at(index: int, offset: int = 0) -> str:
    return wal.shown(index * wal.SEGMENT + offset)


@given(st.integers(1, 2**32 - 1), st.integers(0, 2**64 // wal.SEGMENT - 1))
def test_a_segment_is_found_again_by_its_name(timeline: int, index: int) -> None:
    name = wal.segment(timeline, index)
    assert wal.parse(name) == wal.parse(f"{name}.gz") == (timeline, index)


@given(st.integers(0, 2**64 - 1))
def test_a_position_is_the_same_as_text_and_as_number(position: int) -> None:
    assert wal.number(wal.shown(position)) == position


def test_segments_are_named_as_postgresql_names_them() -> None:
    assert wal.segment(1, wal.number("0/3000148") // wal.SEGMENT) == "000000010000000000000003"
    assert wal.segment(0x1A, wal.number("1/0") // wal.SEGMENT) == "0000001A0000000100000000"


@pytest.mark.parametrize(
    "name",
    [
        "00000002.history",
        "000000010000000000000003.partial",
        "000000010000000000000003.00000028.backup",
        "000000010000000000000100",
        "000000000000000000000003",
        "00000001000000000000000g",
        "",
    ],
)
def test_what_is_no_whole_segment_is_not_taken_for_one(name: str) -> None:
    assert wal.parse(name) is None
    assert wal.parse(f"{name}.gz") is None


def test_a_history_says_where_timelines_were_left() -> None:
    text = "1\t0/5000148\tno recovery target specified\n\n# a remark\n2\t0/9000000\tbefore 2026-11-23\n"
    assert wal.parse_history(text) == [(1, 0x5000148), (2, 0x9000000)]
    assert wal.history_of("00000003.history.gz") == 3
    assert wal.history_of("000000010000000000000003") is None


@given(indexes, st.integers(1, 60), st.data())
def test_exactly_what_was_taken_away_is_missing(first: int, count: int, data: st.DataObject) -> None:
    """Also with other timelines' files beside, up to the newest that is there."""
    taken = data.draw(st.sets(st.integers(0, count - 1)))
    names = [wal.segment(1, first + index) for index in range(count) if index not in taken]
    noise = [wal.segment(7, first + index) for index in range(count)]
    found = wal.chain([*noise, *names, "00000001.history"], {}, 1, at(first, 40))
    newest = max((index for index in range(count) if index not in taken), default=-1)
    assert found.missing == [wal.segment(1, first + index) for index in sorted(taken) if index < newest]
    gap = min(taken, default=count)
    assert found.end == max(first * wal.SEGMENT + 40, (first + gap) * wal.SEGMENT if gap else 0)
    assert found.timeline == 1


@given(
    indexes, st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, wal.SEGMENT - 1), st.data()
)
def test_timelines_are_followed_and_a_gap_in_any_is_named(
    first: int, lengths: list[int], offset: int, data: st.DataObject
) -> None:
    """Each timeline is left in the middle of a segment, which the next begins with again."""
    needed: list[str] = []
    before: list[tuple[int, int]] = []
    histories, begin = {}, first
    for timeline, length in enumerate(lengths, start=1):
        left = begin + length
        needed += [wal.segment(timeline, index) for index in range(begin, left)]
        histories[timeline] = list(before)
        before.append((timeline, left * wal.SEGMENT + offset))
        begin = left
    last = len(lengths)
    histories.pop(1)
    found = wal.chain(needed, histories, 1, at(first))
    assert (found.missing, found.timeline, found.last) == ([], last, needed[-1])
    gone = data.draw(st.sampled_from(needed))
    # what an old server has still written on a timeline that was left does not help
    stray = [wal.segment(line, left // wal.SEGMENT + 1) for line, left in before[:-1]]
    rest = [name for name in needed if name != gone]
    found = wal.chain([*rest, *stray], histories, 1, at(first))
    if gone != needed[-1]:
        assert found.missing == [gone]
    elif lengths[-1] > 1:
        assert found.missing == []
    else:  # nobody knows the newest timeline's first segment, so the one before is the newest
        assert found.timeline < last or last == 1


def test_a_timeline_that_left_before_the_base_backup_ended_is_not_followed() -> None:
    names = [wal.segment(1, 3), wal.segment(1, 4), wal.segment(2, 3)]
    histories = {2: [(1, 3 * wal.SEGMENT + 5)]}
    assert wal.chain(names, histories, 1, at(3), at(4)).timeline == 1
    assert wal.chain(names, histories, 1, at(3, 1), at(3, 2)).timeline == 2


def test_what_the_base_backup_holds_itself_is_not_missing() -> None:
    found = wal.chain([wal.segment(1, 6)], {}, 1, at(3), at(5, 10))
    assert found.missing == []
    assert found.last == wal.segment(1, 6)
    assert wal.chain([wal.segment(1, 7)], {}, 1, at(3), at(5, 10)).missing == [wal.segment(1, 6)]


class Spool:
    """A spool, the repository that it is saved to, and all that was ever handed over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / wal.CURRENT).mkdir()
        self.kept: dict[str, bytes] = {}
        self.closed: dict[str, bytes] = {}
        self.newest: dict[str, bytes] = {}

    def keep(self) -> None:
        name = f"{wal.segment(1, len(self.kept))}.gz"
        self.kept[name] = os.urandom(8)
        (self.folder / wal.CURRENT / name).write_bytes(self.kept[name])

    def read(self, folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.rglob("*.gz")}

    def recovered(self) -> dict[str, bytes]:
        return self.newest | self.closed


@given(st.lists(st.sampled_from(["keep", "close", "save", "put", "put and die", "remove"]), max_size=40))
def test_closing_and_removing_in_any_order_loses_nothing_that_was_saved(steps: list[str]) -> None:
    """Ended at any point: what is in the spool or in the repository is always everything."""
    place = Path(tempfile.mkdtemp())
    try:
        spool = Spool(place)
        for number, step in enumerate(steps):
            if step == "keep":
                spool.keep()
            elif step == "close":
                wal.close(place, NOW.replace(microsecond=number))
            elif step == "save":
                spool.newest = spool.read(place)
            else:
                for folder in wal.closed(place):
                    spool.closed |= spool.read(folder)
                    if step != "put and die":
                        wal.remove(folder)
            assert spool.recovered() | spool.read(place) == spool.kept
        for folder in wal.closed(place):
            spool.closed |= spool.read(folder)
            wal.remove(folder)
        spool.newest = spool.read(place)
        assert spool.recovered() == spool.kept
    finally:
        shutil.rmtree(place)


def test_an_empty_folder_is_not_closed(tmp_path: Path) -> None:
    (tmp_path / wal.CURRENT).mkdir()
    assert wal.close(tmp_path, NOW) is None


def test_only_a_closed_folder_is_ever_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.keep()
    with pytest.raises(ValueError, match="stays"):
        wal.remove(tmp_path / wal.CURRENT)
    assert spool.read(tmp_path) == spool.kept


def test_a_standby_keeps_the_newest_and_all_histories(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for _ in range(4):
        spool.keep()
    history = tmp_path / wal.CURRENT / "00000002.history.gz"
    history.write_bytes(b"x")
    for age, path in enumerate(sorted((tmp_path / wal.CURRENT).iterdir(), reverse=True)):
        os.utime(path, (10_000 - age * 1000,) * 2)
    assert wal.thin(tmp_path, 10_000, 2500, 10**9) == 2
    assert {path.name for path in (tmp_path / wal.CURRENT).iterdir()} == {
        history.name,
        f"{wal.segment(1, 2)}.gz",
        f"{wal.segment(1, 3)}.gz",
    }
    assert wal.thin(tmp_path, 10_000, 10**9, 10) == 1
    assert history.exists()
    assert (tmp_path / wal.CURRENT / f"{wal.segment(1, 3)}.gz").exists()


def test_a_folder_is_due_by_age_or_by_size(tmp_path: Path) -> None:
    assert not wal.due(tmp_path, 0, 3600, 100)
    spool = Spool(tmp_path)
    spool.keep()
    (path,) = (tmp_path / wal.CURRENT).iterdir()
    os.utime(path, (1000, 1000))
    assert not wal.due(tmp_path, 1000 + 3599, 3600, 9)
    assert wal.due(tmp_path, 1000 + 3600, 3600, 9)
    assert wal.due(tmp_path, 1000, 3600, 8)
