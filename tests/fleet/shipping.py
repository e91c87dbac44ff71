"""`python -m tests.fleet.shipping`: deploys and rollbacks under load until enough requests were counted.

The page that comes out is docs/benchmarks-deploy.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fleet.fleet import FOLDER, Fleet, bring_up, running_fleet
from tests.fleet.releases import Releases, forget, refused
from tests.fleet.shipping_page import document
from tests.fleet.soak_table import harmed, say
from tests.lab.bench import machine
from tests.lab.errors import LabError
from tests.load.http import Broken
from tests.load.outcome import Outcome, Outcomes
from tests.load.workload import USUAL, Workload

RESULTS = FOLDER / "shipping.json"
BAD = ("dead", "wrong", "slow", "broken", "strange")
QUIET = 120.0  # seconds of load before the first deploy
PAUSE = 5.0
_OUT = re.compile(r"(\S+) for ([\d.]+) s")
_COPIED = re.compile(r"copied: (\d+) bytes")
# Elsewhere a host that is worked on takes nothing from those that serve. Here they share the cores, evenly.
_FORKS = ("--forks", str(os.cpu_count() or 1))
_NO_LIMIT = 1_000_000  # requests in ten seconds from the one address that the load has
Record = dict[str, Any]


def main() -> int:
    """Exit code 0: nobody noticed anything; 1: somebody did, or a playbook failed; 2: asked for wrongly."""
    chosen = _arguments()
    if not chosen.markdown:
        try:
            with _serving(chosen.lab) as fleet:
                found = _ship(fleet, chosen.rate, chosen.requests)
        except (LabError, Broken) as error:
            print(f"shipping: {error}", file=sys.stderr)
            return 1
        chosen.results.parent.mkdir(parents=True, exist_ok=True)
        chosen.results.write_text(json.dumps(found, indent=1))
    found = json.loads(chosen.results.read_text())
    print(document(found))
    return 0 if not found["troubles"] and not harmed(found["audit"]) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.shipping", description=__doc__)
    parser.add_argument("--rate", type=float, default=200, help="requests a second (default: 200)")
    parser.add_argument(
        "--requests", type=int, default=100_000, help="go on until so many (default: 100,000)"
    )
    parser.add_argument("--lab", default="ship", help="made if it isn't up, and left as it is afterwards")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"(default: {RESULTS})")
    parser.add_argument("--markdown", action="store_true", help="run nothing, print the page of the results")
    return parser.parse_args()


@contextmanager
def _serving(name: str) -> Iterator[Fleet]:
    """A fleet that lets one address ask as often as it likes, until the end of this."""
    lab, home = bring_up(name)
    with running_fleet(lab, home) as fleet:
        say(f"site.yml on the lab '{name}'")
        fleet.play("site", "-e", f"balancer_rate={_NO_LIMIT}")
        try:
            yield fleet
        finally:
            fleet.play("site", "--tags", "balancer")


def _ship(fleet: Fleet, rate: float, requests: int) -> Record:
    releases = Releases()
    forget(fleet)
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare())
    plays: list[Record] = []
    with fleet.loop.load(workload.acts({**USUAL, "visit": rate - sum(USUAL.values())})) as load:
        begun = time.monotonic()
        say(f"{QUIET:.0f} s of {rate:.0f} requests a second")
        time.sleep(QUIET)
        quiet = time.monotonic()
        # rather too many than too few: a lab that falls behind sends late, but sends
        while time.monotonic() < begun + QUIET + requests / rate or len(load.outcomes) < requests:
            plays.append(_play(fleet, "deploy", *releases.options("good")))
            plays.append(_play(fleet, "rollback"))
            forget(fleet)
            troubles = dict(Outcomes(load.outcomes).troubles())
            say(f"{len(load.outcomes):,} requests, troubles: {troubles or 'none'}")
        shipped = time.monotonic()
        verdicts = [_verdict(fleet, releases, name) for name in BAD]
    audit = fleet.loop.run(workload.ledger.close(fleet.client, patience=120))
    forget(fleet)
    everything = load.outcomes
    phases = {
        "quiet": _between(everything, begun, quiet),
        "shipping": _between(everything, quiet, shipped),
        "bad releases": _between(everything, shipped, time.monotonic()),
    }
    return {
        "machine": machine(),
        "rate": rate,
        "load": round(os.getloadavg()[0], 1),
        "plays": plays,
        "verdicts": verdicts,
        "phases": {name: _figures(outcomes) for name, outcomes in phases.items()},
        "troubles": dict(Outcomes(everything).troubles()),
        "audit": asdict(audit),
    }


def _play(fleet: Fleet, verb: str, *options: str) -> Record:
    played = fleet.play(verb, *options, *_FORKS)
    copied = _COPIED.search(played.output)
    record: Record = {
        "verb": verb,
        "seconds": round(played.seconds, 1),
        "out": [float(seconds) for _, seconds in _OUT.findall(played.output)],
        "bytes": int(copied[1]) if copied else 0,
    }
    say(str(record))
    time.sleep(PAUSE)
    return record


def _verdict(fleet: Fleet, releases: Releases, name: str) -> Record:
    begun = time.monotonic()
    reason = refused(fleet, "deploy", *releases.options(name), *_FORKS)
    record: Record = {"name": name, "seconds": round(time.monotonic() - begun, 1), "reason": reason}
    say(str(record))
    time.sleep(PAUSE)
    return record


def _between(outcomes: Sequence[Outcome], begun: float, ended: float) -> Outcomes:
    return Outcomes(one for one in outcomes if begun <= one.at < ended)


def _figures(outcomes: Outcomes) -> Record:
    return {
        "requests": len(outcomes.all),
        "p50": outcomes.quantile(0.5),
        "p99": outcomes.quantile(0.99),
        "kinds": outcomes.summary(),
    }


if __name__ == "__main__":
    sys.exit(main())
