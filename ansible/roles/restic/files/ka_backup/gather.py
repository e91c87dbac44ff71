"""What a set needs, brought together in one folder: its base backup unpacked, and the WAL of all servers."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ka_backup import sets, wal
from ka_backup.config import Config
from ka_backup.errors import BackupError, Incomplete, NoRepository, Unusable
from ka_backup.restic import Repository, Snapshot

TAR = "/base.tar"
OPEN, CLOSED = "wal", "wal-closed"
# A path that can stand in restore_command, which both PostgreSQL and a shell read.
PLAIN = re.compile(r"/[A-Za-z0-9._/-]+")
SPARE = 1.1  # of the room that files take by themselves
_EXTRA = re.compile(r"[0-9A-F]{24}\.(partial|[0-9A-F]{8}\.backup)\.gz")
# The first page of each segment, XLogLongPageHeaderData (src/include/access/xlog_internal.h), little endian:
# magic, info, timeline, address, remaining, padding; system identifier.
_HEAD = struct.Struct("<HHIQI4xQ")
_CUT = re.compile("Unexpected EOF|not look like a tar")  # what tar says when restic ends early


@dataclass(frozen=True)
class Gathered:
    """``data`` is the data folder as it was saved, ``logs`` holds the WAL as NAME.gz, ``folder`` all else.

    ``chain`` is how far the WAL leads on from the base; ``said`` are sentences about what could not be read.
    """

    found: sets.Found
    folder: Path
    data: Path
    logs: Path
    chain: wal.Chain
    said: list[str] = field(default_factory=list)


def fetch(
    config: Config,
    found: sets.Found,
    folder: Path,
    until: datetime | None = None,
    data: Path | None = None,
) -> Gathered:
    """All of a set, into a folder that is there.

    Args:
        config: of a host that may read all repositories.
        found: the set.
        folder: on the disk for ``data``, which is ``folder``/data unless it is named.
        until: WAL that was closed long after it is left out. Not for a server that is to stay: it has to know
            all timelines, or it would take one that another has had.
        data: where the base goes; must not exist.

    Raises:
        BackupError: mostly one of its kinds.
        OSError: the disk is full, for one.
    """
    place, log = data or folder / "data", folder / "wal"
    if os.geteuid() == 0:
        raise Unusable("PostgreSQL does not run as root; run this as postgres.")
    if not PLAIN.fullmatch(str(folder)) or place.exists() or log.exists():
        raise Unusable(
            f"{folder} has to be an empty folder with a plain name; empty it, or take another one."
        )
    chosen = snapshots(config, found.set, until)
    _room(folder, found.set.base.bytes + sum(_bytes(one) for _, one in chosen))
    base(config, found.set, place)
    log.mkdir(mode=0o700)
    said = [sentence for one in chosen if (sentence := _take(*one, folder, log, found.set))]
    return Gathered(found, folder, place, log, leads(found.set, log), said)


def base(config: Config, one: sets.Set, place: Path) -> None:
    """Unpack a base backup, whole or with an error. Raises BackupError, OSError."""
    if one.base.repository not in config.databases:
        raise Incomplete(
            f"The set {one.id} names “{one.base.repository}”, which is no database server. Take another set."
        )
    repository = Repository(config, one.base.repository, reader=True)
    place.mkdir(mode=0o700)
    unpack = ["tar", "--extract", "--no-same-owner", f"--directory={place}", "--file=-"]
    failed: BackupError | None = None
    with tempfile.TemporaryFile() as words:
        with subprocess.Popen(unpack, stdin=subprocess.PIPE, stderr=words, umask=0o077) as tar:
            assert tar.stdin is not None  # noqa: S101 -- for the type checker
            try:
                repository.dump(one.base.snapshot, TAR, tar.stdin)
            except BackupError as error:
                failed = error
            tar.stdin.close()
        words.seek(0)
        said = words.read().decode(errors="replace").strip().splitlines()
    # the one that fails first makes the other one fail
    if tar.returncode != 0 and not (failed and (not said or _CUT.search(said[0]))):
        why = said[0] if said else f"tar ended with {tar.returncode}"
        raise Incomplete(
            f"The base backup of {one.id} cannot be unpacked: {why}. See whether {place} has room; "
            "if so, take another set."
        )
    if failed:
        raise failed
    if not (place / "PG_VERSION").is_file() or not (place / "backup_label").is_file():
        raise Incomplete(f"The base backup of {one.id} is no data folder of PostgreSQL. Take another set.")


def snapshots(config: Config, one: sets.Set, until: datetime | None) -> list[tuple[Repository, Snapshot]]:
    """Those with the WAL that a set needs, of all database servers. Raises BackupError."""
    found: list[tuple[Repository, Snapshot]] = []
    for name in config.databases:
        repository = Repository(config, name, reader=True)
        try:
            there = repository.snapshots()
        except NoRepository:
            continue
        since = one.made_at - timedelta(seconds=one.seconds)
        found += [(repository, each) for each in needed(there, one.system, since, until)]
    return found


def needed(
    there: Iterable[Snapshot], system: str, since: datetime, until: datetime | None = None
) -> list[Snapshot]:
    """Of one server's: what was closed from ``since`` on, and of each spool the newest that is still open."""
    ours = [one for one in there if _of(one, system)]
    closed = [
        one
        for one in ours
        if CLOSED in one.tags
        and closing(one) >= since - sets.NEAR
        and (until is None or closing(one) <= until + sets.NEAR)
    ]
    still = sorted((one for one in ours if OPEN in one.tags), key=lambda one: one.time)
    fresh = [one for one in still if one.time >= since - sets.NEAR] or still[-1:]
    newest = {wal.spool_of(one.tags): one for one in fresh}
    return sorted(closed, key=lambda one: one.time) + list(newest.values())


def closing(one: Snapshot) -> datetime:
    """When a folder was closed, by its name; it may have waited long until it was saved."""
    for path in one.paths:
        stamp = Path(path).name.removeprefix(wal.CLOSED)
        try:
            return datetime.strptime(stamp, wal.STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue
    return one.time


def leads(one: sets.Set, log: Path) -> wal.Chain:
    """How far the files in a folder lead on from a set."""
    names = [path.name.removesuffix(".gz") for path in log.iterdir()]
    histories: dict[int, list[tuple[int, int]]] = {}
    for name in names:
        timeline = wal.history_of(name)
        if timeline:
            try:
                text = gzip.decompress((log / f"{name}.gz").read_bytes()).decode("ascii", errors="replace")
                histories[timeline] = wal.parse_history(text)
            except (OSError, EOFError, ValueError):
                continue
    return wal.chain(names, histories, one.timeline, one.start_lsn, one.stop_lsn)


def _take(repository: Repository, snapshot: Snapshot, folder: Path, log: Path, one: sets.Set) -> str:
    """WAL of a snapshot into the folder; a sentence when it could not be read, which others may make good."""
    half = folder / "half"
    shutil.rmtree(half, ignore_errors=True)
    said = ""
    try:
        repository.restore(snapshot.id, half)
    except BackupError as error:
        repository.blame(error)
        said = f"{repository.name}, {snapshot.id[:8]}: {error}"
    first = wal.number(one.start_lsn) // wal.SEGMENT
    for path in sorted(half.rglob("*.gz")):
        if wanted(path, int(one.system), first) and not (log / path.name).exists():
            path.replace(log / path.name)
            (log / path.name).chmod(0o600)
    shutil.rmtree(half, ignore_errors=True)
    return said


def wanted(path: Path, system: int, first: int) -> bool:
    """Whether a file is WAL of this database, from a segment on, or a history of its timelines."""
    if path.is_symlink() or not path.is_file():
        return False
    if wal.history_of(path.name) or _EXTRA.fullmatch(path.name):
        return True
    found = wal.parse(path.name)
    return bool(found and found[1] >= first and of_system(path, system, found[1]))


def of_system(path: Path, system: int, index: int) -> bool:
    """Whether a packed segment says that it is of this database, and the one that its name says."""
    try:
        with gzip.open(path) as file:
            head = file.read(_HEAD.size)
    except (OSError, EOFError):
        return False
    if len(head) < _HEAD.size:
        return False
    _, _, _, address, _, identifier = _HEAD.unpack(head)
    return bool(identifier == system and address == index * wal.SEGMENT)


def _of(one: Snapshot, system: str) -> bool:
    told = [tag for tag in one.tags if tag.startswith("system-")]
    return not told or f"system-{system}" in told


def _bytes(one: Snapshot) -> int:
    found = one.summary.get("total_bytes_processed")
    return found if isinstance(found, int) and found > 0 else 0


def _room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size * SPARE:
        raise BackupError(
            f"{folder} has {free / 2**30:.1f} GiB free and needs {size * SPARE / 2**30:.1f}. "
            "Make room there, or give the host a larger disk."
        )
