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
    """Remove the figures of all other processes. To be called before any is started."""
    for file in Path(os.environ[FOLDER]).glob("*.db"):
        if not file.stem.endswith(f"_{os.getpid()}"):
            file.unlink(missing_ok=True)
