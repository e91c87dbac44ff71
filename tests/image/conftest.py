"""What the tests of the image share. They are collected only when this folder, or a part of it, is named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fixtures import bounded, lab, machine_ready

__all__ = ["bounded", "lab", "machine_ready"]
HERE = Path(__file__).resolve().parent
IMAGE = Path(os.environ.get("KA_LAB_IMAGE", HERE.parents[1] / "build/image/knowledge-assistant.raw"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out unless somebody asked for them: most need an image, and root."""
    named = [
        Path(config.invocation_params.dir, argument.split("::")[0]).resolve() for argument in config.args
    ]
    return None if any(path == HERE or HERE in path.parents for path in named) else True


@pytest.fixture(scope="session")
def image() -> Path:
    """The image under test."""
    return IMAGE


@pytest.fixture(scope="session")
def manifest() -> dict[str, Any]:
    """What its maker says about it."""
    found: dict[str, Any] = json.loads((IMAGE.parent / "manifest.json").read_text())
    return found
