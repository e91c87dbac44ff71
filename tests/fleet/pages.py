"""Console pages of the monitoring host."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fleet.fleet import Fleet

# as Prometheus serves them; they hold all that they show, so that a browser can open the files
KEPT = Path(__file__).parent.parent.parent / "build" / "consoles"


def page(fleet: Fleet, name: str, kept: str) -> str:
    """A page as the monitoring host has it, without its marks, which is kept under a name."""
    text = fleet.output("monitoring1", f"curl -sSf 'http://127.0.0.1:9090/consoles/{name}'")
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{kept}.html").write_text(text, encoding="utf-8")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
