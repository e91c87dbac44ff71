"""A clock that is wrong, on the one host of a fleet that has a kernel, and so a clock, of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ansible.running import removable
from tests.fleet.faults import Blow
from tests.fleet.fleet import Fleet, running_fleet
from tests.fleet.people import People, people, receivers
from tests.fleet.telling import told_until_mended
from tests.fleet.troubles import Together, Trouble, at
from tests.lab.fixtures import temporary_lab

__all__ = ["people", "receivers"]
HOST = "backup1"
SECONDS = 2400  # without KVM
OFF = 30  # seconds


@pytest.fixture(scope="module")
def fleet(machine_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet with one host in QEMU."""
    home = tmp_path_factory.mktemp("operator")
    try:
        with temporary_lab(["full"], [HOST]) as lab, running_fleet(lab, home) as found:
            found.play("site", timeout=SECONDS)
            yield found
    finally:
        removable(home)


def set_clock(fleet: Fleet, host: str) -> Blow:
    """A clock goes ahead, and nothing sets it right, until both is undone."""
    move = "date --set @$(($(date +%s) {} {})) > /dev/null"
    return Blow(
        lambda: fleet.output(host, f"systemctl stop chrony; {move.format('+', OFF)}"),
        lambda: fleet.output(host, f"{move.format('-', OFF)}; systemctl start chrony"),
    )


def test_a_clock_that_is_off_brings_its_alert_and_no_other_page(fleet: Fleet, people: People) -> None:
    told_until_mended(fleet, people, Together((Trouble("a clock is off", "ClockOff", at(HOST), set_clock),)))
