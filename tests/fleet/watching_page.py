"""Results of watching as Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tests.fleet.soak_table import table

Record = dict[str, Any]
# what it may cost: of a core and bytes on each host, bytes of Prometheus, seconds of a scrape
SHARE, MEMORY, PROMETHEUS, SCRAPE = 0.02, 60e6, 300e6, 1.0
# a check from outside, with a question among them, and no reading of figures
OUTSIDE = "outside"
_HEAD = """# Benchmarks: watching

`python -m tests.fleet.watching`, as root; with `--markdown` it prints this page from what was measured last.
The lab's ten hosts and the clients share one machine: {machine}.

On each host: the exporters, the port before them, what reads the host's facts every ten minutes, and the
sender of logs, {rest:.0f} minutes without clients. Memory counts what the processes have for themselves, and
each file that a unit maps once. Then {minutes:.0f} minutes of questions, searches, lists, uploads and streams
of events, {requests:,} requests in all.
"""
_TOLD = """
Faults of `tests/fleet/troubles.py`, several of them caused together: seconds until people heard of each
by a webhook, and from its end until they heard of that.
"""


def document(found: Record, told: Sequence[Record]) -> str:
    """The whole page; ``told`` are lines of ``alerts.jsonl``."""
    head = _HEAD.format(
        machine=found["machine"],
        rest=found["rest"] / 60,
        minutes=found["seconds"] / 60,
        requests=found["requests"],
    )
    alerts = ", ".join(found["alerts"]) or "none"
    pending = ", ".join(found["pending"]) or "none"
    parts = [
        head,
        f"**Alerts within these minutes: {alerts}.** Those that waited for some seconds: {pending}.\n",
        table(_HOST_COLUMNS, [_host(name, units) for name, units in found["hosts"].items()]),
        table(_WHOLE_COLUMNS, _whole(found)),
    ]
    if told:
        parts += [_TOLD.lstrip(), table(_TOLD_COLUMNS, _delays(told))]
    return "\n".join(parts)


def kept(found: Record) -> bool:
    """Whether it costs what it may, and nothing was told."""
    sums = [_sums(units) for units in found["hosts"].values()]
    return (
        all(share <= SHARE and memory <= MEMORY for share, memory in sums)
        and found["prometheus"] <= PROMETHEUS
        and max(_scrapes(found).values()) <= SCRAPE
        and not found["alerts"]
    )


_HOST_COLUMNS = [
    "host",
    f"% of a core (at most {100 * SHARE:g})",
    f"MB (at most {MEMORY / 1e6:g})",
    "most of it",
]
_WHOLE_COLUMNS = ["under load", "largest", "at most"]
_TOLD_COLUMNS = ["alert", "times", "heard of after, s", "its end after, s"]


def _host(name: str, units: Record) -> list[str]:
    share, memory = _sums(units)
    first = max(units, key=lambda unit: units[unit]["memory"])
    most = f"{first} ({units[first]['memory'] / 1e6:.0f} MB)"
    return [name, f"{100 * share:.2f}", f"{memory / 1e6:.0f}", most]


def _sums(units: Record) -> tuple[float, float]:
    """Share of a core and bytes of all units together."""
    return sum(one["share"] for one in units.values()), sum(one["memory"] for one in units.values())


def _scrapes(found: Record) -> dict[str, float]:
    return {job: seconds for job, seconds in found["scrapes"].items() if job != OUTSIDE}


def _whole(found: Record) -> list[list[str]]:
    scrapes = _scrapes(found)
    slowest = max(scrapes, key=lambda job: scrapes[job])
    return [
        ["Prometheus' memory, MB", f"{found['prometheus'] / 1e6:.0f}", f"{PROMETHEUS / 1e6:g}"],
        ["series", f"{found['series']:,.0f}", ""],
        [f"a scrape, s ({slowest})", f"{scrapes[slowest]:.2f}", f"{SCRAPE:g}"],
        ["load average of the machine at the end", str(found["load"]), ""],
    ]


def _delays(told: Sequence[Record]) -> list[list[str]]:
    grouped: dict[str, list[Record]] = defaultdict(list)
    for one in told:
        grouped[one["alert"]].append(one)
    return [
        [
            alert,
            str(len(found)),
            _span([one["came"] for one in found]),
            _span([one["went"] for one in found]),
        ]
        for alert, found in grouped.items()
    ]


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.0f} to {max(values):.0f}" if len(values) > 1 else f"{values[0]:.0f}"
