"""Results of shipping as Markdown."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from typing import Any

from tests.fleet.soak_table import table
from tests.load.workload import USUAL

Record = dict[str, Any]
_HEAD = """# Benchmarks: deploy and rollback

`python -m tests.fleet.shipping`, as root, in one run; with `--markdown` it prints this page from what was
measured last. The lab's ten hosts, the playbooks and the clients share one machine: {machine}.
So the playbooks work on as many hosts at a time as there are cores, and with `nice`: elsewhere they would not
take the processor from the hosts that serve.

Clients are open-loop, {rate:.0f} requests a second: questions (streamed) and searches with known answers,
lists, uploads, streams of events and acknowledged writes at {usual:g} a second together, the rest reads of
`/version`. Each is counted, and each document that was acknowledged is downloaded, compared and asked for at
the end. Each deploy waits for the first host to be among the others for 10 s. Smallest / median / largest.
"""


def document(found: Record) -> str:
    """The whole page."""
    phases, audit = found["phases"], found["audit"]
    total = sum(phase["requests"] for phase in phases.values())
    lost = sum(len(audit[key]) for key in ("lost", "damaged", "unready", "unanswered"))
    troubles = sum(found["troubles"].values())
    ratio = phases["shipping"]["p99"] / phases["quiet"]["p99"]
    kept = f"{audit['entries']:,} acknowledged documents, {lost} lost, {len(audit['doubled'])} doubled"
    parts = [
        _HEAD.format(machine=found["machine"], rate=found["rate"], usual=sum(USUAL.values())),
        f"**{total:,} requests, {troubles} of them failed, refused or answered wrongly**; {kept}.",
        *(f"- {count} × {what}" for what, count in found["troubles"].items()),
        "",
        table(_VERB_COLUMNS, [_verb(found["plays"], verb) for verb in ("deploy", "rollback")]),
        table(_BAD_COLUMNS, [_bad(one) for one in found["verdicts"]]),
        table(_PHASE_COLUMNS, [_phase(name, phase) for name, phase in phases.items()]),
        f"p99 while releases come and go: {ratio:.2f} times the quiet one.",
    ]
    return "\n".join(parts)


_VERB_COLUMNS = [
    "of the application alone",
    "times",
    "seconds",
    "a host out of the balancer",
    "bytes per host",
]
_BAD_COLUMNS = ["a bad release", "seconds until the exit code", "last line"]
_PHASE_COLUMNS = ["milliseconds", "requests", "p50", "p99", "p99 of questions", "writes", "uploads", "visits"]


def _verb(plays: Sequence[Record], verb: str) -> list[str]:
    found = [play for play in plays if play["verb"] == verb]
    out = [seconds for play in found for seconds in play["out"]]
    copied = max(play["bytes"] for play in found)
    return [verb, str(len(found)), _spread([play["seconds"] for play in found]), _spread(out), f"{copied:,}"]


def _bad(one: Record) -> list[str]:
    reason = re.sub(r"/nix/store/[0-9a-z]{32}-", "", one["reason"]).replace("|", "\\|")
    return [one["name"], f"{one['seconds']:.0f}", reason if len(reason) < 160 else f"{reason[:157]}..."]


def _phase(name: str, phase: Record) -> list[str]:
    kinds = [f"{1000 * phase['kinds'][kind]['p99']:.0f}" for kind in ("ask", "write", "upload", "visit")]
    return [
        name,
        f"{phase['requests']:,}",
        f"{1000 * phase['p50']:.0f}",
        f"{1000 * phase['p99']:.0f}",
        *kinds,
    ]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{min(values):.1f} / {statistics.median(values):.1f} / {max(values):.1f}"
