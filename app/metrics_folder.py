"""The folder in which the processes of one service share their figures.

prometheus-client looks for it when it is imported, so this module imports nothing of it.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def share_metrics(data_dir: Path) -> None:
    """Name the folder to this process and those it starts, unless one is named already."""
    folder = Path(os.environ.setdefault(FOLDER, str(Path(data_dir, "run", "metrics").absolute())))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def forget_former_runs() -> None:
    """Remove the figures of processes that have ended; those of units beside this one go on."""
    for file in Path(os.environ[FOLDER]).glob("*.db"):
        if not _lives(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's has got the number since
        return False
    return True
