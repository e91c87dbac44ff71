"""The rules by which Prometheus computes and alerts, as they stand in monitoring/rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

FOLDER = Path(__file__).parent.parent.parent / "monitoring" / "rules"
FILES = sorted(FOLDER.glob("*.yml"))
PAPER = sorted((FOLDER / "tests").glob("*.yml"))
Rule = dict[str, Any]


def load(path: Path) -> Any:
    """What a file of rules, or of cases, says."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


RULES: list[Rule] = [rule for path in FILES for group in load(path)["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
# alert, and whether it is expected, of each case on paper
CASES = {
    (case["alertname"], bool(case["exp_alerts"]))
    for path in PAPER
    for test in load(path)["tests"]
    for case in test["alert_rule_test"]
}


def name_of(rule: Rule) -> str:
    """What Prometheus calls it."""
    return str(rule.get("alert") or rule["record"])
