from __future__ import annotations

import re

import pytest

from tests.lab.errors import Unusable
from tests.lab.topology import FLEETS, HOSTS, choose


def test_the_full_fleet_has_every_group_of_the_design_with_its_number_of_hosts() -> None:
    groups = [host.group for host in choose(["full"])]
    wanted = {"balancer": 1, "api": 2, "chroma": 1, "postgres": 3, "objects": 1, "monitoring": 1, "backup": 1}
    assert {group: groups.count(group) for group in groups} == wanted


def test_the_serving_fleet_has_eight_hosts() -> None:
    assert len(choose(["serving"])) == 8


def test_hosts_and_fleets_may_be_mixed_and_each_host_comes_once_in_the_order_of_the_table() -> None:
    names = [host.name for host in choose(["postgres2", "database", "api1", "api1"])]
    assert names == ["api1", "postgres1", "postgres2", "postgres3"]


def test_a_misspelt_host_is_refused_with_the_right_name() -> None:
    with pytest.raises(
        Unusable, match=r"no host or fleet 'postgress1'. Did you mean postgres1\? Hosts: balancer1"
    ):
        choose(["postgress1"])


def test_no_host_at_all_is_refused() -> None:
    with pytest.raises(Unusable, match="No host was asked for"):
        choose([])


def test_every_fleet_names_hosts_that_exist() -> None:
    assert all(choose([fleet]) for fleet in FLEETS)


def test_addresses_and_names_are_unique_and_fit_their_limits() -> None:
    octets = [host.octet for host in HOSTS]
    assert len(set(octets)) == len(octets)
    assert all(1 < octet < 255 for octet in octets)
    for host in HOSTS:
        assert re.fullmatch(r"[a-z][a-z0-9]*", host.name)
        assert len(host.disk_label) <= 16, "ext4 labels have 16 bytes at most"
