"""What the programs of the repositories' host share: which there are, who works on them, what was found."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ka_backup.config import ESCROW, Config
from ka_backup.errors import BackupError, Unusable
from ka_backup.keep import Held
from ka_backup.restic import Repository

ASIDE = ".before-"


def folder(config: Config, name: str) -> Path | None:
    """A repository's folder, where it is on this host."""
    return Path(config.url) / name if config.url.startswith("/") else None


def names(config: Config) -> list[str]:
    """Repositories that there are: those of hosts of the fleet, and of hosts that were in it."""
    if not config.url.startswith("/"):
        return config.repositories
    found = sorted(path.parent.name for path in Path(config.url).glob("*/config"))
    return [name for name in found if name != ESCROW and not name.startswith(ESCROW + ASIDE)]


def state_folder() -> Path:
    """Where what was found is remembered; raises Unusable."""
    found = os.environ.get("STATE_DIRECTORY", "")
    if not found:
        raise Unusable("STATE_DIRECTORY is not set; start the unit, repository-….service, instead.")
    return Path(found)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Nobody else removes from or checks the repositories meanwhile; waits for who does."""
    with (state_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read(name: str) -> dict[str, Any]:
    """What was remembered; nothing, where that cannot be read."""
    try:
        found = json.loads((state_folder() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(name: str, what: dict[str, Any]) -> None:
    """Replaces it at once. Raises OSError."""
    path = state_folder() / name
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(what, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def held(config: Config, repository: Repository) -> list[Held]:
    """All snapshots, each with when it came: its file is written once and never touched again.

    In a bucket that cannot be told, and what its host says is taken for it.
    """
    place = folder(config, repository.name)
    found = []
    for snapshot in repository.snapshots():
        arrived = snapshot.time
        if place is not None:
            with contextlib.suppress(OSError):
                since = (place / "snapshots" / snapshot.id).stat().st_mtime
                arrived = datetime.fromtimestamp(since, UTC)
        found.append(Held(repository.name, snapshot, arrived))
    return found


def size(config: Config, name: str) -> int | None:
    """Bytes of a repository; None where that is not on this host."""
    place = folder(config, name)
    if place is None:
        return None
    total = 0
    for path in place.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size if path.is_file() else 0
    return total


def fail(problems: list[str]) -> None:
    """Raises BackupError with all of them."""
    if problems:
        raise BackupError(" ".join(problems))
