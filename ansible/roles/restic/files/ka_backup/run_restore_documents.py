"""Put raw documents back that are missing: restore-documents FOLDER look|make|hashed, as the store's user.

FOLDER is the bucket's on this host. Reads the wanted keys from standard input, a SHA-256 a line. Only what is
missing is written, or (hashed) what is not what its name says; nothing is removed. Files come under other
names, are held against their hash, and get their names when they are on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ka_backup.config import Config
from ka_backup.errors import BackupError, Incomplete, NoRepository, Unusable
from ka_backup.restic import Repository, Snapshot
from ka_backup.sets import NEAR

KEY = re.compile(r"[0-9a-f]{64}")
WHOLE, NEW = "objects", "objects-new"
AT_ONCE = 500  # files of one restic
HALF = ".restoring"
NAMED = 10  # documents in a sentence


def main(config: Config, arguments: list[str]) -> int:
    """Prints as JSON how many were wanted, missing and put back."""
    if len(arguments) != 2 or arguments[1] not in ("look", "make", "hashed"):
        raise Unusable("Say FOLDER look|make|hashed.")
    bucket, mode = Path(arguments[0]), arguments[1]
    wanted = {line.strip() for line in sys.stdin if KEY.fullmatch(line.strip())}
    lacking = {key for key in wanted if not there(place(bucket, key), key, hashed=mode == "hashed")}
    left, said = lacking, list[str]()
    if mode != "look" and lacking:
        left, said = put_back(config, bucket, lacking)
    facts = {"wanted": len(wanted), "missing": len(lacking), "back": len(lacking) - len(left)}
    sys.stdout.write(json.dumps(facts | {"lost": some_of(left), "said": said}) + "\n")
    if mode != "look" and left:
        raise Incomplete(
            f"{len(left)} of {len(lacking)} documents are whole in no snapshot; all others are back. "
            f"By SHA-256: {some_of(left)}. Bring them from where they came from: ka status --state damaged "
            "tells their names."
        )
    return 0


def some_of(keys: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    ordered = sorted(keys)
    more = len(ordered) - NAMED
    return ", ".join(ordered[:NAMED]) + (f" and {more} more" if more > 0 else "")


def place(bucket: Path, key: str) -> Path:
    """Where a document lies, as app/stores/objects/keys.py has it."""
    return bucket / "documents" / key[:2] / key[2:4] / key


def there(path: Path, key: str, *, hashed: bool) -> bool:
    """Whether it lies there; ``hashed``: and is what its name says."""
    try:
        return (hash_of(path) == key) if hashed else path.is_file()
    except OSError:
        return False


def hash_of(path: Path) -> str:
    """SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put_back(config: Config, bucket: Path, lacking: Iterable[str]) -> tuple[set[str], list[str]]:
    """See :func:`fetch`; out of all snapshots."""
    return fetch(snapshots(config), bucket, lacking)


def fetch(
    found: Iterable[tuple[Repository, Snapshot]], bucket: Path, wanted: Iterable[str]
) -> tuple[set[str], list[str]]:
    """Documents get their places, each out of the first snapshot that holds it whole.

    Returns those that none does, and a sentence for each snapshot that is damaged. Raises BackupError when a
    repository cannot be read at all, OSError when the disk here is full.
    """
    left, said, half = set(wanted), list[str](), bucket.parent / HALF
    shutil.rmtree(half, ignore_errors=True)
    try:
        for repository, snapshot in found:
            if not left:
                break
            paths: dict[str, str] = {}
            with tolerated(repository, snapshot, said):
                paths = {Path(entry.path).name: entry.path for entry in repository.ls(snapshot.id)}
            for some in batches(sorted(left & paths.keys()), AT_ONCE):
                chosen = {key: paths[key] for key in some}
                with tolerated(repository, snapshot, said):
                    repository.restore(snapshot.id, half, include=list(chosen.values()))
                left.difference_update(accept(half, bucket, chosen))
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return left, said


@contextmanager
def tolerated(repository: Repository, snapshot: Snapshot, said: list[str]) -> Iterator[None]:
    """What is damaged in one snapshot is said once, and looked for in others."""
    try:
        yield
    except BackupError as error:
        repository.blame(error)
        sentence = f"{repository.name}, {snapshot.id[:8]}: {error}"
        if sentence not in said:
            said.append(sentence)


def accept(half: Path, bucket: Path, paths: dict[str, str]) -> Iterator[str]:
    """Files that are what their names say get their places."""
    for key, path in paths.items():
        came = half / path.lstrip("/")
        if not there(came, key, hashed=True):
            continue
        final = place(bucket, key)
        final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        came.chmod(0o600)
        sync(came)
        came.replace(final)
        sync(final.parent)
        yield key


def snapshots(config: Config) -> list[tuple[Repository, Snapshot]]:
    """All of raw documents, see :func:`ordered`."""
    found: list[tuple[Repository, Snapshot]] = []
    for name in config.documents:
        repository = Repository(config, name, reader=True)
        try:
            found += [(repository, one) for one in repository.snapshots()]
        except NoRepository:
            continue
    found = ordered(found)
    if not found:
        raise BackupError("No repository holds documents: see monitoring/runbooks/DocumentsNotSaved.md.")
    return found


def ordered(found: Iterable[tuple[Repository, Snapshot]]) -> list[tuple[Repository, Snapshot]]:
    """Those of raw documents: the recent ones, then all others; of both first the whole ones, newest first.

    What is saved is what any of them holds: the newest may be of a disk that has lost its documents.
    """
    fit = [one for one in found if {WHOLE, NEW} & set(one[1].tags)]
    names = {repository.name for repository, _ in fit}
    early = {one.id for name in names for one in recent(one for where, one in fit if where.name == name)}
    return sorted(fit, key=lambda one: (one[1].id in early, WHOLE in one[1].tags, one[1].time), reverse=True)


def recent(found: Iterable[Snapshot]) -> list[Snapshot]:
    """A repository's newest snapshot of all documents, and those of new ones since; or all of these."""
    by_age = sorted(found, key=lambda one: one.time)
    whole = [one for one in by_age if WHOLE in one.tags][-1:]
    # one that was made while the whole was may be the older of both
    later = [one for one in by_age if NEW in one.tags]
    return whole + [one for one in later if not whole or one.time >= whole[0].time - NEAR]


def batches(keys: list[str], size: int) -> Iterable[list[str]]:
    """Parts of at most that size."""
    return (keys[first : first + size] for first in range(0, len(keys), size))


def sync(path: Path) -> None:
    """On the disk, a file or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
