"""Reaching hosts by SSH. Host keys are made by the hosts themselves and pinned at the first contact.

That contact goes over the lab's own bridge, where only its hosts are.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.lab.errors import LabError
from tests.lab.shell import try_run
from tests.lab.state import Host, Place, Record

_QUIET = ("-n", "-oBatchMode=yes")


def options(where: Place, *, first_contact: bool = False) -> list[str]:
    """Options of ssh that reach the hosts of this lab and regard nobody's own configuration."""
    settings = {
        "UserKnownHostsFile": f"{where.known_hosts}/%h",
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "accept-new" if first_contact else "yes",
        "IdentitiesOnly": "yes",
        "ConnectTimeout": "5",
        "ServerAliveInterval": "5",
        "LogLevel": "ERROR",
    }
    return ["-F", "none", "-i", str(where.key), *(f"-o{key}={value}" for key, value in settings.items())]


def command(where: Place, record: Record, host: Host, *words: str, flags: tuple[str, ...] = ()) -> list[str]:
    """The whole ssh command; without ``words`` it opens a session."""
    return ["ssh", *options(where), *flags, f"root@{record.address(host)}", *words]


def listens(address: str, patience: float = 0.3) -> bool:
    """Whether an SSH server takes connections at this address, found out within ``patience`` seconds.

    Not to be asked again once it does: sshd (OpenSSH 9.8 and newer, PerSourcePenalties) shuts out who comes
    often and leaves without logging in.
    """
    with suppress(OSError), socket.create_connection((address, 22), timeout=patience):
        return True
    return False


def forget_key(where: Place, record: Record, host: Host) -> None:
    """The next host at this address is a new one."""
    (where.known_hosts / record.address(host)).unlink(missing_ok=True)


def wait(
    where: Place,
    record: Record,
    limits: dict[str, float],
    alive: Callable[[str], bool],
    arrived: Callable[[str], None] = lambda name: None,
) -> None:
    """Return when one can log in to each host.

    Args:
        where: the lab's place.
        record: its record.
        limits: seconds that each host, by name, may take.
        alive: says whether a host's processes still run, so that nobody waits for the dead.
        arrived: called with each host's name when it is there, from a thread of its own.

    Raises:
        LabError: a host ended by itself, or took too long.
    """
    begun = time.monotonic()
    failures: list[str] = []

    def one(name: str) -> None:
        host, listening = record.hosts[name], False
        while not failures:
            listening = listening or listens(record.address(host))
            if listening and lets_in(where, record, host, first_contact=True):
                arrived(name)
                return
            if not alive(name):
                failures.append(f"{name} ended by itself (see {where.host(name) / 'console.log'})")
            elif time.monotonic() - begun > limits[name]:
                failures.append(f"{name} did not answer within {limits[name]:.0f} s")
            time.sleep(0.1)

    with ThreadPoolExecutor(max_workers=len(limits) or 1) as pool:
        list(pool.map(one, limits))
    if failures:
        raise LabError(f"The lab waited for its hosts, but {'; '.join(failures)}.")


def run_everywhere(
    where: Place, record: Record, hosts: Iterable[Host], words: list[str], timeout: float
) -> dict[str, subprocess.CompletedProcess[str]]:
    """The same command on several hosts at once; results by name. The shells there interpret it.

    Raises:
        LabError: a host took longer than ``timeout`` seconds.
    """
    chosen = list(hosts)
    with ThreadPoolExecutor(max_workers=len(chosen) or 1) as pool:
        results = pool.map(
            lambda host: try_run(*command(where, record, host, *words, flags=_QUIET), timeout=timeout), chosen
        )
        return {host.name: result for host, result in zip(chosen, results, strict=True)}


def lets_in(where: Place, record: Record, host: Host, *, first_contact: bool = False) -> bool:
    """Whether one can log in to a host."""
    chosen = options(where, first_contact=first_contact)
    with suppress(LabError):
        words = ["ssh", *_QUIET, "-oConnectTimeout=2", *chosen, f"root@{record.address(host)}", "true"]
        return try_run(*words, timeout=30).returncode == 0
    return False
