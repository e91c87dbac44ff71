"""`python -m tests.fleet.soak`: faults again and again, and the table of what they did.

Each run is written down as it ends, so it goes on where it was broken off.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.fleet.faults import FAULTS
from tests.fleet.figures import ALONE, ON_A_FLEET
from tests.fleet.fleet import FOLDER, Fleet, bring_up, running_fleet
from tests.fleet.soak_table import document, harmed, say
from tests.fleet.trial import endure
from tests.lab.errors import LabError
from tests.load.http import Broken

RESULTS = FOLDER / "soak.jsonl"
OFTEN = ("switchover", "kill-9", "power-cut")
_FIGURE_RUNS = 5
KNOWN = (*ALONE, *ON_A_FLEET, *FAULTS)
Record = dict[str, Any]


def main() -> int:
    """Exit code 0: all was run, and nothing lost or wrong; 1: not so; 2: asked for wrongly."""
    chosen = _arguments()
    done = _read(chosen.results)
    if not chosen.markdown:
        try:
            _run_missing(chosen, done)
        except (LabError, Broken) as error:
            print(f"soak: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("soak: interrupted; call it again to go on.", file=sys.stderr)
            return 130
        done = _read(chosen.results)
    print(document(done))
    return 0 if all(_harmless(record) for record in done) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fleet.soak", description=__doc__, epilog=f"There are: {', '.join(KNOWN)}."
    )
    parser.add_argument("--only", nargs="+", choices=KNOWN, default=KNOWN, metavar="NAME", help="some alone")
    parser.add_argument("--runs", type=int, help="of each (default: 20 of the first three faults, 5 else)")
    parser.add_argument("--lab", default="soak", help="made if it isn't up, and left as it is afterwards")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"(default: {RESULTS})")
    parser.add_argument("--markdown", action="store_true", help="run nothing, print the table of the results")
    return parser.parse_args()


def _run_missing(chosen: argparse.Namespace, done: Sequence[Record]) -> None:
    """Everything that was not yet run as often as it should be."""
    times = Counter(record["name"] for record in done)
    missing = [
        (name, number)
        for name in chosen.only
        for number in range(times[name] + 1, 1 + (chosen.runs or _runs(name)))
    ]
    for name, number in missing:
        if name in ALONE:
            _note(chosen.results, name, number, partial(_alone, name))
    shared = [(name, number) for name, number in missing if name not in ALONE]
    if not shared:
        return
    with _serving(chosen.lab) as fleet:
        for name, number in shared:
            _note(chosen.results, name, number, partial(_on_fleet, fleet, name))


def _runs(name: str) -> int:
    return 20 if name in OFTEN else _FIGURE_RUNS


@contextmanager
def _serving(name: str) -> Iterator[Fleet]:
    lab, home = bring_up(name)
    with running_fleet(lab, home) as fleet:
        say(f"site.yml on the lab '{name}'")
        fleet.play("site")
        yield fleet


def _alone(name: str) -> Record:
    return {"seconds": ALONE[name]()}


def _on_fleet(fleet: Fleet, name: str) -> Record:
    if name in ON_A_FLEET:
        return {"seconds": ON_A_FLEET[name](fleet)}
    return endure(fleet, FAULTS[name]).record()


def _note(results: Path, name: str, number: int, act: Callable[[], Record]) -> None:
    """Do it, and write down what came of it, also that it broke off."""
    begun = time.monotonic()
    record: Record = {"name": name, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    try:
        record |= act()
    except (LabError, Broken) as error:
        record["error"] = str(error)
        raise
    finally:
        if len(record) > 2:
            results.parent.mkdir(parents=True, exist_ok=True)
            with results.open("a") as file:
                file.write(json.dumps(record) + "\n")
    figures = {key: record[key] for key in ("seconds", "gap", "errors", "healed") if key in record}
    harm = "" if _harmless(record) else "  HARM: see the results"
    say(f"{name} {number}: {figures} ({time.monotonic() - begun:.0f} s){harm}")


def _harmless(record: Record) -> bool:
    if "error" in record:
        return False
    return not record.get("wrong") and not harmed(record.get("audit", {}))


def _read(results: Path) -> list[Record]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


if __name__ == "__main__":
    sys.exit(main())
