"""What the machine has to have. Nothing is installed unless `tools/lab prepare` is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab import cgroups
from tests.lab.errors import LabError

COMMON = {
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "mount": "mount",
    "losetup": "mount",
    "blkid": "util-linux",
    "journalctl": "systemd",
}
OF_BACKEND = {
    "nspawn": {"systemd-nspawn": "systemd-container"},
    "qemu": {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"},
}
# The kernel lets root watch files 128 times, in all containers together; a host does so four times.
_WATCHES = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH_WATCHES = 1024


def need_root() -> None:
    """Raises LabError unless we are root."""
    if os.geteuid() != 0:
        raise LabError("The lab makes interfaces, mounts and cgroups: run it as root (sudo).")


def missing(backends: set[str]) -> list[str]:
    """Debian packages whose commands aren't there."""
    wanted = dict(COMMON)
    for backend in backends:
        wanted.update(OF_BACKEND[backend])
    return sorted({package for command, package in wanted.items() if shutil.which(command) is None})


def check(backends: set[str]) -> None:
    """Find out all that can be found out before anything is made.

    Raises:
        LabError: not root, packages missing, or the kernel lacks loop devices, overlays, cgroup v2 or taps.
    """
    need_root()
    if packages := missing(backends):
        raise LabError(
            f"Debian packages are missing: {' '.join(packages)}. "
            "Install them yourself, or let `tools/lab prepare` do it."
        )
    if not Path("/dev/loop-control").exists():
        raise LabError(
            "This machine offers no loop devices (/dev/loop-control): load the module with `modprobe loop`."
        )
    if "\toverlay\n" not in Path("/proc/filesystems").read_text() and not _modprobe("overlay"):
        raise LabError("This machine's kernel has no overlay file system, which every host needs.")
    if "qemu" in backends and not Path("/dev/net/tun").exists() and not _modprobe("tun"):
        raise LabError("This machine offers no taps (/dev/net/tun), which QEMU hosts need: `modprobe tun`.")
    cgroups.hierarchies()


def prepare(backends: set[str]) -> list[str]:
    """Install what is missing, and let containers watch files; returns the packages that were missing.

    Raises:
        LabError: not root, no apt-get, or it failed.
    """
    need_root()
    if int(_WATCHES.read_text()) < _ENOUGH_WATCHES:
        _WATCHES.write_text(str(_ENOUGH_WATCHES))
    packages = missing(backends)
    if not packages:
        return []
    if shutil.which("apt-get") is None:
        raise LabError(
            f"There is no apt-get here: install what these Debian packages hold: {' '.join(packages)}."
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=environment, check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            raise LabError(f"`apt-get {command[0]}` failed, see above; wanted: {' '.join(packages)}.")
    if still := missing(backends):
        raise LabError(f"Commands are still missing after installing: {' '.join(still)}.")
    return packages


def _modprobe(module: str) -> bool:
    tool = shutil.which("modprobe")
    return tool is not None and subprocess.run([tool, "-q", module], check=False).returncode == 0
