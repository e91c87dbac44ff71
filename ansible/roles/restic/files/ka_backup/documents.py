"""What backup-objects.service does: raw documents into the repository, the new ones within seconds.

A document is a file named after its SHA-256 and never changes. A name that its content does not bear out is
still being written, or damaged.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from ka_backup import metrics
from ka_backup.errors import Fewer, NoRepository
from ka_backup.loop import Teller
from ka_backup.restic import Snapshot

WHOLE = 6 * 3600.0  # seconds between snapshots of all
SETTLED = 60.0  # seconds after which a file that is older than a snapshot was whole in it
PATIENCE = 600.0  # seconds after which a file that is not what its name says is told of
MOST = 20_000  # new files in one snapshot; more come in the next pass
LEAST = 0.5  # of the files of the last snapshot of all, that the next one has to have
GRAIN = 3.0  # seconds in which a folder may change again without another time

_NAME = re.compile(r"[0-9a-f]{64}")


class Saver(Protocol):
    """What is needed of a Repository."""

    def init_if_missing(self) -> None:
        """See Repository."""

    def backup_folder(self, path: str | Path, tags: list[str]) -> str:
        """See Repository."""

    def backup_files(self, paths: Iterable[str | Path], tags: list[str]) -> str:
        """See Repository."""

    def snapshots(self, tags: list[str]) -> list[Snapshot]:
        """See Repository."""


class Scan:
    """Files below a folder; a folder that has not changed since is not read again."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._clock = clock
        self._seen: dict[str, tuple[int, list[str], list[str]]] = {}

    def files(self) -> Iterator[str]:
        """Paths of documents."""
        seen: dict[str, tuple[int, list[str], list[str]]] = {}
        todo = [str(self._root)]
        while todo:
            folder = todo.pop()
            try:
                found = self._read(folder)
            except FileNotFoundError:
                continue  # removed meanwhile
            if self._clock() - found[0] / 1e9 > GRAIN:
                seen[folder] = found
            todo += found[1]
            yield from found[2]
        self._seen = seen

    def _read(self, folder: str) -> tuple[int, list[str], list[str]]:
        changed = Path(folder).stat().st_mtime_ns
        before = self._seen.get(folder)
        if before and before[0] == changed:
            return before
        folders, files = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    files.append(entry.path)
        return changed, folders, files


def whole(path: str) -> bool:
    """Whether a document is what its name says; raises OSError."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == Path(path).name


class DocumentsLoop:
    """One pass every few seconds. What is saved is remembered in memory; all is saved anew at each start."""

    def __init__(
        self, root: Path, repository: Saver, teller: Teller, clock: Callable[[], float] = time.time
    ) -> None:
        self._root = root
        self._repository = repository
        self._teller = teller
        self._clock = clock
        self._scan = Scan(root, clock)
        self._known: set[str] = set()
        self._all_at: float | None = None
        self.saved_at = 0.0
        self.damaged = 0
        self.failed = False

    def once(self, everything: bool = False, fewer: bool = False) -> None:
        """Raises BackupError or OSError; Fewer, unless that is meant so: new files are saved all the same."""
        self.failed = True
        began, refused = self._clock(), ""
        if everything or self._all_at is None or not abs(began - self._all_at) < WHOLE:
            refused = "" if fewer else self._lost()
            if not refused:
                self._save_all(began)
        there = set(self._scan.files())
        self._known &= there
        new, behind = self._new(sorted(there - self._known), began)
        if new:
            self._put(lambda: self._repository.backup_files(new, ["objects-new"]))
            self._known.update(new)
        if not behind:
            self.saved_at = began
        if refused:
            raise Fewer(refused)
        self.failed = False

    def _lost(self) -> str:
        """Why no snapshot of all is made: a disk that was lost would pass for all that there is."""
        try:
            last = self._repository.snapshots(["objects"])[-1:]
        except NoRepository:
            return ""
        before = max((int(one.summary.get("total_files_processed", 0)) for one in last), default=0)
        now = sum(len(files) for _, _, files in os.walk(self._root))
        if now >= LEAST * before:
            return ""
        return (
            f"{self._root} holds {now} files, the last snapshot of all {before}: no new one is made. Was "
            "the disk lost, bring them back: restore.yml -e restore_only=documents. Were they "
            "removed on purpose: backup.yml -e documents_fewer=yes."
        )

    def _save_all(self, began: float) -> None:
        before = [path for path in self._scan.files() if _written(path) < began - SETTLED]
        self._put(lambda: self._repository.backup_folder(self._root, ["objects"]))
        self._known, self._all_at = set(before), began

    def _new(self, paths: list[str], now: float) -> tuple[list[str], bool]:
        """Those that are whole, and whether there are more than fit in one snapshot."""
        new, damaged = [], []
        for path in paths:
            try:
                if whole(path):
                    new.append(path)
                elif _written(path) < now - PATIENCE:
                    damaged.append(path)
            except FileNotFoundError:
                continue
            if len(new) == MOST:
                return new, True
        self.damaged = len(damaged)
        if damaged:
            self._teller.trouble(
                "documents",
                f"{damaged[0]} is not what its name says ({len(damaged)} such): the disk, or somebody, has "
                "changed it. Bring it back with restore.yml -e restore_only=documents.",
            )
        else:
            self._teller.well("documents")
        return new, False

    def _put(self, save: Callable[[], object]) -> None:
        try:
            save()
        except NoRepository:
            self._repository.init_if_missing()
            save()

    def figures(self) -> Mapping[str, tuple[str, metrics.Samples]]:
        """What is not known yet is not there."""
        what = {"what": "objects"}
        found: dict[str, tuple[str, metrics.Samples]] = {
            "ka_backup_failed": ("Whether the last pass failed.", [(what, int(self.failed))]),
            "ka_backup_damaged": ("Documents that are not what their names say.", [(what, self.damaged)]),
        }
        if self.saved_at:
            about = "Everything until then is in the repository."
            found["ka_backup_saved_timestamp_seconds"] = (about, [(what, self.saved_at)])
        return found


def _written(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except FileNotFoundError:
        return float("inf")
