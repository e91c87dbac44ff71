"""One cgroup per host, in each hierarchy that matters: to limit it, to find, end or stop its processes.

Works where only cgroup v2 is mounted and where v2 is a hierarchy without controllers beside those of v1.
Without cgroups of their own, all nspawns on a machine that has no systemd share one and see each other.
"""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError

PARENT = "ka-lab"
_V1 = {"name=systemd", "memory", "pids", "cpu"}


@dataclass(frozen=True)
class Hierarchies:
    """Mount points: ``unified`` is cgroup v2; ``old`` those of v1 that are used, by controller."""

    unified: Path
    old: dict[str, Path]


def hierarchies() -> Hierarchies:
    """What is mounted here.

    Raises:
        LabError: there is no cgroup v2, with which hosts are ended and frozen as a whole.
    """
    unified: Path | None = None
    old: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2":
            unified = unified or Path(where)
        elif kind == "cgroup":
            for controller in _V1.intersection(options.split(",")):
                old[controller] = Path(where)
    if unified is None or _kernel() < (5, 14):
        raise LabError(
            "This machine has no cgroup v2 with cgroup.kill (Linux 5.14 or newer): the lab needs it."
        )
    return Hierarchies(unified, old)


def make(ident: str, host: str, memory: int | None) -> list[Path]:
    """Make the cgroup of a host and limit it to ``memory`` MiB, if given; nothing happens if it is there.

    Returns:
        The `cgroup.procs` that its runner has to enter; the first is for the machine itself, nspawn or QEMU.
    """
    found = hierarchies()
    group = _path(found.unified, ident, host)
    _make_folder(group / "machine")
    _make_folder(group / "runner")
    for above in (found.unified, found.unified / PARENT, group.parent):
        for controller in ("memory", "pids", "cpu"):
            _try_write(above / "cgroup.subtree_control", f"+{controller}")
    if memory is not None:
        _try_write(group / "memory.max", str(memory << 20))
        _try_write(group / "memory.swap.max", "0")
    entries = [group / "machine" / "cgroup.procs", group / "runner" / "cgroup.procs"]
    for controller, where in found.old.items():
        old = _path(where, ident, host)
        _make_folder(old)
        if controller == "memory" and memory is not None:
            _try_write(old / "memory.limit_in_bytes", str(memory << 20))
        entries.append(old / "cgroup.procs")
    return entries


def processes(ident: str, host: str | None = None) -> list[int]:
    """Every process of this host, or of the whole lab."""
    found: list[int] = []
    for group in _groups(_path(hierarchies().unified, ident, host)):
        with suppress(OSError):
            found += [int(line) for line in (group / "cgroup.procs").read_text().split()]
    return found


def leader(ident: str, host: str) -> int | None:
    """The host's own PID 1 as this machine numbers it; None if it doesn't run or isn't a container."""
    for pid in processes(ident, host):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("NSpid:"):
                    numbers = line.split()[1:]
                    if len(numbers) == 2 and numbers[1] == "1":
                        return pid
    return None


def populated(ident: str, host: str | None = None) -> bool:
    """Whether any process of this host, or of the whole lab, lives."""
    return _event(_path(hierarchies().unified, ident, host), "populated")


def frozen(ident: str, host: str) -> bool:
    return _event(_path(hierarchies().unified, ident, host), "frozen")


def freeze(ident: str, host: str, still: bool, patience: float = 5) -> None:
    """Let none of the host's processes run any more, or all again; returns when that is so.

    Raises:
        LabError: the kernel didn't get there within ``patience`` seconds.
    """
    group = _path(hierarchies().unified, ident, host)
    (group / "cgroup.freeze").write_text("1" if still else "0")
    deadline = time.monotonic() + patience
    while _event(group, "frozen") != still:
        if time.monotonic() > deadline:
            (group / "cgroup.freeze").write_text("0")
            raise LabError(
                f"The host {host} could not be {'frozen' if still else 'thawed'} within {patience:.0f} s."
            )
        time.sleep(0.01)


def kill(ident: str, host: str | None = None, patience: float = 10) -> None:
    """SIGKILL to every process of the host, or lab, in one step; returns when all are gone.

    Raises:
        LabError: some process, stuck in the kernel, is still there after ``patience`` seconds.
    """
    group = _path(hierarchies().unified, ident, host)
    if not group.exists():
        return
    deadline = time.monotonic() + patience
    while _event(group, "populated"):
        with suppress(FileNotFoundError):
            (group / "cgroup.kill").write_text("1")
        if time.monotonic() > deadline:
            left = ", ".join(map(str, processes(ident, host)))
            raise LabError(f"Processes {left} of {host or 'the lab'} don't end; they hang in the kernel.")
        time.sleep(0.01)


def memory_used(ident: str, host: str) -> int | None:
    """Bytes that the kernel counts for this host: its processes, and what of its files is cached."""
    found = hierarchies()
    places = [_path(found.unified, ident, host) / "memory.current"]
    if "memory" in found.old:
        places.append(_path(found.old["memory"], ident, host) / "memory.usage_in_bytes")
    for where in places:
        with suppress(OSError):
            return int(where.read_text())
    return None


def remove(ident: str, host: str | None = None, patience: float = 5) -> None:
    """Remove the cgroups of this host, or lab, in all hierarchies; they have to be empty.

    Raises:
        LabError: one can't be removed.
    """
    found = hierarchies()
    deadline = time.monotonic() + patience
    for hierarchy in (found.unified, *found.old.values()):
        while left := _remove_tree(_path(hierarchy, ident, host)):
            if time.monotonic() > deadline:
                raise LabError(f"The cgroup {left} can't be removed: a process is left in it.")
            time.sleep(0.02)
        with suppress(OSError):
            (hierarchy / PARENT).rmdir()  # the last lab takes the common parent with it


def _path(hierarchy: Path, ident: str, host: str | None) -> Path:
    return hierarchy / PARENT / ident / host if host else hierarchy / PARENT / ident


def _kernel() -> tuple[int, int]:
    major, minor, *_ = re.findall(r"\d+", os.uname().release)
    return int(major), int(minor)


def _make_folder(path: Path) -> None:
    """Like mkdir -p; another lab that ends may just be taking the common parent away."""
    for _ in range(100):
        with suppress(FileNotFoundError):
            path.mkdir(parents=True, exist_ok=True)
            return
    raise LabError(f"The cgroup {path} can't be made.")


def _groups(top: Path) -> list[Path]:
    """``top`` and all below, the deepest first; os.walk doesn't mind that some go away meanwhile."""
    return [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]


def _remove_tree(top: Path) -> Path | None:
    """The folder that could not be removed, if any."""
    for path in _groups(top):
        try:
            path.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in {errno.EBUSY, errno.ENOTEMPTY}:
                raise
            return path
    return None


def _event(group: Path, name: str) -> bool:
    try:
        return f"{name} 1" in (group / "cgroup.events").read_text().splitlines()
    except OSError:
        return False


def _try_write(file: Path, value: str) -> None:
    """Controllers that this machine hasn't got are done without."""
    with suppress(OSError):
        file.write_text(value)
