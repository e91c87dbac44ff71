"""What several test modules share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The embedding model's folder, built once and kept between runs."""
    from app.embedding.build import build

    folder = ROOT / "build" / "model"
    build(folder)
    return folder
