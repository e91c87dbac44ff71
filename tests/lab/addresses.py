"""A subnet of the lab's own: 10.213.N.0/24 for the first N that nothing on this machine uses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import IPv4Network

from tests.lab.errors import LabError, Unusable
from tests.lab.shell import output

RANGE = IPv4Network("10.213.0.0/16")


def parse(text: str) -> IPv4Network:
    """The subnet that was asked for.

    Raises:
        Unusable: it is no /24 of a private range.
    """
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise Unusable(f"'{text}' is no subnet ({error}): give one like 10.213.7.0/24.") from error
    if network.prefixlen != 24 or not network.is_private:
        raise Unusable(f"{network} can't be a lab's subnet: give a private /24 like 10.213.7.0/24.")
    return network


def in_use() -> list[IPv4Network]:
    """Networks that this machine has addresses in or routes to; the default route says nothing."""
    found = [
        IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False)
        for link in json.loads(output("ip", "-j", "-4", "address") or "[]")
        for address in link.get("addr_info", [])
        if "local" in address
    ]
    routes = json.loads(output("ip", "-j", "-4", "route", "show", "table", "all") or "[]")
    found += [
        IPv4Network(route["dst"], strict=False)
        for route in routes
        if route.get("dst", "default") != "default" and route.get("type", "unicast") == "unicast"
    ]
    return found


def pick(taken: Iterable[IPv4Network], wanted: IPv4Network | None = None) -> IPv4Network:
    """``wanted`` if it is free, else the first free /24 of the range.

    Raises:
        LabError: the wanted one is in use, or all are.
    """
    taken = list(taken)
    candidates = [wanted] if wanted else RANGE.subnets(new_prefix=24)
    for candidate in candidates:
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    if wanted:
        other = next(network for network in taken if wanted.overlaps(network))
        raise LabError(
            f"The subnet {wanted} is in use on this machine ({other}): leave --subnet out or give another."
        )
    raise LabError(f"Every subnet of {RANGE} is in use on this machine: give a free one with --subnet.")
