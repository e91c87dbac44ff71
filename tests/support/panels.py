"""Queries of the dashboards and of the pages that Prometheus serves, as they stand in monitoring."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MONITORING = Path(__file__).parent.parent.parent / "monitoring"
PAGES = sorted(path for path in (MONITORING / "consoles").rglob("*") if path.suffix in (".html", ".lib"))
Dashboard = dict[str, Any]
DASHBOARDS: dict[str, Dashboard] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((MONITORING / "dashboards").glob("*.json"))
}


@dataclass(frozen=True)
class Query:
    """A query, and where it stands; ``legend`` names labels in double braces."""

    place: str
    title: str
    expression: str
    legend: str = ""


def _asked(name: str, dashboard: Dashboard) -> list[Query]:
    events = [
        Query(name, one["name"], one["expr"], one["titleFormat"]) for one in dashboard["annotations"]["list"]
    ]
    return events + [
        # Grafana puts in an interval that fits what is shown
        Query(name, panel["title"], target["expr"].replace("$__rate_interval", "5m"), target["legendFormat"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def _written(page: Path) -> list[Query]:
    """All that stands between backquotes; a host's name and the like are put in by ``printf``."""
    texts = re.findall(r"`([^`]*)`", page.read_text(encoding="utf-8"))
    queries = {text.replace("%q", '"x"').replace("%s", "ALERTS").replace("%%", "%") for text in texts}
    return [Query(page.name, query, query) for query in sorted(queries)]


SHOWN = [query for name, dashboard in DASHBOARDS.items() for query in _asked(name, dashboard)]
QUERIES = SHOWN + [query for page in PAGES for query in _written(page)]
