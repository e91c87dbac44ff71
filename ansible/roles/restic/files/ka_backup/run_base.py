"""base: the daily base backup and its set, by the server whose turn it is, or where a file asks for it.

It is the turn of the first healthy replica, or of the primary when it is alone. ``base-now`` in the spool
asks for one in any case; so does ``wanted``, which says that files are missing, and goes once one was begun
after it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from ka_backup import base, metrics, postgres, sets, wal
from ka_backup.config import Config
from ka_backup.errors import BackupError, Unusable

RESULT = "base.json"


def main(config: Config, arguments: list[str]) -> int:
    """0 also when it is somebody else's turn."""
    if arguments or not config.spool:
        raise Unusable("This takes no words, and runs where the database is: backup base")
    spool, folder = Path(config.spool), Path(os.environ.get("STATE_DIRECTORY", "/var/lib/ka-backup"))
    asked = (spool / wal.NOW).exists() or (spool / wal.WANTED).exists()
    (spool / wal.NOW).unlink(missing_ok=True)  # first of all: who asks again is heard again
    before = result(folder)
    began = time.time()
    try:
        if not asked:
            turn = postgres.whose_turn(postgres.members(config))
            if turn != config.host:
                sys.stdout.write(f"It is the turn of {turn or 'nobody: no server is healthy'}.\n")
                if not turn:
                    raise BackupError("No server is healthy, so there is no base backup. See verify.yml.")
                _tell(config, before, failed=False)
                return 0
        made = base.save(config, folder)
    except (BackupError, OSError):
        _tell(config, before, failed=True)
        raise
    now = {
        **json.loads(sets.encode(made)),
        "at": time.time(),
    }
    new = folder / f"{RESULT}.new"
    new.write_text(json.dumps(now), encoding="utf-8")
    new.replace(folder / RESULT)
    wanted = spool / wal.WANTED
    if wanted.exists() and wanted.stat().st_mtime < began:
        wanted.unlink()
    _tell(config, now, failed=False)
    sys.stdout.write(f"Set {made.id}: {made.base.bytes} bytes in {made.seconds} s.\n")
    return 0


def result(folder: Path) -> dict[str, Any]:
    """Of the last base backup of this host; empty when there is none."""
    try:
        found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _tell(config: Config, last: dict[str, Any], *, failed: bool) -> None:
    what = {"what": "base"}
    figures: dict[str, tuple[str, metrics.Samples]] = {
        "ka_backup_failed": ("Whether the last one failed.", [(what, int(failed))])
    }
    if last:
        about = "When the last base backup of this host was saved."
        figures["ka_backup_saved_timestamp_seconds"] = (about, [(what, float(last["at"]))])
    metrics.write(config.metrics, "base", figures)
