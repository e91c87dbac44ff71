"""The base disk: a Debian 13 that boots by BIOS and UEFI and can be reached, as Debian's cloud images do."""

import calendar
import hashlib
import os
import shutil
import time
from pathlib import Path

from packer.bake import disk, grub, sources
from packer.bake.run import ROOT, Progress, output, program

PACKAGES = ROOT / "packer/base/packages.txt"
PARTS = ("base.py", "disk.py", "grub.py")
FSTAB = "LABEL=KA-ESP /boot/efi vfat umask=0077,noauto,nofail,x-systemd.automount 0 0\n"
# What belongs to one machine, or to the machine that built it.
FORGET = [
    "etc/hostname",
    "etc/hosts",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "var/lib/dbus/machine-id",
    "etc/ssh/ssh_host_*",
]
FORGET += [
    "var/lib/apt/lists/*",
    "var/cache/apt/*",
    "var/cache/ldconfig/aux-cache",
    "var/lib/systemd/random-seed",
]
FORGET += ["var/log/*.log", "var/log/apt", "var/log/unattended-upgrades", "var/log/journal"]


def packages() -> list[str]:
    """Names of the base's packages."""
    rows = (row.strip() for row in PACKAGES.read_text().splitlines())
    return [row for row in rows if row and not row.startswith("#")]


def key(lists: list[dict[str, str]]) -> str:
    """Changes when anything does that the base is made of: package list, archive's state, this code."""
    parts = [PACKAGES.read_bytes(), *((ROOT / "packer/bake" / name).read_bytes() for name in PARTS)]
    parts += [one["sha256"].encode() for one in lists]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def epoch(date: str) -> int:
    """Seconds at the start of the date, UTC: no file in the base is newer."""
    return calendar.timegm(time.strptime(date, "%Y-%m-%d"))


def make(
    image: Path, archives: list[sources.Archive], mirror: str, date: str, work: Path, progress: Progress
) -> None:
    """Make the base disk. `mirror` is the build mirror's address; nothing of it stays in the disk."""
    root = work / "root"
    shutil.rmtree(root, ignore_errors=True)
    command = [program("mmdebstrap"), "--mode=root", "--variant=apt", "--format=directory"]
    command.append("--dpkgopt=force-unsafe-io")
    listing = work / "build.sources"
    listing.write_text(sources.stanzas(sources.through(archives, mirror)))
    since = epoch(date)
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(since), "TMPDIR": str(work), "LC_ALL": "C.UTF-8"}
    with progress.step(
        "base-packages", f"base: Debian 13 of {date} ({len(packages())} packages and what they need)"
    ):
        progress.call(
            [*command, f"--include={','.join(packages())}", sources.RELEASE, str(root), str(listing)],
            env=env,
        )
    with progress.step("base-disk", "base: disk with GRUB for BIOS and UEFI"):
        core = grub.prepare(root)
        _settle(root, archives)
        _clamp(root, since)
        part = work / "base.part"
        disk.create(part, root, since, progress)
        grub.bios(part, root, core)
        grub.efi(part, root, work, since, progress)
        part.replace(image)
    shutil.rmtree(root)


def _settle(root: Path, archives: list[sources.Archive]) -> None:
    for pattern in FORGET:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/fstab").write_text(FSTAB)
    (root / "boot/efi").mkdir(exist_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(sources.stanzas(archives))
    conf = root / "etc/dpkg/dpkg.cfg.d/99mmdebstrap"
    conf.unlink(missing_ok=True)  # unsafe-io was for building
    # networkd with all that goes with it, among it what reads network settings from credentials
    output(["chroot", str(root), "systemctl", "--quiet", "enable", "systemd-networkd.service"])


def _clamp(root: Path, since: int) -> None:
    for folder, folders, files in os.walk(root, topdown=False):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)  # noqa: PTH118 -- 40,000 times
            if os.lstat(path).st_mtime > since:
                os.utime(path, (since, since), follow_symlinks=False)
    os.utime(root, (since, since))
