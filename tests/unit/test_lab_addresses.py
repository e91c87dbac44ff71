from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from tests.lab.addresses import RANGE, parse, pick
from tests.lab.errors import LabError, Unusable


def test_the_first_subnet_that_nobody_uses_is_taken() -> None:
    taken = [IPv4Network("10.213.0.0/24"), IPv4Network("10.213.1.128/25"), IPv4Network("192.168.0.0/16")]
    assert pick(taken) == IPv4Network("10.213.2.0/24")


def test_a_route_that_covers_the_whole_range_leaves_none() -> None:
    with pytest.raises(LabError, match=r"Every subnet of 10.213.0.0/16 is in use.*--subnet"):
        pick([IPv4Network("10.0.0.0/8")])


def test_a_wanted_subnet_in_use_is_refused_with_who_uses_it() -> None:
    with pytest.raises(LabError, match=r"10.9.9.0/24 is in use on this machine \(10.9.8.0/21\)"):
        pick([IPv4Network("10.9.8.0/21")], IPv4Network("10.9.9.0/24"))


def test_a_wanted_subnet_may_lie_outside_of_the_range() -> None:
    wanted = parse("192.168.77.0/24")
    assert not wanted.overlaps(RANGE)
    assert pick([], wanted) == wanted


@pytest.mark.parametrize(
    "text", ["10.0.0.0/8", "10.1.1.1/24", "8.8.8.0/24", "nonsense", "10.1.1.0/25", "fd00::/64"]
)
def test_what_can_not_be_a_labs_subnet_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Unusable, match=r"10.213.7.0/24"):
        parse(text)
