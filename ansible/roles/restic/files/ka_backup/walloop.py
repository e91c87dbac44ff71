"""What backup-wal.service does: WAL from the spool into the repository, a mark of the time into the database.

Every server keeps its WAL in its spool; the primary's is saved. A standby has the newest hour at hand, so
that nothing is missing between two timelines when it takes over. What was kept as primary is never thinned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ka_backup import metrics, postgres, wal
from ka_backup.errors import BackupError, NoRepository
from ka_backup.loop import Teller

HOUR = 3600.0
MARK = 30.0  # seconds between marks: what is newer than that may be in a segment that has not ended
ARCHIVED = 10.0  # seconds for PostgreSQL to hand over a segment that was ended
AGAIN = 600.0  # seconds until a base backup that is wanted is asked for again
SLOWEST = 5e6  # bytes per second; slower than that is no way to a repository
LEFT_OUT = ("*.part", "*-now", wal.LOCK)
REQUEST = "wal-now"  # a pass now, asked for by this file; it goes when that has saved
LARGEST = 2**30  # bytes of a folder that is then closed


class Saver(Protocol):
    """What is needed of a Repository."""

    def init_if_missing(self) -> None:
        """See Repository."""

    def backup_folder(
        self, path: str | Path, tags: list[str], seconds: float = 0, exclude: list[str] | tuple[str, ...] = ()
    ) -> str:
        """See Repository."""


class WalLoop:
    """One pass every few seconds; what it has to remember lies in the spool, but for what is saved already.

    ``limit`` is the spool's in bytes; ``primary`` and ``mark`` ask the database (see postgres).
    """

    def __init__(
        self,
        spool: Path,
        repository: Saver,
        teller: Teller,
        limit: int,
        *,
        primary: Callable[[], bool] = postgres.is_primary,
        mark: Callable[[], tuple[str, float]] = postgres.mark,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._repository = repository
        self._teller = teller
        self._limit = limit
        self._primary = primary
        self._mark = mark
        self._clock = clock
        self._saved: frozenset[tuple[str, int]] | None = None
        self._marked = 0.0
        self._late = ""
        self._asked = 0.0
        self.saved_at = 0.0
        self.marked_at = 0.0
        self.failed = False

    def once(self) -> None:
        """Raises BackupError or OSError; everything that is not saved stays where it is."""
        self.failed, self._late = True, ""
        (self._spool / wal.CURRENT).mkdir(mode=0o700, exist_ok=True)
        role = self._ask()
        if role:
            (self._spool / wal.STANDBY).unlink(missing_ok=True)
            self._write_mark()
        elif role is False:
            self._stand_by()
        self._save(primary=role is not False and not (self._spool / wal.STANDBY).exists())
        self._want_base()
        self.failed = False

    def _ask(self) -> bool | None:
        """Whether this is the primary; None while nobody can say."""
        try:
            role: bool | None = self._primary()
            self._teller.well("database")
        except postgres.DatabaseAway as error:
            self._teller.trouble("database", f"{error} What lies in the spool is saved nevertheless.")
            role = None
        return role

    def _write_mark(self) -> None:
        """At most every MARK seconds; what was written until then lies in the spool afterwards."""
        now = self._clock()
        request = self._spool / REQUEST
        if abs(now - self._marked) < MARK and not request.exists():
            return
        try:
            name, self.marked_at = self._mark()
        except postgres.DatabaseAway as error:
            self._teller.trouble("mark", str(error))
            return
        self._teller.well("mark")
        self._marked = now
        until = time.monotonic() + ARCHIVED
        kept = self._spool / wal.CURRENT / f"{name}.gz"
        # a full spool takes nothing, and says so by another figure
        while not (kept.exists() or (self._spool / wal.WANTED).exists()):
            if time.monotonic() > until:
                self._late = f"PostgreSQL does not hand over {name}. See: journalctl -u patroni"
                return
            time.sleep(0.05)

    def _stand_by(self) -> None:
        standby = self._spool / wal.STANDBY
        if not standby.exists():
            # it may have been the primary: that is for the repository
            wal.close(self._spool, self._moment())
            standby.touch(mode=0o600)
        wal.thin(self._spool, self._clock(), HOUR, self._limit // 2)

    def _save(self, *, primary: bool) -> None:
        request = self._spool / REQUEST
        asked = request.exists()
        spool, now = self._spool, self._clock()
        if primary and wal.due(spool, now, HOUR, LARGEST):
            wal.close(spool, self._moment())
        for folder in wal.closed(spool):
            self._put(folder, "wal-closed")
            wal.remove(folder)
        if primary:
            state, began = wal.state(spool), self._clock()
            if state != self._saved or asked:
                self._put(spool, "wal")
                self._saved = state
            if self._late:
                raise BackupError(self._late)
            self.saved_at = began
        if asked:
            request.unlink(missing_ok=True)

    def _put(self, folder: Path, tag: str) -> None:
        seconds = 60 + wal.size(folder) / SLOWEST
        for again in (True, False):
            try:
                tags = [tag, wal.spool_tag(self._spool)]
                self._repository.backup_folder(folder, tags, seconds=seconds, exclude=list(LEFT_OUT))
                return
            except NoRepository:
                if not again:
                    raise
                self._repository.init_if_missing()

    def _want_base(self) -> None:
        """After a gap, once the repository takes something again: backup-base.path waits for this file."""
        now = self._clock()
        if (self._spool / wal.WANTED).exists() and not abs(now - self._asked) < AGAIN:
            self._asked = now
            (self._spool / wal.NOW).touch(mode=0o600)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def figures(self) -> Mapping[str, tuple[str, metrics.Samples]]:
        """What is not known yet is not there."""
        what = {"what": "wal"}
        found: dict[str, tuple[str, metrics.Samples]] = {
            "ka_backup_failed": ("Whether the last pass failed.", [(what, int(self.failed))]),
            "ka_backup_spool_bytes": ("WAL that waits on this host.", [({}, wal.size(self._spool))]),
            "ka_backup_spool_limit_bytes": ("What the spool may take.", [({}, self._limit)]),
            "ka_backup_dropped_total": (
                "Files that a full spool did not take.",
                [({}, wal.dropped(self._spool))],
            ),
        }
        if self.saved_at:
            about = "Everything until then is in the repository."
            found["ka_backup_saved_timestamp_seconds"] = (about, [(what, self.saved_at)])
        if self.marked_at:
            about = "The last mark in the database."
            found["ka_backup_marker_timestamp_seconds"] = (about, [({}, self.marked_at)])
        return found
