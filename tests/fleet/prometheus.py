"""What tests ask the Prometheus of a fleet."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from typing import Any

from tests.fleet.fleet import Fleet

# three readings, on a machine that is busy with ten hosts
PATIENCE = 60.0
Samples = dict[tuple[str, ...], float]


def ask(fleet: Fleet, path: str, *parameters: str) -> Any:
    """What Prometheus' API answers."""
    words = [f"--data-urlencode {shlex.quote(one)}" for one in parameters]
    asked = " ".join(["curl -sSfG", f"http://127.0.0.1:9090/api/v1/{path}", *words])
    return json.loads(fleet.output("monitoring1", asked))["data"]


def query(fleet: Fleet, expression: str, *labels: str) -> Samples:
    """Values that Prometheus has for an expression now, by these of their labels."""
    found = ask(fleet, "query", f"query={expression}")["result"]
    return {tuple(one["metric"].get(label, "") for label in labels): float(one["value"][1]) for one in found}


def total(fleet: Fleet, expression: str) -> float:
    """The one value of a sum; 0 when nothing was counted yet."""
    return query(fleet, expression).get((), 0.0)


def wait(true: Callable[[], object], seconds: float = PATIENCE, what: str = "it to be so") -> None:
    """Return once ``true()`` holds; fail when it does not in time, saying what was waited for."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what}"
        time.sleep(1)


def firing(fleet: Fleet, severity: str = ".+") -> set[str]:
    """Names of the alerts that fire now."""
    found = query(fleet, f'ALERTS{{alertstate="firing", severity=~"{severity}"}}', "alertname")
    return {name for (name,) in found}


def down(fleet: Fleet) -> set[tuple[str, ...]]:
    """Job and host of every service that cannot be read now."""
    return set(query(fleet, "up == 0", "job", "host"))
