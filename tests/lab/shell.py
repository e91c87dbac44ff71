"""Running the system's commands.

Each holds the lab's lock as well, so that a killed tool can't leave one behind that still makes something
while `lab down` believes itself alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.errors import LabError

_locks: list[int] = []


@contextmanager
def holding(descriptor: int) -> Iterator[None]:
    """Every command that is run in here inherits ``descriptor``, the file that carries the lock."""
    _locks.append(descriptor)
    try:
        yield
    finally:
        _locks.remove(descriptor)


def lock() -> int:
    """Descriptor of the lock that is held, for a child that has to carry it; that of /dev/null if none is."""
    return _locks[-1] if _locks else subprocess.DEVNULL


def try_run(*command: str, timeout: float = 60, data: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run and return whatever came of it; ``data`` goes to its standard input.

    Raises:
        LabError: the program isn't there, or it took longer than ``timeout`` seconds.
    """
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            input=data,
            stdin=None if data is not None else subprocess.DEVNULL,
            pass_fds=tuple(_locks),
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"The command '{command[0]}' is missing: run `tools/lab prepare`.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"`{' '.join(command[:4])}` took longer than {timeout:.0f} s and was stopped."
        ) from error


def output(*command: str, timeout: float = 60, data: str | None = None) -> str:
    """Run and return what it printed.

    Raises:
        LabError: it failed; the message holds the last line of what it complained about.
    """
    done = try_run(*command, timeout=timeout, data=data)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise LabError(f"`{' '.join(command[:6])}` failed: {lines[-1].strip()}")
    return done.stdout
