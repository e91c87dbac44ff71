"""Prometheus' own programs, which ``tools/promtool.sh`` gets where they are not installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "build" / "promtool"


def found(name: str = "promtool") -> str:
    """Where a program is; without it the test is skipped."""
    return shutil.which(name) or fetched(name)


def fetched(name: str) -> str:
    """Where the script's own is, with what lies beside it; without it the test is skipped."""
    return shutil.which(str(FOLDER / name)) or pytest.skip(f"no {name}: run tools/promtool.sh")
