"""What a set needs: which snapshots hold its WAL, which files of them count, where recovery ends."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ka_backup import gather, scratch, sets, wal
from ka_backup.config import Config
from ka_backup.errors import BackupError, Incomplete, NoSet, RepositoryAway
from ka_backup.gather import Gathered
from ka_backup.restic import Repository, Snapshot
from ka_backup.scratch import Target

from tests.integration.test_backup_sets import MADE, ONE

SYSTEM = int(ONE.system)


def snapshot(tag: str, hours: float, closed: float | None = None, system: str = "") -> Snapshot:
    at = MADE + timedelta(hours=hours)
    stamp = (MADE + timedelta(hours=closed)).strftime(wal.STAMP) if closed is not None else "current"
    tags = (tag, f"system-{system}") if system else (tag,)
    return Snapshot(f"{tag}-{hours}", at, tags, (f"/data/postgres/spool/closed-{stamp}",))


def names(found: list[Snapshot]) -> list[str]:
    return [one.id for one in found]


def segment(
    folder: Path, index: int, system: int = SYSTEM, name: str = "", address: int | None = None
) -> Path:
    place = index * wal.SEGMENT if address is None else address
    path = folder / (name or f"{wal.segment(3, index)}.gz")
    path.write_bytes(gzip.compress(struct.pack("<HHIQI4xQ", 0xD116, 2, 3, place, 0, system) + bytes(100)))
    return path


def test_all_that_was_closed_since_the_set_and_the_newest_of_the_rest_is_needed() -> None:
    there = [
        snapshot("wal-closed", -30, -30),
        snapshot("wal-closed", 1, 1),
        snapshot("wal", 1.5),
        snapshot("wal-closed", 2, 2),
        snapshot("wal", 2.5),
        snapshot("base", 3),
    ]
    assert names(gather.needed(there, ONE.system, MADE)) == ["wal-closed-1", "wal-closed-2", "wal-2.5"]


def test_what_waited_long_for_the_repository_counts_by_when_it_was_closed() -> None:
    late = snapshot("wal-closed", 20, 0.5)
    after = snapshot("wal-closed", 21, 12)
    assert gather.needed([late, after], ONE.system, MADE, until=MADE + timedelta(hours=1)) == [late]


def test_the_log_of_another_database_is_left_out() -> None:
    there = [snapshot("wal-closed", 1, 1, system="5"), snapshot("wal", 2, system=ONE.system)]
    assert names(gather.needed(there, ONE.system, MADE)) == ["wal-2"]


def test_a_segment_counts_when_it_is_what_its_name_says(tmp_path: Path) -> None:
    assert gather.wanted(segment(tmp_path, 9), SYSTEM, 9)
    assert not gather.wanted(segment(tmp_path, 8), SYSTEM, 9)
    assert not gather.wanted(segment(tmp_path, 10, system=5), SYSTEM, 9)
    assert not gather.wanted(segment(tmp_path, 11, address=0), SYSTEM, 9)


def test_nothing_but_wal_is_taken_from_a_repository(tmp_path: Path) -> None:
    other = segment(tmp_path, 9, name="passwd.gz")
    link = tmp_path / f"{wal.segment(3, 12)}.gz"
    link.symlink_to(segment(tmp_path, 12, name="elsewhere"))
    broken = tmp_path / f"{wal.segment(3, 13)}.gz"
    broken.write_bytes(gzip.compress(bytes(100))[:20])
    folder = tmp_path / f"{wal.segment(3, 14)}.gz"
    folder.mkdir()
    assert not any(gather.wanted(path, SYSTEM, 0) for path in (other, link, broken, folder))
    history = tmp_path / "00000003.history.gz"
    history.write_bytes(gzip.compress(b"1\t0/5000000\tno reason\n"))
    assert gather.wanted(history, SYSTEM, 0)


@given(st.binary(max_size=300))
def test_no_content_of_a_segment_does_harm(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("segments")
    path = folder / f"{wal.segment(3, 3)}.gz"
    path.write_bytes(content)
    assert not gather.wanted(path, SYSTEM, 0)


def test_files_lead_on_to_the_newest_timeline_that_left_this_one_later(tmp_path: Path) -> None:
    for index in (3, 4):
        segment(tmp_path, index)
    (tmp_path / "00000004.history.gz").write_bytes(gzip.compress(b"3\t0/4000100\tno reason\n"))
    segment(tmp_path, 4, name=f"{wal.segment(4, 4)}.gz")
    chain = gather.leads(ONE, tmp_path)
    assert (chain.timeline, chain.missing, chain.last) == (4, [], wal.segment(4, 4))


def gathered(folder: Path, missing: list[str] | None = None) -> Gathered:
    chain = wal.Chain(7, missing or [], wal.segment(7, 4), 5 * wal.SEGMENT)
    return Gathered(sets.Found(ONE, "postgres1", "c" * 64), folder, folder / "data", folder / "wal", chain)


@pytest.mark.parametrize("target", ["end", "2026-11-29T22:00:00Z", "name:before the drop", "lsn:0/4000100"])
def test_just_one_target_is_set_and_after_those_that_are_not(tmp_path: Path, target: str) -> None:
    wanted = Target.of(target)
    found = scratch.settings(gathered(tmp_path), tmp_path / "socket", wanted, adopt=False, pause=False)
    targets = {
        name.removeprefix("recovery_target_"): value for name, value in found.items() if "target_" in name
    }
    kinds = [kind for kind in targets if kind in ("time", "name", "lsn", "xid")]
    assert {kind: targets[kind] for kind in kinds if targets[kind]} == (
        {wanted.kind: wanted.value} if wanted.kind != "end" else {}
    )
    assert wanted.kind == "end" or kinds[-1] == wanted.kind
    assert targets["timeline"] == "7"


def test_without_another_timeline_no_history_is_needed(tmp_path: Path) -> None:
    one = gathered(tmp_path)
    own = replace(one, chain=replace(one.chain, timeline=ONE.timeline))
    found = scratch.settings(own, tmp_path / "socket", Target(), adopt=False, pause=False)
    assert found["recovery_target_timeline"] == "current"


def test_a_scratch_server_reaches_nobody_and_archives_nothing(tmp_path: Path) -> None:
    found = scratch.settings(gathered(tmp_path), tmp_path / "socket", Target(), adopt=False, pause=False)
    assert (found["listen_addresses"], found["archive_mode"], found["ssl"]) == ("", "off", "off")
    assert (found["primary_conninfo"], found["synchronous_standby_names"]) == ("", "")


def test_a_server_that_stays_is_safe_on_the_disk_and_keeps_its_timeline_for_the_archive(
    tmp_path: Path,
) -> None:
    found = scratch.settings(gathered(tmp_path), tmp_path / "socket", Target(), adopt=True, pause=False)
    assert (found["fsync"], found["archive_mode"], found["archive_command"]) == ("on", "on", "/bin/false")


@pytest.mark.parametrize("text", ["tomorrow", "2026-11-29T22:00:00", "name:it's", "lsn:zero", "name:"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(BackupError):
        Target.of(text)


def test_a_server_that_can_be_asked_while_it_recovers_has_at_least_what_the_primary_had() -> None:
    said = "max_connections setting:              137\nmax_worker_processes setting:         4\n"
    found = scratch.at_least(said)
    assert (found["max_connections"], found["max_worker_processes"]) == ("137", "8")


def test_a_set_that_is_younger_than_the_target_is_refused_before_anything_starts(tmp_path: Path) -> None:
    target = Target.at(MADE - timedelta(seconds=1))
    with pytest.raises(NoSet, match="older set"), scratch.recovered(gathered(tmp_path), tmp_path, target):
        pass


def test_a_gap_in_the_log_is_no_silent_end(tmp_path: Path) -> None:
    lacking = gathered(tmp_path, [wal.segment(3, 9)])
    with pytest.raises(Incomplete, match=wal.segment(3, 9)), scratch.recovered(lacking, tmp_path):
        pass


LOG = """
2026-11-29 21:10:00.000 UTC [9] FATAL:  the database system is not accepting connections
2026-11-29 21:10:00.100 UTC [7] LOG:  last completed transaction was at log time 2026-11-29 21:05:00.25+00
2026-11-29 21:10:00.200 UTC [7] FATAL:  {}
2026-11-29 21:10:00.300 UTC [1] LOG:  shutting down
"""


@pytest.mark.parametrize(
    ("reason", "kind", "told"),
    [
        ("recovery ended before configured recovery target was reached", Incomplete, "2026-11-29 21:05:00"),
        ("requested recovery stop point is before consistent recovery point", NoSet, "older set"),
        ("requested timeline 4 is not a child of this server's history", Incomplete, "another set"),
        ('could not restore file "0" from archive', BackupError, "could not restore"),
    ],
)
def test_the_log_tells_why_a_recovery_ended(reason: str, kind: type[BackupError], told: str) -> None:
    found = scratch.why(LOG.format(reason), Target.at(MADE))
    assert type(found) is kind
    assert told in str(found)
    assert scratch.reached(LOG) == datetime(2026, 11, 29, 21, 5, 0, 250_000, tzinfo=UTC)


@given(st.text())
def test_any_log_makes_a_sentence(said: str) -> None:
    assert str(scratch.why(said, Target()))


def base_of(monkeypatch: pytest.MonkeyPatch, place: Path, content: bytes, failed: BackupError | None) -> None:
    """Unpack what a repository gives, that may fail after it."""

    def dump(self: object, snapshot: str, path: str, to: IO[bytes]) -> None:
        with suppress(BrokenPipeError):
            to.write(content)
            to.flush()
        if failed:
            raise failed

    monkeypatch.setattr(Repository, "dump", dump)
    config = Config("monitoring1", "monitoring", "rest:https://backup1:8000", databases=["postgres1"])
    gather.base(config, ONE, place)


def tar(*names: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return packed.getvalue()


def test_a_base_backup_is_unpacked_for_its_owner_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base_of(monkeypatch, tmp_path / "data", tar("PG_VERSION", "backup_label"), None)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_base_backup_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Incomplete, match="no data folder"):
        base_of(monkeypatch, tmp_path / "data", tar("PG_VERSION"), None)


def test_a_repository_that_goes_in_the_middle_is_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(RepositoryAway, match="gone"):
        base_of(
            monkeypatch, tmp_path / "data", tar("PG_VERSION", "backup_label")[:700], RepositoryAway("gone")
        )


def test_a_tar_that_cannot_be_unpacked_is_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packed = tar("PG_VERSION", "PG_VERSION/below")
    with pytest.raises(Incomplete, match="cannot be unpacked: tar: PG_VERSION"):
        base_of(monkeypatch, tmp_path / "data", packed, RepositoryAway("broken pipe"))


def test_a_base_backup_of_a_host_that_is_no_database_server_is_refused(tmp_path: Path) -> None:
    config = Config("monitoring1", "monitoring", "rest:https://backup1:8000", databases=["postgres1"])
    with pytest.raises(Incomplete, match="objects1"):
        gather.base(config, replace(ONE, base=replace(ONE.base, repository="objects1")), tmp_path / "data")
