"""API hosts and workers come and go under load, and nobody notices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.plays import Plays
from tests.fleet.used import unnoticed
from tests.lab.errors import LabError

yaml = pytest.importorskip("yaml")
pytestmark = pytest.mark.usefixtures("green_afterwards")
SECONDS = 900
API = "assistant-api.service"


@pytest.fixture
def smaller(fleet: Fleet, tmp_path: Path) -> Iterator[Plays]:
    """Playbooks on an inventory that lacks api2; afterwards it serves again."""
    found = yaml.safe_load((fleet.lab.place.folder / "inventory.yml").read_text())
    del found["all"]["children"]["api"]["hosts"]["api2"]
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump(found))
    yield Plays(inventory, fleet.home)
    if fleet.lab.run("api2", f"systemctl is-active {API}").returncode:
        fleet.play("scale")


def who_knows(fleet: Fleet, name: str) -> set[str]:
    """Files in which a host is named or let in, as host:file."""
    address = fleet.lab.address(name)
    files = {
        "balancer1": "/etc/haproxy/haproxy.cfg",
        "postgres1": "/etc/patroni/config.yml",
        "chroma1": "/etc/nftables.conf",
        "monitoring1": "/etc/prometheus/prometheus.yml",
        "objects1": "/etc/hosts",
    }
    look = "grep -qwE '{}|{}' {}"
    return {
        f"{host}:{file}"
        for host, file in files.items()
        if not fleet.lab.run(host, look.format(name, address, file)).returncode
    }


def workers(fleet: Fleet) -> list[int]:
    """How many run on each API host."""
    count = "systemctl list-units --no-legend --state=active 'assistant-worker@*' | wc -l"
    return [int(fleet.output(host, count)) for host in fleet.hosts("api")]


def test_an_api_host_leaves_and_comes_back_under_load_and_nobody_notices(
    fleet: Fleet, smaller: Plays
) -> None:
    everywhere = who_knows(fleet, "api2")
    assert len(everywhere) == 5, everywhere
    with unnoticed(fleet):
        left = smaller.run("scale")
        assert not who_knows(fleet, "api2")
        assert fleet.lab.run("api2", f"systemctl is-active {API}").returncode
        joined = fleet.play("scale")
        assert who_knows(fleet, "api2") == everywhere
    assert "gone: api2" in left.output
    assert "joined: api2" in joined.output
    assert not any(fleet.play("scale", "--check").changed.values())


def test_the_last_host_that_serves_may_not_leave(fleet: Fleet, smaller: Plays) -> None:
    fleet.output("api1", f"systemctl stop {API}")
    try:
        with pytest.raises(LabError, match="so api2 may not leave yet"):
            smaller.run("scale")
    finally:
        fleet.output("api1", f"systemctl start {API}")
        fleet.wait_whole(60)
    assert len(who_knows(fleet, "api2")) == 5


def test_more_workers_and_fewer_interrupt_no_answer(fleet: Fleet) -> None:
    pids = f"systemctl show --property MainPID --value {API}"
    before = [fleet.output(host, pids) for host in fleet.hosts("api")]
    try:
        with unnoticed(fleet):
            fleet.play("scale", "-e", "assistant_workers=2")
            assert workers(fleet) == [2, 2]
            fleet.play("scale")
            assert workers(fleet) == [1, 1]
    finally:
        if workers(fleet) != [1, 1]:
            fleet.play("scale")
    assert [fleet.output(host, pids) for host in fleet.hosts("api")] == before
