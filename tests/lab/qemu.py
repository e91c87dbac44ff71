"""Hosts as QEMU machines: the image's own kernel and boot loader, its own limits, half a minute to boot."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from tests.lab import identity, network, storage
from tests.lab.errors import LabError
from tests.lab.shell import output
from tests.lab.state import Host, Place, Record

BOOT_SECONDS = 300


def prepare(where: Place, record: Record, host: Host) -> list[str]:
    """Make the host's own layer over the image and its port; returns the command that runs it."""
    folder = where.host(host.name)
    disk = folder / "disk.qcow2"
    if not disk.exists():
        output(
            "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(record.image.path), str(disk)
        )
    tap = network.port(where.ident, "qemu", host.plan.octet)
    network.remove_port(tap)
    network.make_tap(tap, where.ident)
    (folder / "qmp").unlink(missing_ok=True)
    mac = "52:54:00:{1:02x}:{2:02x}:{3:02x}".format(*record.subnet[host.plan.octet].packed)
    accelerator = "kvm" if usable_kvm() else "tcg"
    command = [
        *("qemu-system-x86_64", "-name", network.machine(where.ident, host.plan.octet)),
        *("-machine", f"q35,accel={accelerator}", "-cpu", "host" if accelerator == "kvm" else "max"),
        *("-smp", "2", "-m", str(host.plan.memory), "-nodefaults", "-no-user-config", "-display", "none"),
        *("-chardev", "file,id=console,path=console.log,append=on", "-serial", "chardev:console"),
        *("-qmp", "unix:qmp,server=on,wait=off", "-device", "virtio-rng-pci"),
        *("-drive", f"file={disk},if=none,id=root,format=qcow2,discard=unmap"),
        *("-device", "virtio-blk-pci,drive=root,serial=root,bootindex=1"),
        *("-netdev", f"tap,id=net,ifname={tap},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=net,mac={mac}"),
    ]
    for name, value in identity.credentials(where, record, host).items():
        file = folder / "credentials" / name
        file.parent.mkdir(mode=0o700, exist_ok=True)
        encoded = base64.b64encode(value.encode()).decode()
        file.write_text(f"io.systemd.credential.binary:{name}={encoded}")
        command += ["-smbios", f"type=11,path={file}"]
    if host.plan.disk:
        command += ["-drive", f"file={where.disk(host.name)},if=none,id=data,format=raw,discard=unmap"]
        command += ["-device", f"virtio-blk-pci,drive=data,serial={host.plan.disk_label}"]
    return command


def limit(_host: Host) -> int | None:
    """None: the machine has only the memory that it was given."""
    return None


def ask_to_stop(where: Place, host: Host) -> bool:
    """Press the power button; False if there is nobody to press it on."""
    with suppress(OSError, ValueError):
        _monitor(where.host(host.name), "system_powerdown")
        return True
    return False


def release(where: Place, host: Host) -> None:
    """Give back what a host had, after its last process has ended; its files stay."""
    network.remove_port(network.port(where.ident, "qemu", host.plan.octet))
    storage.unmount_below(where.host(host.name))


def usable_kvm(seconds: float = 4) -> bool:
    """Whether KVM is worth using: a machine without a disk has to find that out within ``seconds``.

    The device alone says little: KVM inside of another hypervisor may refuse the processor, or run a hundred
    times slower than emulation. Where it works, the firmware is through in well under a second.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "firmware"
        command = [
            "qemu-system-x86_64",
            "-machine",
            "q35,accel=kvm",
            "-cpu",
            "host",
            "-nodefaults",
            "-m",
            "64",
        ]
        command += ["-display", "none", "-chardev", f"file,id=log,path={log}"]
        command += ["-device", "isa-debugcon,iobase=0x402,chardev=log"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, cwd=folder) as probe:
            try:
                return _says(log, b"No bootable device", probe, time.monotonic() + seconds)
            finally:
                probe.kill()


def _says(log: Path, word: bytes, probe: subprocess.Popen[bytes], deadline: float) -> bool:
    while time.monotonic() < deadline and probe.poll() is None:
        if log.exists() and word in log.read_bytes():
            return True
        time.sleep(0.05)
    return False


def _monitor(folder: Path, command: str) -> None:
    """One command to QEMU's monitor (QMP). A socket's path may be too long, so the folder goes by number."""
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(2)
            link.connect(f"/proc/self/fd/{directory}/qmp")
            with link.makefile("rw", encoding="utf-8") as lines:
                lines.readline()  # the greeting
                for execute in ("qmp_capabilities", command):
                    lines.write(json.dumps({"execute": execute}) + "\n")
                    lines.flush()
                    _expect_return(lines, command)
    finally:
        os.close(directory)


def _expect_return(lines: TextIO, command: str) -> None:
    while answer := json.loads(lines.readline()):
        if "return" in answer:
            return
        if "error" in answer:
            raise LabError(f"QEMU refused {command}: {answer['error'].get('desc', answer['error'])}.")
