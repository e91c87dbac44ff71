"""backup drill [SETTINGS]: restore the newest good set beside the fleet, compare both, and ask it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from ka_backup import drill, metrics, watch
from ka_backup.config import Config
from ka_backup.drill_asking import Known
from ka_backup.errors import Unusable

SETTINGS = Path("/etc/knowledge-assistant/drill.json")
STATE = "/var/lib/ka-drill"
Figures = dict[str, tuple[str, metrics.Samples]]


def main(config: Config, arguments: Sequence[str]) -> int:
    """0 when it passed. Raises Unusable, OSError; all else is in the result."""
    settings = load(Path(arguments[0]) if arguments else SETTINGS)
    # systemd's stop: what was begun is cleared away
    signal.signal(signal.SIGTERM, _stopped)
    state = Path(os.environ.get("STATE_DIRECTORY", STATE))
    result = drill.Drill(config, settings, watch.Kept()).run()
    new = state / "result.json.new"
    new.write_text(json.dumps(result.plain(), indent=1) + "\n", encoding="utf-8")
    new.chmod(0o644)
    new.replace(state / "result.json")
    metrics.write(config.metrics, "drill", figures(result, time.time()))
    for problem in [*result.said, *result.problems]:
        sys.stderr.write(f"{problem}\n")
    sys.stdout.write(summary(result) + "\n")
    return 0 if result.passed else 1


def load(path: Path) -> drill.Settings:
    """Raises Unusable."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = [
            Known(one["question"], one["document"], tuple(map(str, one["words"]))) for one in found["known"]
        ]
        return drill.Settings(
            folder=Path(found["folder"]),
            fleet=found["fleet"],
            ca=found["ca"],
            profile=Path(found["profile"]),
            knowledge_base=found["knowledge_base"],
            known=tuple(known),
            seconds=float(found["seconds"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{path} cannot be used ({error}); run site.yml --tags drill.") from error


def figures(result: drill.Result, now: float) -> Figures:
    """What node exporter is told; what was not reached is left out. ``now`` in seconds since 1970."""
    told: Figures = {
        "ka_drill_timestamp_seconds": ("When the last drill ended.", [({}, round(now))]),
        "ka_drill_passed": ("Whether all of it was right.", [({}, int(result.passed))]),
    }
    if result.rpo_seconds is not None:
        about = "From the newest marker that was restored to the beginning of the drill."
        told["ka_drill_rpo_seconds"] = (about, [({}, result.rpo_seconds)])
    reached = {"database": result.rto_database_seconds, "answers": result.rto_answers_seconds}
    times = [({"until": until}, seconds) for until, seconds in reached.items() if seconds is not None]
    if times:
        told["ka_drill_rto_seconds"] = ("From the beginning of the drill.", times)
    return told


def summary(result: drill.Result) -> str:
    """One line for people."""
    if not result.passed:
        return f"The drill did not pass: {len(result.problems)} things are wrong."
    return (
        f"{result.set} was restored: {result.documents_compared} documents are as in the fleet, "
        f"{result.objects_checked} files as uploaded, {result.questions} answers right. "
        f"RPO {result.rpo_seconds:.0f} s; RTO {result.rto_database_seconds:.0f} s to the database, "
        f"{result.rto_answers_seconds:.0f} s to answers."
    )


def _stopped(number: int, frame: FrameType | None) -> None:
    del number, frame
    sys.exit(143)
