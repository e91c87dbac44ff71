"""`python -m tests.fleet.watching`: what it costs to watch a fleet, and whether a quiet one is quiet.

The page that comes out is docs/benchmarks-watch.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from tests.fleet.fleet import FOLDER, Fleet, bring_up, running_fleet
from tests.fleet.prometheus import firing, query, wait
from tests.fleet.soak_table import say
from tests.fleet.telling import RESULTS as ALERTS
from tests.fleet.used import used
from tests.fleet.watching_page import document, kept
from tests.lab.bench import machine
from tests.lab.errors import LabError
from tests.load.http import Broken
from tests.load.workload import USUAL

RESULTS = FOLDER / "watching.json"
# what a fleet is used for all day; without the writes that tell how long a fault lasts
NORMAL = {**USUAL, "write": 0.0}
SETTLED = 300.0  # seconds until nothing is told of a fleet that was just made
PAUSE = 60.0  # between that and the first reading
UNITS = ("metrics", "prometheus-node-exporter", "prometheus-postgres-exporter", "systemd-journal-upload")
# comes every ten minutes (exporters_facts) and ends, so its last run is counted
FACTS, FACTS_SECONDS = "metrics-facts", 600.0
# Run on a host with units as arguments: microseconds of processor until now, and bytes of memory, by unit.
# A file that several processes of a unit have mapped counts once, and as a whole: other hosts of a lab, that
# may have it in the same memory, are no reason to count less.
COUNT = r"""
import json, pathlib, re, subprocess, sys
def show(unit, what):
    asked = ["systemctl", "show", "-P", what, unit]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
def memory(pids):
    own, files = 0, {}
    for pid in pids:
        here, name = {}, ""
        try:
            lines = pathlib.Path("/proc", pid, "smaps").read_text().splitlines()
            rolled = pathlib.Path("/proc", pid, "smaps_rollup").read_text()
        except OSError:
            continue
        own += sum(int(one) for one in re.findall(r"^Pss_(?:Anon|Shmem): +(\d+)", rolled, re.M))
        for line in lines:
            words = line.split()
            if not words[0].endswith(":"):
                name = words[5] if len(words) > 5 and words[5].startswith("/") else ""
            elif name and words[0] in ("Rss:", "Anonymous:"):
                here[name] = here.get(name, 0) + int(words[1]) * (1 if words[0] == "Rss:" else -1)
        files.update({name: max(size, files.get(name, 0)) for name, size in here.items()})
    return 1024 * (own + sum(files.values()))
found = {}
for unit in sys.argv[1:]:
    group = pathlib.Path("/sys/fs/cgroup" + show(unit, "ControlGroup"))
    if group.name == unit + ".service" and group.exists():
        used = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        pids = [pid for file in group.rglob("cgroup.procs") for pid in file.read_text().split()]
        found[unit] = {"used": int(used["usage_usec"]), "memory": memory(pids)}
last = show("FACTS", "CPUUsageNSec")
print(json.dumps({"units": found, "facts": int(last) / 1000 if last.isdigit() else 0}))
""".replace("FACTS", FACTS)
Record = dict[str, Any]


def main() -> int:
    """Exit code 0: it costs what it may, and nothing was told; 1: not so; 2: asked for wrongly."""
    chosen = _arguments()
    if not chosen.markdown:
        try:
            with running_fleet(*bring_up(chosen.lab)) as fleet:
                say(f"site.yml on the lab '{chosen.lab}'")
                fleet.play("site")
                found = _watch(fleet, 60 * chosen.rest, 60 * chosen.minutes)
        except (LabError, Broken) as error:
            print(f"watching: {error}", file=sys.stderr)
            return 1
        chosen.results.parent.mkdir(parents=True, exist_ok=True)
        chosen.results.write_text(json.dumps(found, indent=1))
    if not chosen.results.exists():
        print(f"watching: {chosen.results} is not there; run it without --markdown first.", file=sys.stderr)
        return 2
    found = json.loads(chosen.results.read_text())
    lines = chosen.alerts.read_text().splitlines() if chosen.alerts.exists() else []
    print(document(found, [json.loads(line) for line in lines]))
    return 0 if kept(found) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.watching", description=__doc__)
    parser.add_argument("--rest", type=float, default=5, help="minutes without clients (default: 5)")
    parser.add_argument("--minutes", type=float, default=20, help="minutes of normal load (default: 20)")
    parser.add_argument("--lab", default="watch", help="made if it isn't up, and left as it is afterwards")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"(default: {RESULTS})")
    parser.add_argument("--alerts", type=Path, default=ALERTS, help=f"of tests of alerts (default: {ALERTS})")
    parser.add_argument("--markdown", action="store_true", help="run nothing, print the page of the results")
    return parser.parse_args()


def _watch(fleet: Fleet, rest: float, loaded: float) -> Record:
    wait(lambda: firing(fleet) == {"Watchdog"}, SETTLED)
    time.sleep(PAUSE)
    say(f"{rest:.0f} s without clients")
    costs = _costs(fleet, rest)
    with used(fleet, NORMAL) as (_, load):
        begun = time.monotonic()
        while (left := begun + loaded - time.monotonic()) > 0:
            say(f"{left:.0f} s of normal load to go; firing: {sorted(firing(fleet))}")
            time.sleep(min(60.0, left))
        seconds = round(time.monotonic() - begun)
        return {
            "machine": machine(),
            "load": round(os.getloadavg()[0], 1),
            "rest": rest,
            "seconds": seconds,
            "requests": len(load.outcomes),
            "hosts": costs,
            "prometheus": _largest(fleet, 'process_resident_memory_bytes{job="prometheus"}', seconds),
            "series": _largest(fleet, "prometheus_tsdb_head_series", seconds),
            "scrapes": _slowest(fleet, seconds),
            "alerts": _seen(fleet, "firing", seconds),
            "pending": _seen(fleet, "pending", seconds),
        }


def _costs(fleet: Fleet, seconds: float) -> Record:
    """By host and unit: share of a core within so many seconds, and bytes of memory at their end."""
    begun = time.monotonic()
    before = _count(fleet)
    time.sleep(seconds)
    after, elapsed = _count(fleet), time.monotonic() - begun
    found: Record = {}
    for host, counted in after.items():
        found[host] = {
            unit: {
                "share": (now["used"] - before[host]["units"][unit]["used"]) / 1e6 / elapsed,
                "memory": now["memory"],
            }
            for unit, now in counted["units"].items()
            if unit in before[host]["units"]
        }
        found[host][FACTS] = {"share": counted["facts"] / 1e6 / FACTS_SECONDS, "memory": 0}
    return found


def _count(fleet: Fleet) -> dict[str, Any]:
    """What each host says of its units."""
    command = shlex.join(["python3", "-c", COUNT, *UNITS])
    told = fleet.lab.run_on(list(fleet.lab.record().hosts), command)
    for host, done in told.items():
        if done.returncode:
            raise LabError(f"{host} does not tell what its units use: {done.stderr.strip()[-300:]}")
    return {host: json.loads(done.stdout) for host, done in told.items()}


def _largest(fleet: Fleet, what: str, seconds: int) -> float:
    return query(fleet, f"max(max_over_time({what}[{seconds}s]))")[()]


def _slowest(fleet: Fleet, seconds: int) -> dict[str, float]:
    """Seconds of the longest scrape, by job."""
    found = query(fleet, f"max by (job) (max_over_time(scrape_duration_seconds[{seconds}s]))", "job")
    return {job: value for (job,), value in sorted(found.items())}


def _seen(fleet: Fleet, state: str, seconds: int) -> list[str]:
    """Alerts that were in this state at any time."""
    shown = f'alertname!="Watchdog", alertstate="{state}"'
    found = query(fleet, f"count_over_time(ALERTS{{{shown}}}[{seconds}s])", "alertname", "host")
    return sorted(f"{name} {host}".strip() for name, host in found)


if __name__ == "__main__":
    sys.exit(main())
