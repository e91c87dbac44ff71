"""Write monitoring/dashboards/NAME.json, in Grafana's format, from NAME.yml beside it.

Usage: python tools/dashboards.py; a test compares. What a panel may say in the YAML:

  stat, graph or states: its title; the first makes its kind
  expr: a query, or queries by the name that each has in the legend
  unit: Grafana's name of it
  steps: colour, then again and again a value and the colour from there on
  empty: what stands there when nothing is found
  words: by value, what stands in its place
  means: a sentence for whoever wonders, shown at the panel's corner
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent.parent / "monitoring" / "dashboards"
# of Grafana 12; newer ones take it, too
SCHEMA = 41
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH = 24
TAG = "knowledge-assistant"
# what happened, as lines through every graph
EVENTS = {
    "release": (
        "blue",
        "sum by (host) (ka_release_info unless on (host, closure) ka_release_info offset 2m)",
        "{{host}} runs another release",
    ),
    "primary": (
        "purple",
        "patroni_primary == 1 unless on (host) patroni_primary offset 2m == 1",
        "{{host}} is primary now",
    ),
    "page": ("red", 'max by (alertname) (ALERTS{alertstate="firing", severity="page"})', "{{alertname}}"),
}
KINDS = {"stat": "stat", "graph": "timeseries", "states": "state-timeline"}
HEIGHTS = {"stat": 4, "graph": 8, "states": 8}
Panel = dict[str, Any]


def files() -> dict[str, str]:
    """Each dashboard's text by its file name."""
    return {path.with_suffix(".json").name: _text(path) for path in sorted(FOLDER.glob("*.yml"))}


def _text(path: Path) -> str:
    source = yaml.safe_load(path.read_text(encoding="utf-8"))
    dashboard = {
        "uid": f"ka-{path.stem}",
        "title": source["title"],
        "description": source["means"],
        "tags": [TAG],
        "schemaVersion": SCHEMA,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [
            {"type": "dashboards", "title": "Others", "tags": [TAG], "asDropdown": False, "keepTime": True}
        ],
        "annotations": {"list": [_event(name, *event) for name, event in EVENTS.items()]},
    }
    head = "".join(f"{_line(name)}: {_line(value)},\n" for name, value in dashboard.items())
    panels = ",\n".join(map(_line, _panels(source["rows"])))
    return f'{{\n{head}"panels": [\n{panels}\n]\n}}\n'


def _line(value: object) -> str:
    """A line of its own, so that a panel that was changed is one line of a difference."""
    return json.dumps(value, ensure_ascii=False)


def _event(name: str, color: str, query: str, title: str) -> Panel:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": color,
        "expr": query,
        "step": "60s",
        "titleFormat": title,
    }


def _panels(rows: dict[str, list[Panel]]) -> list[Panel]:
    """All panels in their places: in each row as many beside each other as fit, equally wide."""
    panels: list[Panel] = []
    top = 0
    for title, row in rows.items():
        panels.append(
            {
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
            }
        )
        top += 1
        across = len(row) if "stat" in row[0] else min(len(row), 3)
        for number, panel in enumerate(row):
            kind = next(iter(panel))
            width, height = WIDTH // across, HEIGHTS[kind]
            place = {"x": number % across * width, "y": top, "w": width, "h": height}
            panels.append(_panel(kind, panel) | {"gridPos": place})
            if number % across == across - 1 or number == len(row) - 1:
                top += height
    return [{"id": number, **panel} for number, panel in enumerate(panels, 1)]


def _panel(kind: str, panel: Panel) -> Panel:
    queries = panel["expr"] if isinstance(panel["expr"], dict) else {"": panel["expr"]}
    made = {
        "type": KINDS[kind],
        "title": panel[kind],
        "datasource": SOURCE,
        "targets": [_target(kind, *one) for one in zip("ABCDEF", queries.items(), strict=False)],
        "fieldConfig": {"defaults": _defaults(kind, panel), "overrides": []},
        "options": _options(kind),
    }
    return made | ({"description": panel["means"]} if "means" in panel else {})


def _target(kind: str, letter: str, query: tuple[str, str]) -> Panel:
    legend, expression = query
    return {
        "refId": letter,
        "datasource": SOURCE,
        "expr": expression,
        "legendFormat": legend or "__auto",
        "instant": kind == "stat",
        "range": kind != "stat",
    }


def _defaults(kind: str, panel: Panel) -> Panel:
    first, *rest = panel.get("steps", ["text"])
    steps = [{"color": first, "value": None}]
    steps += [{"color": color, "value": value} for value, color in zip(rest[::2], rest[1::2], strict=True)]
    made: Panel = {"unit": panel.get("unit", "short"), "thresholds": {"mode": "absolute", "steps": steps}}
    if kind == "graph":
        made |= {"min": 0, "color": {"mode": "palette-classic"}}
        made["custom"] = {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never", "spanNulls": 60000}
        made["custom"]["thresholdsStyle"] = {"mode": "dashed" if rest else "off"}
    else:
        made["color"] = {"mode": "thresholds"}
    if words := panel.get("words"):
        options = {
            str(value): {"index": number, "text": text} for number, (value, text) in enumerate(words.items())
        }
        made["mappings"] = [{"type": "value", "options": options}]
    return made | ({"noValue": panel["empty"]} if "empty" in panel else {})


def _options(kind: str) -> Panel:
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    if kind == "stat":
        reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"colorMode": "background", "graphMode": "none", "textMode": "auto", "reduceOptions": reduce}
    if kind == "states":
        return {
            "legend": legend | {"showLegend": False},
            "mergeValues": True,
            "rowHeight": 0.8,
            "showValue": "auto",
        }
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def main() -> None:
    """See above."""
    if {"-h", "--help"} & set(sys.argv):
        sys.stdout.write(__doc__ or "")
        return
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
