"""Alerts: each is complete, proven on paper in both directions, and about something that is measured."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from tests.support.contract import unknown, without_source
from tests.support.promql import selectors
from tests.support.promtool import found
from tests.support.rules import ALERTS, CASES, FILES, PAPER, RECORDED, RULES, Rule, load, name_of

ROOT = Path(__file__).parent.parent.parent
BOOKS = sorted((ROOT / "monitoring" / "runbooks").glob("*.md"))
QUIET = ROOT / "monitoring" / "quiet.yml"
MOST = 50
PARTS = ["Symptom", "Check", "Verb", "Undo"]
# what can be nothing else in a runbook: PostgreSQL's functions and our variables begin like other metrics
METRIC = re.compile(r"(?:ka|node|haproxy|patroni|etcd)_\w+(?:\{|$)|\w+:\w+:\w+(?:\{|$)")
NAMES = [rule["alert"] for rule in ALERTS]


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus' own program for rules."""
    return found()


def test_there_are_no_more_alerts_than_people_can_know() -> None:
    assert len(NAMES) == len(set(NAMES)) <= MOST


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_an_alert_has_a_severity_a_sentence_with_its_value_and_a_runbook(rule: Rule) -> None:
    name, notes = rule["alert"], rule["annotations"]
    assert rule["labels"]["severity"] in ("page", "warning", "none")
    assert notes.keys() == {"summary", "runbook"}
    assert "$value" in notes["summary"]
    assert re.fullmatch(r"(?:[^.\n]|\.(?=\w))+\.", re.sub(r"\{\{.*?\}\}", "1", notes["summary"]))
    assert notes["runbook"] == f"monitoring/runbooks/{name}.md"
    assert (ROOT / notes["runbook"]).is_file()


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "silent"])
@pytest.mark.parametrize("name", NAMES)
def test_an_alert_has_a_case_on_paper(name: str, fires: bool) -> None:
    assert (name, fires) in CASES


def test_every_case_on_paper_is_about_an_alert_that_there_is() -> None:
    assert {name for name, _ in CASES} == set(NAMES)


def test_what_is_not_delivered_is_about_alerts_that_there_are() -> None:
    rules = load(QUIET)
    matchers = [
        one
        for rule in rules["inhibited"]
        for part in ("source", "target")
        for one in rule[f"{part}_matchers"]
    ]
    named = {name for one in matchers if "alertname" in one for name in re.findall(r"[A-Z]\w+", one)}
    named |= {name for names in rules["planned"].values() for name in names}
    assert named - set(NAMES) == set()


def test_no_planned_work_silences_what_people_notice() -> None:
    noticed = {
        rule["alert"]
        for rule in load(ROOT / "monitoring" / "rules" / "levels.yml")["groups"][0]["rules"]
        if "alert" in rule
    }
    planned = load(QUIET)["planned"]
    assert planned.keys() == {"deploy", "rollback", "switchover", "patch", "refresh", "restore"}
    assert {verb: found for verb, names in planned.items() if (found := noticed & set(names))} == {}
    assert {
        verb for verb, names in planned.items() if {"NoApiHost", "RequestErrors", "Watchdog"} & set(names)
    } == set()


def test_every_alert_stands_in_the_documentation() -> None:
    page = (ROOT / "docs" / "how-to" / "watch.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if not re.search(rf"\b{name}\b", page)] == []


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_a_rule_reads_what_is_measured_alone(rule: Rule) -> None:
    assert list(selectors(rule["expr"])) or rule["expr"].startswith("vector(")
    assert unknown(rule["expr"]) == []
    assert without_source(rule["expr"]) == set()


@pytest.mark.parametrize(
    "expression",
    ["rate(ka_answer_total[5m])", 'sum by (host) (ka_documents{stage="embed"})', "host:down == 1"],
)
def test_a_metric_or_label_that_nothing_exports_is_noticed(expression: str) -> None:
    assert len(unknown(expression)) == 1


def test_no_rule_is_recorded_for_nobody() -> None:
    used = {name for rule in RULES for name, _ in selectors(rule["expr"])}
    assert used >= RECORDED


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_a_runbook_is_short_and_says_symptom_check_verb_and_undo(book: Path) -> None:
    text = book.read_text(encoding="utf-8")
    assert book.stem in NAMES
    assert text.startswith(f"# {book.stem}: ")
    assert re.findall(r"^\*\*(\w+)\*\* ", text, re.MULTILINE) == PARTS
    assert len(text.splitlines()) < 30
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert any(target.startswith("../../docs/runbooks/") for target in targets), "no verb is named"
    assert [target for target in targets if not (book.parent / target).is_file()] == []
    named = [one for one in re.findall(r"`([^`]+)`", text) if METRIC.match(one)]
    assert [problem for one in named for problem in unknown(one)] == []


def test_the_names_of_a_scrape_are_kept_by_job_with_their_labels() -> None:
    target = {"instance": "a:9100", "host": "a", "group": "api"}
    series = [
        {"__name__": "up", "job": "node", **target},
        {"__name__": "node_cpu_seconds_total", "job": "node", "cpu": "0", "mode": "idle", **target},
        {"__name__": "node_cpu_seconds_total", "job": "node", "cpu": "1", "mode": "user", **target},
        {"__name__": "ka_answers_total", "job": "assistant", "kind": "refused", **target},
        {"__name__": "host:up", "host": "a"},
        {"__name__": "ALERTS", "job": "node", "alertname": "ExporterDown"},
    ]
    lines = runpy.run_path(str(ROOT / "tools" / "metric_names.py"))["lines"]
    assert lines(json.loads(json.dumps(series))) == {"node": ["node_cpu_seconds_total{cpu,mode}", "up{}"]}


def test_prometheus_understands_every_rule(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", *FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("paper", PAPER, ids=lambda paper: paper.stem)
def test_groups_that_build_on_each_other_are_tried_in_a_fixed_order(paper: Path) -> None:
    cases = load(paper)
    files = [load(paper.parent / name) for name in cases["rule_files"]]
    groups = [group["name"] for file in files for group in file["groups"]]
    assert cases.get("group_eval_order", groups[:1]) == groups


@pytest.mark.parametrize("paper", PAPER, ids=lambda paper: paper.stem)
def test_alerts_fire_when_they_should_and_then_alone(promtool: str, paper: Path) -> None:
    done = subprocess.run([promtool, "test", "rules", paper], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
