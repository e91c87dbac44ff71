"""KVM or emulation: tried, not configured, since /dev/kvm may be there and be of no use."""

import os
import select
import subprocess
import time
from pathlib import Path

from packer.bake.run import program

END_OF_BIOS = b"No bootable device"
PATIENCE_S = 10.0


def choose() -> tuple[str, str]:
    """`kvm` or `tcg`, and why: both start a machine without a disk; KVM must not take longer to see that."""
    if not Path("/dev/kvm").exists():
        return "tcg", "this machine has no KVM"
    emulated = _bios("tcg")
    real = _bios("kvm")
    if real is None:
        return "tcg", "KVM is there and does not start a machine"
    if emulated is not None and real > 2 * emulated + 0.5:
        return "tcg", f"KVM is there and of no use: {real:.1f} s for what emulation does in {emulated:.1f} s"
    return "kvm", f"KVM works: {real:.1f} s to the end of the BIOS"


def _bios(accelerator: str) -> float | None:
    command = [
        program("qemu-system-x86_64"),
        "-machine",
        f"pc,accel={accelerator}",
        "-cpu",
        "max",
        "-smp",
        "2",
    ]
    command += ["-m", "64", "-nodefaults", "-display", "none", "-no-reboot"]
    command += ["-chardev", "stdio,id=out", "-device", "isa-debugcon,iobase=0x402,chardev=out"]
    begun = time.monotonic()
    machine = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        return _wait(machine, begun)
    finally:
        machine.kill()
        machine.wait()


def _wait(machine: "subprocess.Popen[bytes]", begun: float) -> float | None:

    pipe = machine.stdout
    if pipe is None:
        return None
    said = b""
    while (left := PATIENCE_S - (time.monotonic() - begun)) > 0:
        ready, _, _ = select.select([pipe], [], [], left)
        if not ready:
            return None
        part = os.read(pipe.fileno(), 4096)
        if not part:
            return None
        said += part
        if END_OF_BIOS in said:
            return time.monotonic() - begun
    return None
