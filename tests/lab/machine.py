"""One host's life: on, off by its power button, off by a power cut. The same for both backends."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Protocol

from tests.lab import cgroups, network, nspawn, qemu, shell, storage
from tests.lab.errors import LabError
from tests.lab.state import Host, Place, Record

_RUNNER = Path(__file__).with_name("runner.sh")
# the shell in between ends at once, so that the runner is nobody's child and leaves no zombie here
_DETACH = 'exec 3<&0; "$@" <&3 3<&- &'


class Backend(Protocol):
    """What the two ways of running a host have to offer."""

    BOOT_SECONDS: int

    def prepare(self, where: Place, record: Record, host: Host) -> list[str]:
        """Make what the host needs; returns the command that runs it."""

    def limit(self, host: Host) -> int | None:
        """MiB that its cgroup is held to, None for no limit."""

    def ask_to_stop(self, where: Place, host: Host) -> bool:
        """Press the power button; False if there is nobody to press it on."""

    def release(self, where: Place, host: Host) -> None:
        """Give back what a host had, after its last process has ended; its files stay."""


BACKENDS: dict[str, Backend] = {"nspawn": nspawn, "qemu": qemu}


def running(where: Place, host: Host) -> bool:
    return cgroups.populated(where.ident, host.name)


def frozen(where: Place, host: Host) -> bool:
    return cgroups.frozen(where.ident, host.name)


def port(where: Place, host: Host) -> str:
    """Name of the host's port on this machine."""
    return network.port(where.ident, host.backend, host.plan.octet)


def switch_on(where: Place, record: Record, host: Host) -> None:
    """Start a host that is off and return at once; it comes up connected. Needs the lab's lock to be held.

    Raises:
        LabError: a part of it can't be made.
    """
    backend = BACKENDS[host.backend]
    folder = where.host(host.name)
    folder.mkdir(parents=True, exist_ok=True)
    backend.release(where, host)  # what a host that went off by itself has left
    if host.plan.disk:
        storage.make_disk(where.disk(host.name), host.plan.disk)
    entries = cgroups.make(where.ident, host.name, backend.limit(host))
    command = backend.prepare(where, record, host)
    words = ["sh", "-c", _DETACH, "sh", str(_RUNNER), "console.log", *map(str, entries), "--", *command]
    with (folder / "console.log").open("ab") as log:
        subprocess.run(
            words, cwd=folder, stdin=shell.lock(), stdout=log, stderr=log, start_new_session=True, check=True
        )
    deadline = time.monotonic() + 5
    while not running(where, host):
        if time.monotonic() > deadline:
            raise LabError(f"The host {host.name} could not be started: see {folder / 'console.log'}.")
        time.sleep(0.01)


def ask_all_to_stop(where: Place, hosts: list[Host], patience: float) -> list[Host]:
    """Press the power buttons of these hosts and give them ``patience`` seconds.

    Returns:
        The hosts that are still on.
    """
    waiting = [
        host for host in hosts if not frozen(where, host) and BACKENDS[host.backend].ask_to_stop(where, host)
    ]
    deadline = time.monotonic() + patience
    while any(running(where, host) for host in waiting) and time.monotonic() < deadline:
        time.sleep(0.03)
    return [host for host in hosts if running(where, host)]


def cut_power(where: Place, host: Host) -> None:
    """End every process of the host in one step, let it clean up nothing; returns when all is gone."""
    cgroups.kill(where.ident, host.name)
    BACKENDS[host.backend].release(where, host)
    cgroups.remove(where.ident, host.name)
