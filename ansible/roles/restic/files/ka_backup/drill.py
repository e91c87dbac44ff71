"""The drill: the newest good set becomes a service beside the fleet, and is held against the fleet."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ka_backup import drill_asking, drill_compare, drill_serving, gather, scratch, sets, watch
from ka_backup.config import Config
from ka_backup.errors import BackupError, NoRepository
from ka_backup.restic import Repository, Snapshot
from ka_backup.run_restore_documents import put_back, recent, some_of, there, tolerated

BUCKET = "knowledge-assistant"
ANSWERS = 600.0  # seconds in which the index has to be built anew and all answers right


@dataclass(frozen=True)
class Settings:
    """``folder`` is emptied; ``fleet`` is the API through the balancer, whose authority is ``ca``."""

    folder: Path
    fleet: str
    ca: str
    profile: Path
    knowledge_base: str
    known: tuple[drill_asking.Known, ...]
    seconds: float = ANSWERS


@dataclass
class Result:
    """What came out; seconds are counted from the beginning, None is what was not reached.

    ``said`` is about snapshots that are damaged, which others made good.
    """

    began: str = ""
    passed: bool = False
    problems: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    set: str = ""
    rpo_seconds: float | None = None
    rto_database_seconds: float | None = None
    rto_answers_seconds: float | None = None
    documents_compared: int = 0
    documents_restored: int = 0
    objects_checked: int = 0
    objects_bytes: int = 0
    questions: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


class Drill:
    """One drill; :meth:`run` never raises what :mod:`ka_backup.errors` has, but tells it."""

    def __init__(self, config: Config, settings: Settings, kept: watch.Kept) -> None:
        self._config = config
        self._settings = settings
        self._kept = kept
        self._at = time.time()
        self._began = time.monotonic()
        self.result = Result(began=datetime.fromtimestamp(self._at, UTC).isoformat(timespec="seconds"))

    def run(self) -> Result:
        """Leaves nothing, however it ends."""
        folder = self._settings.folder
        clear(folder)
        try:
            self._try(folder)
        except (BackupError, OSError) as error:
            self.result.problems.append(str(error))
        finally:
            clear(folder)
        self.result.passed = not self.result.problems
        self.result.seconds = self._passed()
        return self.result

    def _try(self, folder: Path) -> None:
        found = self._choose()
        files = self._snapshots()
        room(folder, found.set.base.bytes, files)
        with ExitStack() as stack:
            socket = self._recover(stack, found, folder)
            self.result.rto_database_seconds = self._passed()
            marker = drill_compare.marker(socket)
            self.result.rpo_seconds = round(self._at - marker, 1)
            documents = self._compare(socket, marker)
            root = self._objects(folder / "objects", files, documents, marker)
            self._answers(stack, folder, socket, root)

    def _choose(self) -> sets.Found:
        seen = watch.look(self._config, self._kept)
        if seen.good is None:
            raise BackupError("There is no good set to restore. " + " ".join(seen.said))
        self.result.set = seen.good.set.id
        self.result.rows = dict(seen.good.set.rows)
        return seen.good

    def _snapshots(self) -> list[tuple[Repository, Snapshot]]:
        found: list[tuple[Repository, Snapshot]] = []
        for name in self._config.documents:
            repository = Repository(self._config, name, reader=True)
            try:
                found += [(repository, one) for one in recent(repository.snapshots())]
            except NoRepository:
                continue
        return found

    def _recover(self, stack: ExitStack, found: sets.Found, folder: Path) -> str:
        """The folder of the socket on which the recovered database listens."""
        gathered = gather.fetch(self._config, found, folder)
        server = stack.enter_context(scratch.recovered(gathered, folder / "socket"))
        return str(server.socket)

    def _compare(self, socket: str, marker: float) -> list[drill_compare.Document]:
        documents = drill_compare.restored(socket)
        self.result.documents_restored = len(documents)
        self.result.problems += drill_compare.contradictions(socket)
        wanted = drill_compare.due(drill_compare.live(self._settings.fleet, self._settings.ca), marker)
        self.result.documents_compared = len(wanted)
        self.result.problems += drill_compare.differences(wanted, documents)
        # what the fleet has removed since needs no file any more
        alive = {one.id for one in wanted}
        return [one for one in documents if one.id in alive]

    def _objects(
        self,
        target: Path,
        files: list[tuple[Repository, Snapshot]],
        documents: list[drill_compare.Document],
        marker: float,
    ) -> Path:
        """The folder of buckets, with the file of each document, as its name says."""
        said = self.result.said
        for repository, one in files:
            with tolerated(repository, one, said):
                repository.restore(one.id, target)
        places = files_of(target)
        # BUCKET/documents/ab/cd/KEY
        roots = [path.parents[4] for path in places.values() if path.parents[2].name == "documents"]
        root = roots[0] if roots else target
        (root / BUCKET).mkdir(parents=True, exist_ok=True)
        newest = max((one.time.timestamp() for _, one in files), default=0.0)
        if self._config.documents:
            # a file comes before its row, but may be saved after it
            keys = {one.sha256 for one in drill_compare.due(documents, min(marker, newest))}
            lacking = {key for key in keys if key not in places or not there(places[key], key, hashed=True)}
            if lacking:
                # older snapshots may hold what the newest does not
                left, more = put_back(self._config, root / BUCKET, lacking)
                said += [each for each in more if each not in said]
                if left:
                    self.result.problems.append(
                        f"{len(left)} documents are whole in no snapshot. By SHA-256: {some_of(left)}."
                    )
            self.result.objects_checked = len(keys)
            self.result.objects_bytes = sum(path.stat().st_size for path in files_of(target).values())
        return root

    def _answers(self, stack: ExitStack, folder: Path, socket: str, root: Path) -> None:
        settings = self._settings
        serving = stack.enter_context(
            drill_serving.Serving(folder, settings.profile, socket, root, BUCKET, settings.seconds)
        )
        problems = drill_asking.until_right(
            settings.knowledge_base,
            settings.known,
            lambda path, body: drill_serving.request(serving.port, "POST", path, body),
            settings.seconds,
        )
        self.result.questions = len(settings.known) - len(problems)
        self.result.problems += problems
        if not problems:
            self.result.rto_answers_seconds = self._passed()

    def _passed(self) -> float:
        return round(time.monotonic() - self._began, 1)


def files_of(folder: Path) -> dict[str, Path]:
    """Documents below it, by their keys."""
    return {path.name: path for path in folder.rglob("*") if path.is_file() and watch.is_key(path.name)}


def room(folder: Path, base: int, files: Iterable[tuple[Repository, Snapshot]]) -> None:
    """Raise BackupError unless the disk can take the base backup packed and unpacked, and all documents."""
    documents = sum(int(one.summary.get("total_bytes_processed", 0)) for _, one in files)
    wanted, free = 3 * base + documents, shutil.disk_usage(folder).free
    if free < wanted:
        raise BackupError(
            f"{folder} has too little room for the drill: {free / 2**30:.1f} GiB free, "
            f"{wanted / 2**30:.1f} needed. Give the monitoring host a larger disk."
        )


def clear(folder: Path) -> None:
    """Nothing is in it any more. Raises OSError."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
