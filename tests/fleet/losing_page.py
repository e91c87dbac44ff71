"""Results of losing as Markdown."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tests.fleet.lost import BUSY
from tests.fleet.soak_table import table

Record = dict[str, Any]
# what was promised: seconds of writes, of the database for 10 GB, of a site, of a document; times of p99
MISSING, DATABASE, SITE, DOCUMENT, SLOWER = 60.0, 300.0, 900.0, 60.0, 1.2
TEN, TERA = 10e9, 1e12
DAY = 86_400
_HEAD = """# Benchmarks: backup and restore

`python -m tests.fleet.losing`, as root; with `--markdown` it prints this page from what was measured last.
The lab's ten hosts, the playbooks and the clients share one machine: {machine}; its load average at the end
was {load}. All hosts write to one disk, and read from it.

A loss is that of all hosts of the database with their disks, in the middle of writes whose acknowledgements
are kept. Busy: {busy:g} a second, uploads among them; idle: one in ten seconds. Then new hosts, `site.yml` on
them, and `restore.yml`. Each acknowledged write is looked for afterwards, each document downloaded, compared
and asked for. Smallest / median / largest.
"""
_LINE = """
A database that is larger takes {slope:.1f} s more per GB; the rest, {rest:.0f} s, it takes at any size.
**10 GB: {ten:.0f} s** (at most {most:.0f}), {measured}.
"""
_FAR = "**Calculated, not measured**, from the line above and on such a machine:"
_TOLD = "Of tests (`make restore-test`, `make disaster-test`), seconds of the verb until right answers:"


def document(found: Record, restores: Sequence[Record]) -> str:
    """The whole page, of what there is; ``restores`` are lines of ``restores.jsonl``."""
    busy = BUSY["write"] + BUSY["upload"]
    head = _HEAD.format(machine=found["machine"], load=found["load"], busy=busy)
    parts = [head]
    if losses := found.get("losses"):
        parts += [_verdict(losses), table(_LOSS_COLUMNS, [_loss(losses, busy) for busy in (True, False)])]
    if sizes := found.get("sizes"):
        parts += [table(_SIZE_COLUMNS, [_size(one) for one in sizes]), *_lines(sizes)]
    if rows := _others(found):
        parts.append(table(["what", "measured", "at most"], rows))
    if restores:
        parts += [f"{_TOLD}\n", table(_TOLD_COLUMNS, _told(restores))]
    return "\n".join(parts)


def kept(found: Record) -> bool:
    """Whether it holds what was promised, as far as it was measured."""
    all_losses = [*found.get("losses", []), *found.get("sizes", [])]
    held = [one["oldest"] <= MISSING and not one["later"] and not one["harmed"] for one in all_losses]
    held += [seconds <= DOCUMENT for seconds in found.get("returns", [])]
    if cost := found.get("cost"):
        held.append(slower(cost, "with") <= SLOWER)
    if len(found.get("sizes", [])) > 1:
        rest, slope = line(found["sizes"])
        held.append(rest + slope * TEN <= DATABASE)
    if rebuild := found.get("rebuild"):
        held.append(not rebuild["wrong"])
    return all(held)


def line(sizes: Sequence[Record]) -> tuple[float, float]:
    """Seconds at no size, and seconds per byte, of the straight line that fits best."""
    slope, rest = statistics.linear_regression(
        [one["bytes"] for one in sizes], [one["database"] for one in sizes]
    )
    return rest, slope


def slower(cost: Sequence[Record], what: str) -> float:
    """How many times the 99th percentile without backups it is; medians of all pairs."""
    within, without = ([float(one[key]) for one in cost] for key in (what, "without"))
    return statistics.median(within) / statistics.median(without)


_LOSS_COLUMNS = [
    "losses",
    "times",
    "acknowledged",
    "missing",
    "age of the oldest missing, s",
    "later ones kept",
    "harmed",
    "new hosts ready, s",
    "database, s",
    "right answers, s",
]
_SIZE_COLUMNS = [
    "GB",
    "base backup, GB",
    "backup.yml, s",
    "database, s",
    "right answers, s",
    "missing",
    "oldest, s",
]
_TOLD_COLUMNS = ["what", "times", "seconds", "acknowledged writes missing"]


def _verdict(losses: Sequence[Record]) -> str:
    worst = max(one["oldest"] for one in losses)
    missing = sum(one["missing"] for one in losses)
    total = sum(one["acknowledged"] for one in losses)
    return (
        f"**In {len(losses)} losses the oldest missing write was {worst:.0f} s old** "
        f"(at most {MISSING:.0f}); "
        f"{missing:,} of {total:,} acknowledged writes were missing.\n"
    )


def _loss(losses: Sequence[Record], busy: bool) -> list[str]:
    found = [one for one in losses if one["busy"] is busy]
    return [
        "busy" if busy else "idle",
        str(len(found)),
        f"{sum(one['acknowledged'] for one in found):,}",
        f"{sum(one['missing'] for one in found):,}",
        _spread([one["oldest"] for one in found]),
        str(sum(one["later"] for one in found)),
        str(sum(len(names) for one in found for names in one["harmed"].values())),
        *(_spread([one[key] for one in found], 0) for key in ("hosts", "database", "answers")),
    ]


def _size(one: Record) -> list[str]:
    return [
        f"{one['bytes'] / 1e9:.2f}",
        f"{one['base'] / 1e9:.2f}",
        *(f"{one[key]:.0f}" for key in ("saved", "database", "answers")),
        str(one["missing"]),
        f"{one['oldest']:.0f}",
    ]


def _lines(sizes: Sequence[Record]) -> list[str]:
    """What follows from two sizes; nothing from one."""
    if len(sizes) < 2:
        return []
    rest, slope = line(sizes)
    largest = max(one["bytes"] for one in sizes)
    measured = "calculated from the line" if largest < TEN else "within what was measured"
    text = _LINE.format(
        slope=slope * 1e9, rest=rest, ten=rest + slope * TEN, most=DATABASE, measured=measured
    )
    rows = [[f"{times:g} TB", f"{(rest + slope * times * TERA) / 3600:.1f}"] for times in (0.1, 1, 10)]
    return [text.lstrip(), f"{_FAR}\n", table(["database", "hours until it serves"], rows)]


def _others(found: Record) -> list[list[str]]:
    rows = []
    if returns := found.get("returns"):
        rows.append(["a deleted document answers again, s", _spread(returns), f"{DOCUMENT:.0f}"])
    if cost := found.get("cost"):
        for what, name, most in (("with", "backups", f"{SLOWER:g}"), ("base", "a base backup under way", "")):
            times = f"{slower(cost, what):.2f} of {len(cost)} pairs"
            rows.append([f"p99 of questions with {name}, times that without", times, most])
    for name, growth in found.get("growth", {}).items():
        per_day = growth["bytes"] / growth["seconds"] * DAY
        rate = growth["requests"] / growth["seconds"]
        what = f"growth of the repository in a day, {name} ({rate:.1f} requests a second), MB"
        rows.append([what, f"{per_day / 1e6:,.0f}, calculated from {growth['seconds'] / 60:.0f} minutes", ""])
    if rebuild := found.get("rebuild"):
        rate = rebuild["vectors"] / rebuild["seconds"]
        rows.append([f"vectors indexed anew per second, of {rebuild['vectors']:,}", f"{rate:.0f}", ""])
        right = f"{rebuild['right']:,} of {rebuild['questions']:,}, {rebuild['wrong']} wrong"
        rows.append(["questions answered rightly from that loss to the end", right, ""])
    return rows


def _told(restores: Sequence[Record]) -> list[list[str]]:
    grouped: dict[str, list[Record]] = defaultdict(list)
    for one in restores:
        grouped[one["what"]].append(one)
    rows = []
    for what, ones in grouped.items():
        seconds = [float(one.get("answers") or one.get("seconds") or math.nan) for one in ones]
        known = [value for value in seconds if not math.isnan(value)]
        lost = [f"{one['missing']}, the oldest {one['oldest']:.0f} s" for one in ones if "missing" in one]
        rows.append([what, str(len(ones)), _spread(known, 0), "; ".join(lost[-1:])])
    return rows


def _spread(values: Sequence[float], digits: int = 1) -> str:
    if not values:
        return ""
    shown = (min(values), statistics.median(values), max(values))
    return " / ".join(f"{value:.{digits}f}" for value in (shown if len(values) > 1 else values))
