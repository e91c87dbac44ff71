"""What a lab has left on the machine, looked for by other means than the lab's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.lab.state import Place


def leftovers(place: Place) -> list[str]:
    """Everything that carries the lab's mark or path.

    Processes, mounts, loop devices, links, rules, cgroups, and files other than data disks.
    """
    marks = (place.ident, str(place.folder))
    found = [
        f"process {' '.join(words)}"
        for words in _processes()
        if any(mark in " ".join(words) for mark in marks)
    ]
    for command in (["findmnt", "-rn"], ["losetup", "-a"], ["ip", "-o", "link"], ["nft", "list", "tables"]):
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        found += [line for line in lines if any(mark in line for mark in marks)]
    for parent in (Path("/sys/fs/cgroup"), Path("/run/ka-lab"), Path("/run/systemd/nspawn/propagate")):
        found += [str(path) for path in parent.rglob(f"*{place.ident}*")]
    found += [str(path) for path in place.folder.rglob("*") if place.disks not in (path, *path.parents)]
    return found


def _processes() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(entry.read_bytes().decode(errors="replace").replace("\0", " "))
        except OSError:
            continue
    return found
