"""The first host with a new release among the others: within its error budget it stays, above it doesn't."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.ansible.running import ROOT, needs_ansible, results

TEMPLATE = ROOT / "ansible/roles/balancer/templates/tree/etc/haproxy/haproxy.cfg.j2"
LIMITS = {"name": "api1", "seconds": 1, "errors": 0.01, "slower": 2, "slower_ms": 100}
# answers with the log that the test names, as the balancer's journal would
JOURNALCTL = """#!/bin/sh
case "$*" in *--unit=haproxy*) exec cat "$LOG" ;; esac
"""

pytestmark = needs_ansible


def lines(host: str, count: int, *, status: int = 200, ms: int = 50) -> list[str]:
    """Requests to one host, as the balancer's role has them logged."""
    form = re.search(r"log-format '(.*)'", TEMPLATE.read_text(encoding="utf-8"))
    assert form
    values = {"%HM": "POST", "%ST": str(status), "%s": host, "%Tr": str(ms)}
    values["%[var(txn.path),json(utf8s)]"] = "/api/v1/knowledge-bases/7/ask"
    return [re.sub(r"%\[[^\]]*\]|%[A-Za-z]+", lambda token: values.get(token[0], "0"), form[1])] * count


@dataclass(frozen=True)
class Case:
    """What was logged, whether the release stays, and what is said."""

    log: list[str]
    stays: bool
    said: str


OTHERS = lines("api2", 980) + lines("api2", 20, status=500)
CASES = {
    "within its error budget": Case(
        [*OTHERS, *lines("api1", 195), *lines("api1", 5, status=503)],
        True,
        "200 requests to api1 (5 failed), 1000 to others (20 failed)",
    ),
    "asked without checks, and above it": Case(
        [*OTHERS, *lines("api1", 190), *lines("api1-unchecked", 10, status=503)],
        False,
        "10 of 200 requests failed there, 20 of 1000 elsewhere",
    ),
    "above its error budget": Case(
        [*OTHERS, *lines("api1", 190), *lines("api1", 10, status=503)],
        False,
        "10 of 200 requests failed there, 20 of 1000 elsewhere",
    ),
    "above it with answers broken off": Case(
        [*OTHERS, *lines("api1", 190), *lines("api1", 10, status=-1, ms=-1)],
        False,
        "10 of 200 requests failed there",
    ),
    "no worse than others that are bad themselves": Case(
        [line for host in ("api1", "api2") for line in lines(host, 14) + lines(host, 6, status=500)],
        True,
        "20 requests to api1 (6 failed)",
    ),
    "few requests, all of which failed": Case(
        [*OTHERS, *lines("api1", 4, status=500)],
        True,
        "4 requests to api1 (4 failed), 1000 to others (20 failed); too few to tell",
    ),
    "no requests at all": Case(
        [], True, "0 requests to api1 (0 failed), 0 to others (0 failed); too few to tell"
    ),
    "requests that reached nobody, and lines that are none": Case(
        [*lines("<NOSRV>", 50, status=503), "haproxy: reloaded", '["a list"]', ""],
        True,
        "0 requests to api1",
    ),
    "as slow as is allowed": Case([*OTHERS, *lines("api1", 20, ms=200)], True, "20 requests to api1"),
    "slower than is allowed": Case(
        [*OTHERS, *lines("api1", 20, ms=201)],
        False,
        "POST /api/*/knowledge-bases/*/ask takes 201 ms there (median of 20), on others 50 ms",
    ),
    "slow, but asked too little": Case([*OTHERS, *lines("api1", 9, ms=5000)], True, "too few to tell"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the module says in each case."""
    folder = tmp_path_factory.mktemp("canary")
    journalctl = folder / "journalctl"
    journalctl.write_text(JOURNALCTL)
    journalctl.chmod(0o755)
    tasks = []
    for number, case in enumerate(CASES.values()):
        log = folder / f"{number}.log"
        log.write_text("\n".join(case.log))
        surroundings = {"LOG": str(log), "PATH": f"{folder}:/usr/bin:/bin"}
        tasks.append({"canary": LIMITS, "environment": surroundings})
    return dict(zip(CASES, results(folder, *tasks), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_release_stays_or_goes_by_what_the_balancer_saw(
    name: str, answers: dict[str, dict[str, Any]]
) -> None:
    case, answer = CASES[name], answers[name]
    assert answer["failed"] is not case.stays
    assert case.said in (answer["told"] if case.stays else answer["msg"])
