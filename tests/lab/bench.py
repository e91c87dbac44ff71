"""How long the lab takes for what one does with it, and what it costs: `tools/lab bench`."""

from __future__ import annotations

import os
import platform
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab import cgroups, creation, state, topology
from tests.lab.image import Image
from tests.lab.lab import Lab

Row = tuple[str, list[float], str]


def run(image: Image, fleets: Sequence[str], rounds: int, say: creation.Say) -> str:
    """Measure ``rounds`` times per fleet in a lab made for this; returns a Markdown table.

    Args:
        image: what the hosts boot.
        fleets: names of hosts or fleets, one lab each.
        rounds: how often each is brought up and down.
        say: is told how far it is.
    """
    rows: list[Row] = []
    for fleet in fleets:
        rows += _measure(image, fleet, rounds, say)
    head = [
        f"{machine()}; {rounds} rounds, load {os.getloadavg()[0]:.0f} at the end, from other work too",
        "",
    ]
    table = ["| what | median | smallest | largest |", "|---|---|---|---|"]
    table += [
        f"| {what} | {statistics.median(found):.2f} {unit} | {min(found):.2f} | {max(found):.2f} |"
        for what, found, unit in rows
    ]
    return "\n".join([*head, *table]) + "\n"


def _measure(image: Image, fleet: str, rounds: int, say: creation.Say) -> list[Row]:
    plans = topology.choose(fleet.split(","))
    lab, one = Lab.named(f"bench-{secrets.token_hex(3)}"), plans[0].name
    acts: dict[str, Callable[[], object]] = {
        "`up` until SSH on all": lambda: creation.up(lab.place, plans, image),
        "`kill` of one until gone": lambda: lab.kill(one),
        "`start` of one until SSH": lambda: lab.start(one),
        "`stop` of one": lambda: lab.stop(one),
        "`replace` of one until SSH": lambda: lab.replace(one),
        "`down`": lambda: creation.down(lab.place, wipe=True),
    }
    times: dict[str, list[float]] = {what: [] for what in acts}
    memory: list[float] = []
    disk: list[float] = []
    for number in range(rounds):
        say(f"{len(plans)} hosts, round {number + 1} of {rounds}")
        try:
            for what, act in acts.items():
                if what == "`down`":
                    memory += _memory(lab.place, [plan.name for plan in plans])
                    disk += [_written(lab.place.host(plan.name) / "upper") for plan in plans]
                begun = time.monotonic()
                act()
                times[what].append(time.monotonic() - begun)
        finally:
            creation.down(lab.place, wipe=True, grace=0)
    mark = f"{len(plans)} hosts: "
    rows = [(mark + what, found, "s") for what, found in times.items()]
    return [*rows, (mark + "memory per idle host", memory, "MiB"), (mark + "written per host", disk, "MiB")]


def _memory(place: state.Place, hosts: Sequence[str]) -> list[float]:
    """MiB per host: the kernel's count, with the cached files that no other host has read before."""
    return [(cgroups.memory_used(place.ident, host) or 0) / 2**20 for host in hosts]


def _written(folder: Path) -> float:
    """MiB that a host has taken up on the disk."""
    return sum(path.lstat().st_blocks for path in folder.rglob("*")) * 512 / 2**20


def machine() -> str:
    """What this machine is, for a report."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    about = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in about if "model name" in line]
    model = models[0] if models else "an unknown processor"
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {platform.release()}"
