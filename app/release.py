"""What is running: release, and, when it was packaged, closure and commit."""

from __future__ import annotations

import os
from dataclasses import dataclass

from app import __version__


@dataclass(frozen=True, slots=True)
class Release:
    """``closure`` is a store path; it and ``commit`` are stated by the packaging, else ``None``."""

    release: str
    closure: str | None
    commit: str | None


def release() -> Release:
    """The facts of this process."""
    return Release(__version__, os.environ.get("KA_CLOSURE"), os.environ.get("KA_COMMIT"))
