"""What queries may read: metrics that something exports or a rule records, and labels that those have."""

from __future__ import annotations

from tests.support.exported import TARGET, exported
from tests.support.promql import grouped, made, selectors
from tests.support.rules import RECORDED, RULES

# what Prometheus itself says of alerts
ALERTS = dict.fromkeys(("ALERTS", "ALERTS_FOR_STATE"), TARGET | {"alertname", "alertstate", "severity"})
EXPORTED = exported() | ALERTS


def unknown(expression: str) -> list[str]:
    """Metrics, or labels of theirs, that nothing exports and no rule records."""
    return [
        f"{name}{{{', '.join(sorted(labels))}}}"
        for name, labels in selectors(expression)
        if name not in RECORDED and not (name in EXPORTED and labels <= EXPORTED[name])
    ]


def labels_of(expression: str) -> set[str]:
    """Labels that series of an expression can have: those of what it reads, and those that it makes."""
    found = made(expression)
    for name, _ in selectors(expression):
        found |= EXPORTED.get(name, set())
        for rule in RULES:
            if rule.get("record") == name:
                found |= labels_of(rule["expr"]) | rule.get("labels", {}).keys()
    return found


def without_source(expression: str) -> set[str]:
    """Labels by which an expression groups or joins, though nothing in it has them."""
    return grouped(expression) - labels_of(expression)
