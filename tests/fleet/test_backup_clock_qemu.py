"""A clock an hour off where documents are saved, on the one host with a kernel and so a clock of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.ansible.running import removable
from tests.fleet.fleet import Fleet, running_fleet
from tests.fleet.prometheus import wait
from tests.fleet.saved import back_up, good, holds_document, restored, whole
from tests.fleet.trial import READY
from tests.lab.fixtures import temporary_lab
from tests.load.workload import Workload

HOST = "objects1"
SECONDS = 2400  # without KVM
WHOLE = 300.0
SAVED = 300.0  # by a host that is slow
HOUR = 3600


@pytest.fixture(scope="module")
def fleet(machine_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet with one host in QEMU, and a set."""
    home = tmp_path_factory.mktemp("operator")
    try:
        with temporary_lab(["full"], [HOST]) as lab, running_fleet(lab, home) as found:
            found.play("site", timeout=SECONDS)
            found.wait_whole(WHOLE)
            back_up(found)
            yield found
    finally:
        removable(home)


@contextmanager
def clock_off(fleet: Fleet, seconds: int) -> Iterator[None]:
    """The host's clock is so many seconds ahead, and nothing sets it right, in the block."""
    move = "date --set @$(($(date +%s) + {})) > /dev/null"
    fleet.output(HOST, f"systemctl stop chrony; {move.format(seconds)}")
    try:
        yield
    finally:
        fleet.output(HOST, f"{move.format(-seconds)}; systemctl start chrony")


@pytest.mark.parametrize("seconds", [-HOUR, HOUR], ids=["behind", "ahead"])
def test_what_was_saved_by_a_clock_that_is_off_is_in_a_good_set_and_comes_back(
    fleet: Fleet, seconds: int
) -> None:
    fleet.wait_whole(WHOLE)
    before = back_up(fleet)
    workload = Workload(fleet.client, secrets.token_hex(4))
    with clock_off(fleet, seconds):
        fleet.loop.run(workload.prepare(5))
        entry = workload.ledger.entries[-1]
        wait(lambda: holds_document(fleet, entry.sha256), SAVED, "the document to be saved")
        during = back_up(fleet)
        assert good(fleet) == during["id"]
    after = back_up(fleet)
    assert good(fleet) == after["id"]
    assert all(whole(fleet, one) for one in (before, during, after))
    fleet.output(HOST, f"find /data/objects -type f -name {entry.sha256} -delete")
    restored(fleet, "-e", "restore_only=documents")
    audit = fleet.loop.run(workload.ledger.close(fleet.client, patience=READY))
    assert audit.clean, audit
