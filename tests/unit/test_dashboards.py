"""Dashboards and console pages: made from their sources, easy to read, about what is measured."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.contract import labels_of, unknown, without_source
from tests.support.panels import DASHBOARDS, QUERIES, SHOWN, Dashboard, Query
from tests.support.promtool import found

ROOT = Path(__file__).parent.parent.parent
WIDTH = 24
AREAS = {"fleet", "answers", "ingestion", "postgres", "chroma", "deploys"}


def place_of(query: Query) -> str:
    return f"{query.place}-{query.title[:40]}"


def test_the_dashboards_are_those_that_their_sources_make() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "dashboards.py"))["files"]()
    assert {name.removesuffix(".json") for name in made} == AREAS == DASHBOARDS.keys()
    for name, text in made.items():
        written = (ROOT / "monitoring" / "dashboards" / name).read_text(encoding="utf-8")
        assert written == text, f"monitoring/dashboards/{name} is out of date: run python tools/dashboards.py"


def test_the_pages_have_the_sentences_that_the_alerts_have() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "console_alerts.py"))
    assert made["OUTPUT"].read_text(encoding="utf-8") == made["text"](), "run python tools/console_alerts.py"


@pytest.mark.parametrize("query", QUERIES, ids=place_of)
def test_a_query_reads_what_is_measured_alone(query: Query) -> None:
    assert unknown(query.expression) == []
    assert without_source(query.expression) == set()


@pytest.mark.parametrize("query", SHOWN, ids=place_of)
def test_a_legend_names_labels_that_there_are(query: Query) -> None:
    assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= labels_of(query.expression)


def test_a_label_that_nothing_has_is_noticed() -> None:
    assert without_source("sum by (hots) (rate(ka_answers_total[5m]))") == {"hots"}
    assert without_source("sum by (kind) (rate(ka_answers_total[5m]))") == set()


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": one.expression} for number, one in enumerate(QUERIES)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([found(), "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_a_dashboard_begins_with_verdicts_and_what_changed(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert dashboard["uid"] == f"ka-{name}"
    rows = _rows(dashboard)
    assert list(rows)[:2] == ["Now", "What changed"]
    assert {panel["type"] for panel in rows["Now"]} == {"stat"}
    coloured = [len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1 for panel in rows["Now"]]
    assert sum(coloured) >= 4
    assert len(coloured) <= 8, "more cannot be read at a glance"


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_panels_stand_beside_and_below_each_other(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= WIDTH
        assert not cells & taken
        taken |= cells
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))


def test_panels_read_the_source_that_grafana_is_given() -> None:
    folder = ROOT / "ansible/roles/grafana/templates/tree/etc/grafana/provisioning/datasources"
    given = set(re.findall(r"uid: (\w+)", (folder / "fleet.yaml.j2").read_text(encoding="utf-8")))
    panels = [
        panel for dashboard in DASHBOARDS.values() for panel in dashboard["panels"] if "datasource" in panel
    ]
    assert {panel["datasource"]["uid"] for panel in panels} == given


def _rows(dashboard: Dashboard) -> dict[str, list[Dashboard]]:
    """Panels by the title of the row in which they stand."""
    panels = dashboard["panels"]
    heads = [number for number, panel in enumerate(panels) if panel["type"] == "row"] + [len(panels)]
    return {panels[head]["title"]: panels[head + 1 : end] for head, end in pairwise(heads)}
