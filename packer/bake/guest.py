"""The systemd-nspawn host that the null source bakes: the base disk itself, mounted and booted.

It runs in the build's namespaces, which end with the build: so do its processes, its mount, its loop device
and its link. Only the control group is outside of them; `forget_cgroups` removes it.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from packer.bake import disk
from packer.bake.errors import ImageError
from packer.bake.run import Progress, output, program

NAME = "ka-image"
HOST, GUEST = "10.0.2.2", "10.0.2.15"  # the addresses that QEMU's own network gives as well
CGROUPS = Path("/sys/fs/cgroup")
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
# An ed25519 key alone: making all kinds takes half a minute under emulation.
SSH_DROP_IN = f"""[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'test -e {HOST_KEY} || ssh-keygen -q -t ed25519 -N "" -f {HOST_KEY}'
ExecStartPre=/usr/sbin/sshd -t
"""
DHCP = "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n"
STATIC = f"[Match]\nName=host0\n\n[Network]\nAddress={GUEST}/24\nLinkLocalAddressing=no\n"


def credentials(public_key: str, network: str) -> dict[str, str]:
    """What makes a disk without any identity a host for one build: credentials, nothing on the disk."""
    return {
        "ssh.authorized_keys.root": public_key,
        "network.network.10-build": network,
        "systemd.unit-dropin.ssh.service": SSH_DROP_IN,
    }


@contextmanager
def mounted(image: Path, at: Path, options: str) -> Iterator[Path]:
    """The root partition of an image; the loop device goes with the mount."""
    at.mkdir(parents=True, exist_ok=True)
    place = f"{options},loop,offset={disk.ROOT_AT},sizelimit={image.stat().st_size - disk.ROOT_AT - disk.MIB}"
    ended = subprocess.run(
        [program("mount"), "-t", "ext4", "-o", place, str(image), str(at)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise ImageError(
            f"The image could not be mounted: {ended.stderr.strip()}. This needs root and a free loop device "
            "(losetup -a lists those in use); tools/image.sh --source qemu needs none."
        )
    try:
        yield at
    finally:
        for _ in range(50):
            if subprocess.run(["umount", str(at)], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)


@contextmanager
def booted(root: Path, given: Mapping[str, str], work: Path, progress: Progress) -> Iterator[None]:
    """A running host on that root; powered off in the end."""
    _enter_cgroups()
    command = [program("systemd-nspawn"), "-q", "-D", str(root), "-M", NAME, "--boot", "--network-veth"]
    command += ["--keep-unit", "--register=no", "--resolv-conf=off", "--timezone=off", "--link-journal=no"]
    command += ["--console=pipe", "--kill-signal=SIGRTMIN+3"]
    folder = work / "credentials"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in given.items():
        (folder / name).write_text(text)
        command.append(f"--load-credential={name}:{folder / name}")
    with (work / "console.log").open("wb") as log:
        host = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
    try:
        _link(host, work)
        yield
        progress.say("the host is powered off")
    finally:
        _power_off(host)


def _link(host: "subprocess.Popen[bytes]", work: Path) -> None:
    for _ in range(100):
        if host.poll() is not None:
            said = (work / "console.log").read_text(errors="replace").strip()[-400:]
            raise ImageError(f"systemd-nspawn did not start: {said}")
        # not /sys/class/net, which shows the network of whoever mounted it
        if (
            subprocess.run(["ip", "link", "show", f"ve-{NAME}"], capture_output=True, check=False).returncode
            == 0
        ):
            break
        time.sleep(0.1)
    output(["ip", "address", "add", f"{HOST}/24", "dev", f"ve-{NAME}"])
    output(["ip", "link", "set", f"ve-{NAME}", "up"])
    for _ in range(300):  # Packer waits, too, but looks seldom
        with contextlib.suppress(OSError), socket.create_connection((GUEST, 22), timeout=0.5):
            break
        time.sleep(0.1)


def _power_off(host: "subprocess.Popen[bytes]") -> None:
    host.send_signal(signal.SIGTERM)  # nspawn asks the host's systemd to power off
    try:
        host.wait(60)
    except subprocess.TimeoutExpired:
        host.kill()
        host.wait()


def _hierarchies() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    names = ("systemd", "unified", "memory", "pids", "cpu")
    return [CGROUPS / name for name in names if (CGROUPS / name / "cgroup.procs").exists()]


def _enter_cgroups() -> None:
    # Without a group of its own, the host would find another's units in the folder that both think is theirs.
    for hierarchy in _hierarchies():
        own = hierarchy / f"{NAME}-{os.environ.get('KA_IMAGE_BUILD', '0')}"
        with contextlib.suppress(OSError):
            own.mkdir(exist_ok=True)
            (own / "cgroup.procs").write_text("0")


def forget_cgroups(build: str) -> None:
    """Remove what `booted` left, once all its processes are gone."""
    for hierarchy in _hierarchies():
        top = hierarchy / f"{NAME}-{build}"
        for folder, _, _ in os.walk(top, topdown=False):
            for _ in range(20):
                try:
                    Path(folder).rmdir()
                    break
                except OSError:
                    time.sleep(0.1)
