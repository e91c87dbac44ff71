"""New hosts take the places of old ones under load, and nobody notices."""

from __future__ import annotations

import json

import pytest

from tests.fleet.fleet import Fleet, changed
from tests.fleet.releases import DRAINED
from tests.fleet.test_deploy import LEDGER
from tests.fleet.used import unnoticed
from tests.lab.errors import LabError

pytestmark = pytest.mark.usefixtures("green_afterwards")
SECONDS = 1800
MACHINE = "cat /etc/machine-id"


def test_new_hosts_take_the_places_of_old_ones_under_load_and_nobody_notices(fleet: Fleet) -> None:
    primary, machines = fleet.member("leader"), fleet.everywhere(MACHINE)
    hosts = f"maintenance_hosts=api1,{primary}"
    with unnoticed(fleet):
        fleet.play("refresh", "-e", hosts, timeout=1500)
    assert changed(machines, fleet.everywhere(MACHINE)) == {"api1", primary}
    assert fleet.member("leader") != primary
    assert not any(fleet.play("site", "--check").changed.values())


def test_a_host_that_was_not_replaced_is_noticed_and_stays_out_of_the_balancer(fleet: Fleet) -> None:
    machines = fleet.everywhere(MACHINE)
    try:
        with pytest.raises(LabError, match="It is the old machine still"):
            fleet.play("refresh", "-e", "refresh_command=true", "-e", "maintenance_hosts=api1")
        assert fleet.output("api1", f"ls {DRAINED}") == "maintenance"
        line = json.loads(fleet.output("chroma1", f"tail -n 1 {LEDGER}"))
        assert (line["verb"], line["outcome"]) == ("refresh", "failed")
        line = json.loads(fleet.output("api1", f"tail -n 1 {LEDGER}"))
        assert "It is the old machine still" in line["reason"]
    finally:
        fleet.output("api1", f"rm -f {DRAINED}/maintenance")
        fleet.wait_whole(60)
    assert not changed(machines, fleet.everywhere(MACHINE))
