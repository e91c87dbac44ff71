"""Reads what is in the repositories, a seventh each day and all within a week: `backup check`, or with --all.

What is damaged is named, and stays so until that part was read again and is right.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path
from typing import Any

from ka_backup import keeping, metrics
from ka_backup.config import ESCROW, Config
from ka_backup.errors import BackupError
from ka_backup.restic import Repository

PARTS, WHOLE = 7, 0
WEEK = 7 * 86400.0
FILE = "check.json"


def main(config: Config, arguments: list[str]) -> int:
    """Raises BackupError when something is damaged or could not be read."""
    parser = argparse.ArgumentParser(prog="backup check", description=__doc__)
    parser.add_argument("--all", action="store_true", help="all parts now")
    wanted = parser.parse_args(arguments)
    state = keeping.read(FILE)
    problems: list[str] = []
    for name in [*keeping.names(config), ESCROW]:
        if name == ESCROW and not _is_there(config):
            continue
        own = state.setdefault(name, {"since": time.time(), "parts": {}, "damaged": {}})
        for part in due(own, time.time(), everything=wanted.all):
            try:
                with keeping.alone():
                    found = _look(config, name, part)
            except BackupError as error:
                problems.append(str(error))
                break
            note(own, part, found, time.time())
            keeping.remember(FILE, state)
        problems += [f"{name}: {each}." for each in sorted(damaged(own))]
    _write(config, state)
    if problems:
        problems.append("See the runbook of RepositoryDamaged.")
    keeping.fail(problems)
    sys.stdout.write("nothing is damaged\n")
    return 0


def due(own: dict[str, Any], now: float, *, everything: bool) -> list[int]:
    """Parts to be read, by number: what waits longest, or for a week, or was damaged; WHOLE is all."""
    if everything:
        return [WHOLE]
    waiting = {part: float(own["parts"].get(str(part), 0)) for part in range(1, PARTS + 1)}
    ordered = sorted(waiting, key=lambda part: waiting[part])
    late = [part for part in ordered if 0 < waiting[part] < now - WEEK]
    bad = [part for part in waiting if own["damaged"].get(str(part))]
    return sorted({ordered[0], *late, *bad})


def note(own: dict[str, Any], part: int, found: list[str], now: float) -> None:
    """Remember what a look has brought."""
    parts = range(1, PARTS + 1) if part == WHOLE else [part]
    for each in parts:
        own["parts"][str(each)] = now
        own["damaged"][str(each)] = found if each == parts[0] else []


def damaged(own: dict[str, Any]) -> set[str]:
    """What is damaged in any part; packs alone, where those are named."""
    found = {each for part in own["damaged"].values() for each in part}
    packs = {each for each in found if each.startswith(("pack ", "file "))}
    return packs or found


def complete(own: dict[str, Any]) -> float:
    """Since when, at the latest, each part was read, or waits for its first time, in seconds of the epoch."""
    return min(float(own["parts"].get(str(part), own["since"])) for part in range(1, PARTS + 1))


def _is_there(config: Config) -> bool:
    place = keeping.folder(config, ESCROW)
    return place is not None and (place / "config").is_file()


def _look(config: Config, name: str, part: int) -> list[str]:
    """What is damaged in a part. A second look tells it from what was being written during the first."""
    if name == ESCROW:
        return _hashed(Path(config.url) / name, part)
    repository = Repository(config, name)
    subset = "1/1" if part == WHOLE else f"{part}/{PARTS}"
    if not repository.check(subset):
        return []
    return repository.check(subset)


def _hashed(place: Path, part: int) -> list[str]:
    """Files that are not what their names, their SHA-256, say: nobody here has the passphrase."""
    found = []
    for path in sorted(place.rglob("*")):
        if len(path.name) != hashlib.sha256().digest_size * 2 or path.parent.name == "locks":
            continue
        if part != WHOLE and int(path.name[:2], 16) % PARTS != part - 1:
            continue
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != path.name:
                found.append(f"file {path.relative_to(place)}")
    return found


def _write(config: Config, state: dict[str, Any]) -> None:
    own = {
        name: each
        for name, each in state.items()
        if (place := keeping.folder(config, name)) is None or place.is_dir()
    }
    metrics.write(
        config.metrics,
        "check",
        {
            "ka_repository_check_timestamp_seconds": (
                "Since then all bytes of the repository were read.",
                [({"repository": name}, complete(each)) for name, each in own.items()],
            ),
            "ka_repository_damaged": (
                "How much of the repository is damaged, in files where those are known.",
                [({"repository": name}, len(damaged(each))) for name, each in own.items()],
            ),
        },
    )
