"""A base backup, and the set that it makes with the documents' keys, the release and the inventory."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired

from ka_backup import postgres, sets
from ka_backup.config import Config
from ka_backup.errors import BackupError
from ka_backup.restic import Repository

TAG, TAR = "base", "base.tar"
# What pg_basebackup says of where it begins and ends (PostgreSQL 17, --verbose, not translated).
_START = re.compile(r"write-ahead log start point: ([0-9A-F]+/[0-9A-F]+) on timeline ([0-9]+)")
_STOP = re.compile(r"write-ahead log end point: ([0-9A-F]+/[0-9A-F]+)")
# What it says goes to a file of ours; its status is the command's.
_SAYING = 'exec 2> "$0"; LC_ALL=C exec "$@"'
_SLOT = "SELECT pg_create_physical_replication_slot('backup_base', true, true);\n"


@dataclass(frozen=True)
class Positions:
    """Where the WAL of a base backup begins and ends."""

    timeline: int
    start: str
    stop: str


def positions(said: str) -> Positions:
    """From what pg_basebackup says; raises BackupError."""
    start, stop = _START.search(said), _STOP.search(said)
    if not start or not stop:
        raise BackupError(f"pg_basebackup did not say where it began and ended: {said.strip()[-200:]!r}.")
    return Positions(int(start[2]), start[1], stop[1])


def command(notes: Path, socket: str = postgres.SOCKET) -> list[str]:
    """The data folder as a tar, with the WAL that it needs; the user replicator is known by the socket."""
    dump = ["pg_basebackup", "-h", socket, "-U", "replicator", "-w", "-D", "-", "-Ft", "-X", "fetch"]
    return [
        "sh",
        "-c",
        _SAYING,
        str(notes),
        *dump,
        "--checkpoint=fast",
        "--verbose",
        "--label=knowledge-assistant",
    ]


@contextmanager
def held(socket: str = postgres.SOCKET) -> Iterator[None]:
    """The server keeps its WAL meanwhile, by a slot that goes with this session."""
    session = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", socket, "-d", "postgres"]
    with Popen(session, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True) as process:
        assert process.stdin is not None  # noqa: S101 -- for the type checker
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(_SLOT)
            process.stdin.flush()
            if not process.stdout.readline():
                raise postgres.DatabaseAway(
                    "The database gives no slot for a base backup; see whether another one runs, and: "
                    "journalctl -u patroni"
                )
            yield
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except TimeoutExpired:
                process.kill()


def save(config: Config, folder: Path) -> sets.Set:
    """A base backup of the database on this host, and its set, in this host's repository.

    ``folder`` is for what pg_basebackup says. Raises BackupError; a set needs a whole base backup.
    """
    repository = Repository(config, config.host)
    repository.init_if_missing()
    notes, began = folder / "pg_basebackup.txt", time.monotonic()
    try:
        with held():
            snapshot = repository.backup_output(command(notes), TAR, [TAG])
    except BackupError as error:
        said = notes.read_text(encoding="utf-8", errors="replace").strip() if notes.exists() else ""
        # what it says at the end is the reason, unless the repository is it
        reason = said.splitlines()[-1] if "error:" in said else ""
        raise type(error)(f"{error} {reason}".strip()) from error
    seconds = time.monotonic() - began
    where = positions(notes.read_text(encoding="utf-8", errors="replace"))
    content = postgres.content()
    text, objects = sets.encode_objects(content["keys"])
    # never before the end of the base backup, which is the first moment that can be recovered
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    made = sets.Set(
        id=now.strftime(sets.ID),
        made_at=now,
        host=config.host,
        system=postgres.system(),
        timeline=where.timeline,
        start_lsn=where.start,
        stop_lsn=where.stop,
        base=sets.Base(config.host, snapshot, _bytes(repository, snapshot)),
        rows=content["rows"],
        objects=objects,
        release=config.release,
        inventory=config.inventory,
        seconds=round(seconds, 1),
    )
    repository.backup_text({sets.MANIFEST: sets.encode(made), sets.OBJECTS: text}, [sets.TAG])
    return made


def _bytes(repository: Repository, snapshot: str) -> int:
    """Of the tar."""
    for one in repository.snapshots([TAG]):
        if one.id.startswith(snapshot) or snapshot.startswith(one.id):
            return int(one.summary.get("total_bytes_processed", 0))
    raise BackupError(f"The base backup {snapshot[:8]} is not in {repository.where}; run backup.yml again.")
