"""pytest fixtures for tests on a fleet: hosts on demand, bounded time, nothing left behind.

A test module says which hosts it wants in ``HOSTS``, which of them in QEMU in ``QEMU``, and the seconds that
each of its tests may take in ``SECONDS``; its tests ask for ``lab`` and share it. A test that wants a lab for
itself asks for ``new_lab``. Every lab has a name of its own and picks a free subnet, so other labs
on the machine don't matter.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from tests.lab import creation, image, state, topology
from tests.lab.errors import LabError
from tests.lab.lab import Lab

NewLab = Callable[..., Lab]
SECONDS = 120
_OURS = re.compile(r"test-(\d+)-[0-9a-f]+")
_labs: list[Lab] = []


@contextmanager
def temporary_lab(hosts: Sequence[str], qemu: Sequence[str] = ()) -> Iterator[Lab]:
    """A lab that is up and ready, and gone afterwards together with its data disks.

    Args:
        hosts: names of hosts or fleets.
        qemu: names of hosts that run in QEMU.
    """
    lab = Lab.named(new_name())
    _labs.append(lab)
    try:
        creation.up(lab.place, topology.choose(hosts), image.inspect(image.chosen(None)), qemu=qemu)
        yield lab
    finally:
        _labs.remove(lab)
        creation.down(lab.place, wipe=True, grace=0)


def new_name() -> str:
    """A name for a lab of this process that nobody else uses."""
    return f"test-{os.getpid()}-{secrets.token_hex(3)}"


def clear_abandoned() -> None:
    """Clear away what test runs that were killed have left."""
    folder = state.labs_folder()
    for path in folder.iterdir() if folder.exists() else ():
        match = _OURS.fullmatch(path.name)
        if match and not Path("/proc", match[1]).exists():
            with suppress(LabError):
                creation.down(state.place(path.name), wipe=True, grace=0)


def collect_journals(test: str) -> None:
    """Write journals of all hosts of all labs of this process to build/lab-journals/TEST/LAB."""
    folder = creation.JOURNALS / re.sub(r"[^A-Za-z0-9_.-]+", "-", test)[:150]
    shutil.rmtree(folder, ignore_errors=True)
    for lab in _labs:
        with suppress(LabError, OSError):
            lab.collect(folder / lab.place.name)


@pytest.fixture(scope="session")
def machine_ready() -> None:
    """Old test labs are gone."""
    clear_abandoned()


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, machine_ready: None) -> Iterator[Lab]:
    """The lab of this module, with the hosts that it names in ``HOSTS``."""
    with temporary_lab(request.module.HOSTS, getattr(request.module, "QEMU", ())) as ready:
        yield ready


@pytest.fixture
def new_lab(machine_ready: None) -> Iterator[NewLab]:
    """Make labs for one test: ``new_lab("chroma1", "api1", qemu=["api1"])``."""
    with ExitStack() as stack:

        def make(*hosts: str, qemu: Sequence[str] = ()) -> Lab:
            return stack.enter_context(temporary_lab(hosts, qemu))

        yield make


@pytest.fixture(autouse=True)
def bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that takes longer than its module's ``SECONDS``."""
    seconds = getattr(request.module, "SECONDS", SECONDS)

    def late(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
