"""Which sets could be restored now, as the repositories say and not who wrote them.

A set is good when its base backup is there, the WAL leads on from it without a gap, every document that it
names is there, and so is an escrow. What a snapshot holds never changes, so it is listed once and remembered.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ka_backup import gather, sets, wal
from ka_backup.config import ESCROW, Config
from ka_backup.errors import BackupError, Incomplete, NoRepository, WrongPassword
from ka_backup.restic import Repository, Snapshot
from ka_backup.run_restore_documents import ordered, tolerated

NEWEST = 3  # sets that are looked at
HISTORY = 1 << 20  # bytes of a timeline's history at most
NAMED = 3  # of what is missing, as examples
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass
class Kept:
    """What snapshots hold, by their ids: names of WAL files, keys of documents; histories by name.

    ``said``: a sentence for each that cannot be read, which holds nothing then.
    """

    path: Path | None = None
    names: dict[str, list[str]] = field(default_factory=dict)
    histories: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Kept:
        """What was remembered; nothing when that cannot be read."""
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, dict(found["names"]), dict(found["histories"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path)

    def save(self) -> None:
        """Only what was asked for since: snapshots go with retention. Raises OSError."""
        if self.path is None:
            return
        names = {snapshot: found for snapshot, found in self.names.items() if snapshot in self.used}
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"names": names, "histories": self.histories}), encoding="utf-8")
        new.replace(self.path)

    def of(self, repository: Repository, snapshot: Snapshot, wanted: Callable[[str], bool]) -> list[str]:
        """Names of a snapshot's files."""
        self.used.add(snapshot.id)
        if snapshot.id not in self.names:
            found: list[Path] = []
            with tolerated(repository, snapshot, self.said):
                entries = (Path(entry.path) for entry in repository.ls(snapshot.id))
                found = [path for path in entries if wanted(path.name)]
                self.names[snapshot.id] = [path.name for path in found]
            for path in found:
                if wal.history_of(path.name) and path.name not in self.histories:
                    with tolerated(repository, snapshot, self.said):
                        self.histories[path.name] = unpacked(sets.dumped(repository, snapshot.id, str(path)))
        return self.names.get(snapshot.id, [])


@dataclass(frozen=True)
class Seen:
    """What is in the repositories; moments are those of the newest snapshots."""

    snapshots: dict[str, list[Snapshot]]
    files: frozenset[str]
    histories: wal.Histories
    escrow: bool
    wal_at: datetime | None = None
    objects_at: datetime | None = None


@dataclass(frozen=True)
class Look:
    """The newest of all sets, the newest good one, and a sentence for each thing that is wrong."""

    newest: sets.Found | None
    good: sets.Found | None
    seen: Seen | None
    said: list[str]


def look(config: Config, kept: Kept) -> Look:
    """Raises BackupError when a repository cannot be asked: nothing is known then."""
    found, said = sets.every(config, NEWEST)
    if not found:
        return Look(None, None, None, [*said, "There is no set yet. Make one with backup.yml."])
    newest = max(found, key=lambda one: (one.set.made_at, one.set.id))
    ours = [one.set for one in found if one.set.system == newest.set.system]
    since = min(one.made_at - timedelta(seconds=one.seconds) for one in ours)
    seen = see(config, kept, newest.set.system, since)

    def good(one: sets.Found) -> str:
        try:
            keys = sets.keys(Repository(config, one.repository, reader=True), one)
        except Incomplete as error:
            return str(error)
        return judge(one.set, lacking(config, kept, keys, seen.snapshots), seen)

    try:
        best, of_newer = sets.newest_good(found, good)
    except BackupError as error:
        return Look(newest, None, seen, [*said, *kept.said, str(error)])
    return Look(newest, best, seen, [*said, *kept.said, *of_newer])


def judge(one: sets.Set, lost: Collection[str], seen: Seen) -> str:
    """What a set lacks, in a sentence; empty when it lacks nothing. ``lost`` are in no snapshot."""
    bases = seen.snapshots.get(one.base.repository, [])
    if not any(snapshot.id.startswith(one.base.snapshot) for snapshot in bases):
        return f"Its base backup, {one.base.snapshot[:8]} of {one.base.repository}, is not there."
    why = gap(one, seen.files, seen.histories)
    if why:
        return why
    if lost:
        return f"Its documents lack {_some(sorted(lost))}."
    if not seen.escrow:
        return "There is no escrow of the fleet's secrets. Run backup.yml with the passphrase."
    return ""


def gap(one: sets.Set, files: Iterable[str], found: wal.Histories) -> str:
    """Which of the log after a set is missing, in a sentence; empty when nothing is."""
    missing = wal.chain(files, found, one.timeline, one.start_lsn, one.stop_lsn).missing
    return f"The log after it lacks {_some(missing)}." if missing else ""


def see(config: Config, kept: Kept, system: str, since: datetime) -> Seen:
    """All that sets of a database since a moment need. Raises BackupError."""
    snapshots, files = logs(config, kept, system, since)
    for name in config.documents:
        repository = Repository(config, name, reader=True)
        snapshots[name] = _snapshots(repository)
        kept.said += repository.damaged
    return Seen(
        snapshots,
        frozenset(files),
        histories(kept.histories, files),
        has_escrow(config),
        _newest(snapshots, config.databases, ("wal", "wal-closed")),
        _newest(snapshots, config.documents, ("objects", "objects-new")),
    )


def logs(
    config: Config, kept: Kept, system: str, since: datetime
) -> tuple[dict[str, list[Snapshot]], set[str]]:
    """All snapshots of database servers, and the files of the log since a moment. Raises BackupError."""
    snapshots: dict[str, list[Snapshot]] = {}
    files: set[str] = set()
    for name in config.databases:
        repository = Repository(config, name, reader=True)
        snapshots[name] = _snapshots(repository)
        for one in gather.needed(snapshots[name], system, since):
            files.update(kept.of(repository, one, is_wal))
    return snapshots, files


def lacking(
    config: Config, kept: Kept, keys: Iterable[str], snapshots: Mapping[str, list[Snapshot]]
) -> set[str]:
    """Documents that no snapshot holds; older ones are listed only for what newer ones lack."""
    left = set(keys) if config.documents else set()
    for repository, one in ordered(
        (Repository(config, name, reader=True), one) for name in config.documents for one in snapshots[name]
    ):
        if not left:
            break
        left.difference_update(kept.of(repository, one, is_key))
    return left


def histories(texts: dict[str, str], names: Iterable[str]) -> wal.Histories:
    """Those that are there, by their timelines; one that makes no sense leads nowhere."""
    found: dict[int, list[tuple[int, int]]] = {}
    for name in names:
        timeline = wal.history_of(name)
        if timeline is None or name not in texts:
            continue
        try:
            found[timeline] = wal.parse_history(texts[name])
        except ValueError:
            continue
    return found


def has_escrow(config: Config) -> bool:
    """Whether somebody has ever put it there; what opens it only people know. Raises BackupError."""
    try:
        Repository(config, ESCROW, reader=True).run("cat", "config")
    except WrongPassword:
        return True
    except NoRepository:
        return False
    return True


def unpacked(content: bytes) -> str:
    """The text of a small packed file; empty when it is no such thing."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return file.read(HISTORY).decode("utf-8", errors="replace")
    except (OSError, EOFError):
        return ""


def _snapshots(repository: Repository) -> list[Snapshot]:
    try:
        return repository.snapshots()
    except NoRepository:  # a host that has never had anything to save
        return []


def _newest(
    snapshots: dict[str, list[Snapshot]], names: Sequence[str], tags: tuple[str, ...]
) -> datetime | None:
    fit = [one.time for name in names for one in snapshots[name] if set(tags) & set(one.tags)]
    return max(fit, default=None)


def is_wal(name: str) -> bool:
    """Whether a file is of the WAL, by its name."""
    return wal.parse(name) is not None or wal.history_of(name) is not None


def is_key(name: str) -> bool:
    """Whether a file is a document, by its name."""
    return _KEY.fullmatch(name) is not None


def _some(missing: list[str]) -> str:
    more = len(missing) - NAMED
    return ", ".join(missing[:NAMED]) + (f" and {more} more" if more > 0 else "")
