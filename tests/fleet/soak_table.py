"""Results of the soak as Markdown."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tests.fleet.faults import FAULTS
from tests.fleet.figures import TITLES
from tests.lab.bench import machine

Record = dict[str, Any]
_HEAD = """# Benchmarks: the fleet

`python -m tests.fleet.soak`, as root; with `--markdown` it prints this page from what was measured last. The
lab's ten hosts and the clients share one machine: {machine}.

Clients are open-loop: 4 questions and 2 searches a second with known answers, 10 of the cheapest writes, an
upload and others. The gap is the longest time in which no write was acknowledged. An error is any request
that got no right answer, also one that was asked to come again, and a stream of a job's events that lasts
longer than its client waits, since documents wait for Chroma. Lost, doubled: of the writes that were
acknowledged, after the fleet had healed; each document was downloaded, compared and asked for. Healed: from
giving back what was taken (power, network, a host) until every part is well again. `postgres_rto` is `fast`,
a lease of 20 s: [why, and what that costs](explanation/failover.md).
"""


def document(records: Sequence[Record]) -> str:
    """The whole page."""
    grouped: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if "error" not in record:
            grouped[record["name"]].append(record)
    faults = {name: grouped[name] for name in FAULTS if grouped[name]}
    parts = [_HEAD.format(machine=machine())]
    if loads := [record["load"] for record in records if "load" in record]:
        parts.append(f"Load average of the machine at the end of a run: {min(loads)} to {max(loads)}.\n")
    if faults:
        parts.append(
            "Seconds: smallest / median / 95th percentile / largest. The others: all runs together.\n"
        )
        parts.append(table(_FAULT_COLUMNS, [_fault(name, runs) for name, runs in faults.items()]))
    if seconds := _seconds(records):
        parts.append(table(["what", "runs", "seconds"], seconds))
    broken = [
        f"- {record['name']}: {record['error'].splitlines()[0]}" for record in records if "error" in record
    ]
    if broken:
        parts.append("\n".join(["Runs that broke off:", "", *broken, ""]))
    return "\n".join(parts)


_FAULT_COLUMNS = [
    "fault",
    "runs",
    "write gap",
    "of the database alone",
    "errors per run",
    "of requests",
    "questions answered",
    "wrong",
    "writes kept",
    "lost",
    "doubled",
    "healed",
]


def _fault(name: str, runs: Sequence[Record]) -> list[str]:
    def total(*path: str) -> int:
        found = 0
        for run in runs:
            value: Any = run
            for key in path:
                value = value[key]
            found += len(value) if isinstance(value, list) else value
        return found

    bad = sum(total("audit", key) for key in ("lost", "damaged", "unready", "unanswered"))
    asked = total("questions")
    return [
        FAULTS[name].what,
        str(len(runs)),
        _spread([run["gap"] for run in runs]),
        _spread([run["database_gap"] for run in runs if run["database_gap"] is not None]),
        _spread([run["errors"] for run in runs], digits=0),
        f"{total('requests'):,}",
        f"{100 * total('answered') / asked:.2f} % of {asked:,}" if asked else "",
        str(total("wrong")),
        f"{total('audit', 'entries'):,}",
        str(bad),
        str(total("audit", "doubled")),
        _spread([run["healed"] for run in runs]),
    ]


def _seconds(records: Sequence[Record]) -> list[list[str]]:
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        for name, seconds in record.get("seconds", {}).items():
            found[name].append(seconds)
    return [[TITLES[name], str(len(seconds)), _spread(seconds)] for name, seconds in found.items()]


def _spread(values: Sequence[float], digits: int = 1) -> str:
    """Smallest, median, 95th percentile (nearest rank) and largest; nothing for no values."""
    if not values:
        return ""
    ordered = sorted(values)
    high = ordered[math.ceil(0.95 * len(ordered)) - 1]
    shown = (ordered[0], statistics.median(ordered), high, ordered[-1])
    return " / ".join(f"{value:.{digits}f}" for value in shown)


def harmed(audit: Record) -> bool:
    """Whether a write that was acknowledged is not as it should be."""
    return any(found for key, found in audit.items() if key != "entries")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def say(text: str) -> None:
    """How far it is, beside the page."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
