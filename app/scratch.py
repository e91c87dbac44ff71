"""Files that are needed for a moment, in one place, so that what a killed process left can be removed."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path


def scratch_folder(parent: Path, purpose: str) -> tempfile.TemporaryDirectory[str]:
    """A folder that goes with the block it is used in."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=f"{purpose}-", dir=parent)


def clear_scratch(parent: Path) -> None:
    """Remove what former processes left. To be called before others are started."""
    shutil.rmtree(parent, ignore_errors=True)
