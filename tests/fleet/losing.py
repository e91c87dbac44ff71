"""`python -m tests.fleet.losing`: databases lost and restored, what was missing then, and what backups cost.

The page that comes out is docs/benchmarks-restore.md.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.fleet.faults import FAULTS
from tests.fleet.fleet import FOLDER, Fleet, bring_up, running_fleet
from tests.fleet.losing_page import document, kept
from tests.fleet.lost import BUSY, IDLE, lose_database
from tests.fleet.lost import RESULTS as RESTORES
from tests.fleet.prometheus import wait
from tests.fleet.saved import FOLDER as REPOSITORIES
from tests.fleet.saved import KEEPER, back_up, figure, holds_document, moment, sql
from tests.fleet.soak_table import say
from tests.fleet.trial import READY, WHOLE
from tests.fleet.used import used
from tests.lab.bench import machine
from tests.lab.errors import LabError
from tests.load import api
from tests.load.http import Broken
from tests.load.outcome import Outcomes
from tests.load.workload import USUAL, Workload

RESULTS = FOLDER / "losing.json"
DISK = 40  # GiB: five of data, as many beside, and the log
FEWEST, MOST = 45, 120  # seconds of writes before a loss, so that it meets every part of a round
WINDOW, PAIRS = 120.0, 3  # seconds of load with backups and without, and how often
GROWN = 900.0  # seconds of load for the growth of the repository
NORMAL: Mapping[str, float] = {**USUAL, "write": 0.0}
BATCH = 131_072  # rows of filling at once: a GiB
UNSAVED = 256 * 2**20  # bytes in the spool that the next batch waits for
DRAINED = 1800.0
# of 8 KiB, half of it random: what is saved of it is about half as large, as with text and vectors
FILLING = "CREATE TABLE IF NOT EXISTS filling (number bigint, what bytea STORAGE EXTERNAL)"
FILL = """
INSERT INTO filling SELECT n, r.half || decode(repeat(md5(n::text), 256), 'hex')
FROM generate_series({}, {}) n, LATERAL (
  SELECT string_agg(sha512((n || ' ' || i || random())::bytea), ''::bytea) half FROM generate_series(1, 64) i
) r
"""
SAVING = {"postgres": "backup-wal.service", "objects": "backup-objects.service"}
Record = dict[str, Any]
Part = Callable[[Fleet, argparse.Namespace], Any]


def main() -> int:
    """Exit code 0: it holds what was promised; 1: not so, or a playbook failed; 2: asked for wrongly."""
    chosen = _arguments()
    if not chosen.markdown:
        try:
            _measure(chosen)
        except (LabError, Broken) as error:
            print(f"losing: {error}", file=sys.stderr)
            return 1
    if not chosen.results.exists():
        print(f"losing: {chosen.results} is not there; run it without --markdown first.", file=sys.stderr)
        return 2
    found = json.loads(chosen.results.read_text())
    lines = chosen.restores.read_text().splitlines() if chosen.restores.exists() else []
    print(document(found, [json.loads(line) for line in lines]))
    return 0 if kept(found) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.losing", description=__doc__)
    parser.add_argument("--losses", type=int, default=10, help="half of them busy (default: 10)")
    parser.add_argument("--sizes", type=float, nargs="*", default=[1, 5], help="GB (default: 1 5)")
    parser.add_argument("--returns", type=int, default=3, help="documents brought back (default: 3)")
    parser.add_argument("--vectors", type=int, default=2000, help="in the rebuilt index (default: 2000)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="(default: all)")
    parser.add_argument("--lab", default="lose", help="made if it isn't up, and left as it is afterwards")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"(default: {RESULTS})")
    parser.add_argument("--restores", type=Path, default=RESTORES, help=f"of tests (default: {RESTORES})")
    parser.add_argument("--markdown", action="store_true", help="run nothing, print the page of the results")
    return parser.parse_args()


def _measure(chosen: argparse.Namespace) -> None:
    """Each part is written down as soon as it is known; those that are not asked for stay as they were."""
    chosen.results.parent.mkdir(parents=True, exist_ok=True)
    found: Record = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}
    with running_fleet(*bring_up(chosen.lab, disk=DISK)) as fleet:
        say(f"site.yml on the lab '{chosen.lab}'")
        fleet.play("site", timeout=1200)
        fleet.wait_whole(WHOLE)
        back_up(fleet)
        for name in chosen.parts:
            say(name)
            found |= {name: PARTS[name](fleet, chosen), "machine": machine()}
            found["load"] = round(os.getloadavg()[0], 1)
            chosen.results.write_text(json.dumps(found, indent=1))


def _losses(fleet: Fleet, chosen: argparse.Namespace) -> list[Record]:
    """The database is lost again and again, busy and idle in turn."""
    found = []
    for number in range(chosen.losses):
        busy = number % 2 == 0
        seconds = FEWEST + secrets.randbelow(MOST - FEWEST)
        loss = lose_database(fleet, BUSY if busy else IDLE, seconds)
        found.append({"busy": busy, **loss.record()})
        say(str(found[-1]))
        back_up(fleet)
    return found


def _sizes(fleet: Fleet, chosen: argparse.Namespace) -> list[Record]:
    """The same with larger databases."""
    found = []
    for size in sorted(chosen.sizes):
        _fill(fleet, size)
        begun = time.monotonic()
        made = back_up(fleet)
        saved = time.monotonic() - begun
        sizes = {"bytes": _bytes(fleet), "base": made["base"]["bytes"]}
        loss = lose_database(fleet, IDLE, FEWEST)
        found.append({**sizes, "saved": round(saved, 1), **loss.record()})
        say(str(found[-1]))
    leader = fleet.member("leader")
    sql(fleet, leader, "DROP TABLE IF EXISTS filling")
    back_up(fleet)
    return found


def _fill(fleet: Fleet, size: float) -> None:
    """Bring the database to this many GB, no faster than its log is saved."""
    leader = fleet.member("leader")
    sql(fleet, leader, FILLING)
    while (left := size * 1e9 - _bytes(fleet)) > 0:
        held = int(sql(fleet, leader, "SELECT coalesce(max(number), 0) FROM filling"))
        rows = min(BATCH, max(1, int(left / 8192)))
        sql(fleet, leader, FILL.format(held + 1, held + rows), timeout=900)
        sql(fleet, leader, "CHECKPOINT", timeout=300)
        say(f"{held + rows:,} rows of filling")
        wait(lambda: (figure(fleet, leader, "ka_backup_spool_bytes") or 0) < UNSAVED, DRAINED, "the spool")


def _bytes(fleet: Fleet) -> int:
    """Of the database."""
    return int(sql(fleet, fleet.member("leader"), "SELECT pg_database_size('assistant')"))


def _returns(fleet: Fleet, chosen: argparse.Namespace) -> list[float]:
    """Seconds until a deleted document answers again."""
    found = []
    with used(fleet, {}) as (workload, _):
        ledger = workload.ledger
        for entry in ledger.entries[: chosen.returns]:
            wait(partial(holds_document, fleet, entry.sha256), READY, "it to be saved")
            which = {
                "return_knowledge_base": ledger.knowledge_base,
                "return_document": entry.fact.name,
                "return_time": moment(fleet),
            }
            fleet.loop.run(fleet.client.request("DELETE", f"/api/v1/documents/{entry.id}"))
            time.sleep(60)  # until the log of that moment is saved
            found.append(round(fleet.play("return", "-e", json.dumps(which)).seconds, 1))
            answer = fleet.loop.run(api.ask(fleet.client, ledger.knowledge_base, entry.fact.question))
            if entry.fact.code.encode() not in answer.body:
                raise LabError(f"{entry.fact.name} came back and does not answer.")
    return found


def _rebuild(fleet: Fleet, chosen: argparse.Namespace) -> Record:
    """An index made anew, while questions are asked."""
    fault = FAULTS["chroma-disk"]
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare(chosen.vectors, patience=READY + chosen.vectors))
    with fleet.loop.load(workload.acts({"ask": 2.0})) as load:
        blow = fault.aim(fleet)
        blow.strike()
        blow.mend()
        begun = time.monotonic()
        while lacks := fleet.loop.run(workload.lacks()):
            if time.monotonic() > begun + READY + chosen.vectors:
                raise LabError(f"The index was not made anew: {lacks}")
            time.sleep(0.2)
        seconds = time.monotonic() - begun
    outcomes = Outcomes(load.outcomes)
    fleet.loop.run(workload.ledger.clear(fleet.client))
    fleet.wait_whole(WHOLE)
    return {
        "vectors": chosen.vectors,
        "seconds": round(seconds, 1),
        "questions": len(outcomes.all),
        "right": outcomes.count()["ok"],
        "wrong": outcomes.count()["wrong"],
    }


def _cost(fleet: Fleet, chosen: argparse.Namespace) -> list[Record]:
    """Seconds at the 99th percentile of questions: without backups, with them, and during a base backup."""
    found: list[Record] = []
    with used(fleet, USUAL) as (_, load):

        def window() -> float:
            first = time.monotonic()
            time.sleep(WINDOW)
            return Outcomes(one for one in load.outcomes if one.at >= first).quantile(0.99, "ask")

        for _ in range(PAIRS):
            with _unsaved(fleet):
                without = window()
            within = window()
            first = time.monotonic()
            back_up(fleet)
            base = Outcomes(one for one in load.outcomes if one.at >= first).quantile(0.99, "ask")
            found.append({"without": without, "with": within, "base": base})
            say(str(found[-1]))
    return found


@contextmanager
def _unsaved(fleet: Fleet) -> Iterator[None]:
    """Nothing is sent to the repository in the block; what is written waits."""
    places = [(host, unit) for group, unit in SAVING.items() for host in fleet.hosts(group)]
    for host, unit in places:
        fleet.output(host, f"systemctl stop {unit}")
    try:
        yield
    finally:
        for host, unit in places:
            fleet.output(host, f"systemctl start {unit}")


def _growth(fleet: Fleet, chosen: argparse.Namespace) -> Record:
    """Bytes of the repository before and after a time of use, and one without."""
    found: Record = {}
    for name, rates in (("idle", {}), ("used", NORMAL)):
        with used(fleet, rates) as (_, load):
            before, sent = _size(fleet), len(load.outcomes)
            time.sleep(GROWN)
            found[name] = {
                "seconds": GROWN,
                "bytes": _size(fleet) - before,
                "requests": len(load.outcomes) - sent,
            }
        say(str(found[name]))
    return found


def _size(fleet: Fleet) -> int:
    return int(fleet.output(KEEPER, f"du -sb {REPOSITORIES}").split()[0])


PARTS: Mapping[str, Part] = {
    "losses": _losses,
    "returns": _returns,
    "cost": _cost,
    "growth": _growth,
    "rebuild": _rebuild,
    "sizes": _sizes,
}

if __name__ == "__main__":
    sys.exit(main())
