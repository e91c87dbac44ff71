"""wal LIMIT: see walloop; LIMIT is the spool's, in bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

from ka_backup.config import Config
from ka_backup.errors import Unusable
from ka_backup.loop import Loop, Teller
from ka_backup.restic import Repository
from ka_backup.walloop import WalLoop

SECONDS = 15.0


def main(config: Config, arguments: list[str]) -> int:
    """Until it is asked to end."""
    if len(arguments) != 1 or not arguments[0].isdigit() or not config.spool:
        raise Unusable("Say how many bytes the spool may take, on a host that has one: backup wal 2147483648")
    teller = Teller()
    spool = Path(config.spool)
    # as wal-keep takes it
    limit = min(int(arguments[0]), shutil.disk_usage(spool).total // 4)
    work = WalLoop(spool, Repository(config, config.host), teller, limit)
    return Loop("wal", work, teller, config.metrics, SECONDS).run()
