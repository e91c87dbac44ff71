"""Hosts as systemd-nspawn containers: real systemd, this machine's kernel, seconds to boot."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.lab import cgroups, identity, network, storage
from tests.lab.state import Host, Place, Record

BOOT_SECONDS = 90
_PROPAGATE = Path("/run/systemd/nspawn/propagate")


def prepare(where: Place, record: Record, host: Host) -> list[str]:
    """Mount what the host needs; returns the command that runs it."""
    folder = where.host(host.name)
    root = storage.mount_overlay(where.lower, folder)
    machine = network.machine(where.ident, host.plan.octet)
    command = [
        *("env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1"),
        *("systemd-nspawn", "--quiet", "--boot", "--keep-unit", "--register=no", "--settings=no"),
        *(f"--directory={root}", f"--machine={machine}", f"--hostname={host.name}"),
        f"--network-bridge={where.ident}",
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
        *("--console=pipe", "--kill-signal=SIGRTMIN+3"),
    ]
    for name, value in identity.credentials(where, record, host).items():
        file = folder / "credentials" / name
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_text(value)
        command.append(f"--load-credential={name}:{file}")
    return command + _disk(where, host)


def limit(host: Host) -> int | None:
    """MiB that this machine's kernel holds the host to; inside, the host can't set limits of its own."""
    return host.plan.memory


def ask_to_stop(where: Place, host: Host) -> bool:
    """Press the power button; False if there is nobody to press it on."""
    leader = cgroups.leader(where.ident, host.name)
    if leader is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(leader, signal.SIGRTMIN + 4)  # systemd(1): power off
    return True


def release(where: Place, host: Host) -> None:
    """Give back what a host had, after its last process has ended; its files stay."""
    network.remove_port(network.port(where.ident, "nspawn", host.plan.octet))
    storage.unmount_below(where.host(host.name))
    storage.detach_below(where.disks, where.disk(host.name))
    forget(network.machine(where.ident, host.plan.octet))


def forget(machines: str) -> None:
    """Remove the empty folders that a killed nspawn leaves behind, for machines whose names match."""
    for folder in _PROPAGATE.glob(machines):
        with suppress(OSError):
            folder.rmdir()


def _disk(where: Place, host: Host) -> list[str]:
    if not host.plan.disk:
        return []
    file = where.disk(host.name)
    device = storage.attach(file)
    # Under its own name too, or blkid and mount in there would not find the device by its number.
    names = [host.plan.disk_device, device]
    if label := storage.contents(file).get("LABEL"):
        names.append(f"/dev/disk/by-label/{label}")  # what udev would do, if there were one in a container
    return [f"--bind={device}:{name}" for name in names if ":" not in name]
