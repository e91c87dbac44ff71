"""backup watch: look at all repositories, and tell the age of the newest set that could be restored."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ka_backup import metrics, watch
from ka_backup.config import Config
from ka_backup.errors import BackupError

FAILED = "Whether the last try did not do what it should."
Figures = dict[str, tuple[str, metrics.Samples]]


def main(config: Config, arguments: Sequence[str]) -> int:
    """0 when the repositories could be read, whatever was found. Raises BackupError, OSError."""
    del arguments
    folder = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/ka-sets"))
    since = begun(folder / "since")
    try:
        kept = watch.Kept.load(folder / "snapshots.json")
        found = watch.look(config, kept)
        kept.save()
    except BackupError:
        # what was seen last stays, and grows old
        metrics.write(config.metrics, "sets-run", {"ka_backup_failed": (FAILED, [({"what": "sets"}, 1)])})
        raise
    for sentence in found.said:
        sys.stderr.write(f"{sentence}\n")
    if found.good:
        sys.stdout.write(f"{found.good.set.id} of {found.good.repository} can be restored.\n")
    metrics.write(config.metrics, "sets", figures(found, since))
    metrics.write(config.metrics, "sets-run", {"ka_backup_failed": (FAILED, [({"what": "sets"}, 0)])})
    return 0


def figures(found: watch.Look, since: float) -> Figures:
    """What node exporter is told; what is not known is left out. ``since``: when this was first looked at."""
    told: Figures = {
        "ka_backup_watched_since_timestamp_seconds": ("When sets were first looked for.", [({}, since)])
    }
    if found.newest:
        good = found.good is not None and found.good.set.id == found.newest.set.id
        about = "Whether the newest set could be restored."
        told["ka_backup_set_good"] = (about, [({"id": found.newest.set.id}, int(good))])
    if found.good:
        one = found.good.set
        about = "The moment of the newest set that could be restored."
        told["ka_backup_set_timestamp_seconds"] = (about, [({"id": one.id}, one.made_at.timestamp())])
    moments: list[tuple[str, datetime | None]] = [
        ("wal", found.seen.wal_at if found.seen else None),
        ("objects", found.seen.objects_at if found.seen else None),
    ]
    for what, moment in moments:
        if moment:
            about = f"When {what} last came into a repository."
            told[f"ka_backup_{what}_timestamp_seconds"] = (about, [({}, moment.timestamp())])
    return told


def begun(path: Path) -> float:
    """When this host began to look; kept in a file. Raises OSError."""
    try:
        return float(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        path.write_text(f"{time.time():.0f}\n", encoding="ascii")
        return float(path.read_text(encoding="ascii"))
