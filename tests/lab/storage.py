"""What hosts are made of: the image, mounted once, read only; an overlay on it per host; data disks."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.image import Image
from tests.lab.shell import output, try_run

_ROOM = 2 << 30
_ROOM_PER_HOST = 256 << 20


def check_room(folder: Path, hosts: int) -> None:
    """Refuse to begin what would fill the disk.

    Raises:
        LabError: less than 2 GiB and 256 MiB per host are free.
    """
    while not folder.exists():
        folder = folder.parent
    free, needed = shutil.disk_usage(folder).free, _ROOM + hosts * _ROOM_PER_HOST
    if free < needed:
        raise LabError(
            f"Only {free >> 20} MiB are free in {folder}, {hosts} hosts want {needed >> 20}: "
            "make room, or set KA_LAB_DIR to a folder on another disk."
        )


def mount_image(image: Image, where: Path) -> None:
    """Mount the image's root for all overlays. Its loop device goes away together with the mount."""
    where.mkdir(parents=True, exist_ok=True)
    if os.path.ismount(where):
        return
    options = f"ro,noload,loop,offset={image.offset},sizelimit={image.size}"
    output("mount", "-t", "ext4", "-o", options, str(image.path), str(where))


def mount_overlay(lower: Path, host: Path) -> Path:
    """The host's own view on the image; what it writes goes to ``host/upper``."""
    for name in ("upper", "work", "root"):
        (host / name).mkdir(parents=True, exist_ok=True)
    root = host / "root"
    if not os.path.ismount(root):
        options = f"lowerdir={lower},upperdir={host / 'upper'},workdir={host / 'work'}"
        output("mount", "-t", "overlay", "-o", options, "overlay", str(root))
    return root


def mounts_below(folder: Path) -> list[Path]:
    """Mount points in ``folder``, the deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        where = Path(line.split()[4].replace("\\040", " "))
        if where == folder or folder in where.parents:
            found.append(where)
    return found[::-1]


def unmount_below(folder: Path, patience: float = 5) -> None:
    """Unmount everything in ``folder``.

    Raises:
        LabError: something is still in use after ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while left := mounts_below(folder):
        for where in left:
            failed = try_run("umount", str(where))
        if failed.returncode and time.monotonic() > deadline:
            raise LabError(
                f"{left[0]} can't be unmounted, somebody is in it: leave it, then `tools/lab down` again."
            )
        if failed.returncode:
            time.sleep(0.05)


def make_disk(file: Path, gib: int) -> None:
    """A data disk of ``gib`` GiB that takes up no room yet. One that is there is left as it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise LabError(f"{file} is no ordinary file, so it can't be a data disk: move it away.")
    if not file.exists():
        new = file.with_suffix(".new")
        with new.open("wb") as disk:
            disk.truncate(gib << 30)
        new.replace(file)


def contents(file: Path) -> dict[str, str]:
    """What `blkid` finds on a disk (TYPE, LABEL, PTTYPE, ...); nothing on a blank one. Only read."""
    found = try_run("blkid", "-p", "-o", "export", str(file)).stdout
    pairs = (line.split("=", 1) for line in found.splitlines() if "=" in line)
    return {key: value for key, value in pairs if key not in {"DEVNAME", "USAGE"}}


def loops_below(folder: Path) -> dict[str, Path]:
    """Loop devices whose files are in ``folder``, also of files that were deleted since."""
    found = {}
    for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            backing = Path(entry.read_text().strip().removesuffix(" (deleted)"))
            if folder in backing.parents:
                found[f"/dev/{entry.parts[3]}"] = backing
    return found


def attach(file: Path) -> str:
    """Loop device of a data disk: the one that it has, or a new one."""
    for device, backing in loops_below(file.parent).items():
        if backing == file:
            return device
    return output("losetup", "--find", "--show", str(file)).strip()


def detach_below(folder: Path, only: Path | None = None, patience: float = 5) -> None:
    """Detach the loop devices of the files in ``folder``, or of one of them.

    Raises:
        LabError: one is still in use after ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while left := [device for device, file in loops_below(folder).items() if only in (None, file)]:
        for device in left:
            try_run("losetup", "--detach", device)
        if time.monotonic() > deadline:
            raise LabError(
                f"{left[0]} can't be detached, it is in use: unmount it, then `tools/lab down` again."
            )
        time.sleep(0.02)


def remove_tree(folder: Path) -> None:
    """Remove a host's files.

    Raises:
        LabError: something is mounted in it, so nothing is removed.
    """
    if left := mounts_below(folder):
        raise LabError(f"{left[0]} is still mounted, so no file of {folder} is removed.")
    shutil.rmtree(folder, ignore_errors=True)
