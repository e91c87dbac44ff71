"""A set as a data folder that a server can serve: restore-recover FOLDER SET TARGET, as postgres.

FOLDER is made, and whole once this has ended with 0; what an earlier try has left there goes first. TARGET is
``end`` or a moment.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

from ka_backup import gather, postgres, scratch, sets
from ka_backup.config import Config
from ka_backup.errors import Unusable

WORK = "restoring"
# Patroni's copy of what servers agreed on then; what the inventory says holds now
FORMER = ("patroni.dynamic.json", "postmaster.opts", "standby.signal")


def main(config: Config, arguments: list[str]) -> int:
    """Prints as JSON the moment that was reached, the rows, and seconds."""
    if len(arguments) != 3:
        raise Unusable("Say FOLDER SET TARGET.")
    data, target = Path(arguments[0]), scratch.Target.of(arguments[2])
    if data.name in ("", "17") or not data.parent.is_dir():
        raise Unusable(f"{data} is not to be replaced. Say a folder beside the server's.")
    begun = time.monotonic()
    work = data.parent / WORK
    for folder in (data, work):
        shutil.rmtree(folder, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        found, said = sets.find(config, None, arguments[1])
        gathered = gather.fetch(config, found, work, data=data)
        fetched = time.monotonic()
        with scratch.recovered(gathered, work / "socket", target, adopt=True) as server:
            rows = postgres.content(socket=str(server.socket))["rows"]
            reached = server.reached
        for name in FORMER:
            (data / name).unlink(missing_ok=True)
        whole(data)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    facts = {
        "set": found.set.id,
        "reached": reached.isoformat(timespec="seconds") if reached else "",
        "rows": rows,
        "fetching": round(fetched - begun, 1),
        "recovering": round(time.monotonic() - fetched, 1),
        "said": said + gathered.said,
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


def whole(data: Path) -> None:
    """All of it is on the disk. Raises OSError."""
    handle = os.open(data, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    os.sync()
