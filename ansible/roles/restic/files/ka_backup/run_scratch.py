"""An older state to look at: scratch FOLDER [TIME|SET|newest], as postgres, until it is interrupted.

FOLDER is empty and has room for the database; nothing is left in it.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from ka_backup import drill, gather, run_restore_choose, scratch, sets
from ka_backup.config import Config
from ka_backup.errors import Unusable


def main(config: Config, arguments: list[str]) -> int:
    """Prints how to ask it, and waits for a signal."""
    if len(arguments) not in (1, 2):
        raise Unusable("Say FOLDER, and TIME or SET or nothing.")
    folder = Path(arguments[0])
    if not folder.is_dir() or any(folder.iterdir()):
        raise Unusable(f"{folder} is no empty folder. Make one for this.")
    moment, name = run_restore_choose.target(arguments[1] if len(arguments) > 1 else "")
    found, said = sets.find(config, moment, name)
    wanted = moment or (found.set.made_at if name else None)
    target = scratch.Target.at(wanted) if wanted else scratch.Target()
    signals = (signal.SIGINT, signal.SIGTERM)
    try:
        gathered = gather.fetch(config, found, folder, until=wanted)
        with scratch.recovered(gathered, folder / "socket", target) as server:
            sys.stderr.writelines(f"{sentence}\n" for sentence in said + gathered.said)
            reached = f", up to {server.reached:%Y-%m-%d %H:%M:%S} UTC" if server.reached else ""
            sys.stdout.write(f"{found.set.id}{reached}: psql -h {server.socket} assistant\n")
            sys.stdout.flush()
            # until now an interruption has ended it as any other error
            signal.pthread_sigmask(signal.SIG_BLOCK, signals)
            signal.sigwait(signals)
    finally:
        drill.clear(folder)
    return 0
