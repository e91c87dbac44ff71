"""The lab's network: a bridge with no way out, and one port per host that can be pulled and put back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.shell import output, try_run

_LINKS = Path("/sys/class/net")
_LET_IN = "let_in"  # ports of this machine that hosts may reach


def port(ident: str, backend: str, octet: int) -> str:
    """Name of a host's port on this machine: that which nspawn gives it, or that of QEMU's tap."""
    return f"{'vb' if backend == 'nspawn' else 'tp'}-{machine(ident, octet)}"


def machine(ident: str, octet: int) -> str:
    """Name of a host among all that runs on this machine; with "vb-" before it at most 15 characters."""
    return f"{ident}-{octet}"


def make_bridge(ident: str, subnet: IPv4Network) -> None:
    """The bridge, and the rules that let its hosts talk to each other and answer us.

    They reach nothing else, but what :func:`let_in` names.
    """
    output("nft", "-f", "-", data=_rules(ident))
    output("ip", "link", "add", ident, "type", "bridge", "stp_state", "0")
    output("ip", "link", "set", ident, "addrgenmode", "none", "up")
    output("ip", "address", "add", f"{subnet[1]}/{subnet.prefixlen}", "dev", ident)


@contextmanager
def let_in(ident: str, *ports: int) -> Iterator[None]:
    """The lab's hosts may reach TCP ports of this machine, during the block."""
    elements = f"{{ {', '.join(map(str, ports))} }}"
    which = ("element", "inet", _table(ident), _LET_IN, elements)
    output("nft", "add", *which)
    try:
        yield
    finally:
        output("nft", "delete", *which)


def make_tap(name: str, bridge: str) -> None:
    """A port for QEMU, plugged in."""
    output("ip", "tuntap", "add", "dev", name, "mode", "tap")
    output("ip", "link", "set", name, "addrgenmode", "none", "master", bridge, "up")


def plug(name: str, bridge: str) -> None:
    """Put a host's cable in."""
    output("ip", "link", "set", name, "master", bridge, "up")


def unplug(name: str) -> None:
    """Pull a host's cable: nothing gets through in either direction, and its own side notices nothing."""
    output("ip", "link", "set", name, "nomaster")


def plugged(name: str) -> bool:
    return (_LINKS / name / "master").exists()


def exists(name: str) -> bool:
    return (_LINKS / name).exists()


def remove_port(name: str, patience: float = 3) -> None:
    """Remove a port, if it isn't going away by itself already."""
    deadline = time.monotonic() + patience
    while exists(name):
        failed = try_run("ip", "link", "delete", name)
        if failed.returncode and exists(name):
            if time.monotonic() > deadline:
                raise LabError(f"The interface {name} can't be removed: {failed.stderr.strip()}")
            time.sleep(0.02)


def remove_all(ident: str) -> None:
    """Remove every interface and every rule of this lab."""
    for link in sorted(_LINKS.iterdir()):
        if link.name == ident or link.name.startswith((f"vb-{ident}-", f"tp-{ident}-")):
            remove_port(link.name)
    if table_exists(ident):
        output("nft", "delete", "table", "inet", _table(ident))


def table_exists(ident: str) -> bool:
    listed = json.loads(output("nft", "-j", "list", "tables"))["nftables"]
    return any(entry.get("table", {}).get("name") == _table(ident) for entry in listed)


def _table(ident: str) -> str:
    return f"ka_lab_{ident}"


def _rules(ident: str) -> str:
    # Bridged frames come through here too where br_netfilter is on, then both names are that of the bridge.
    return f"""table inet {_table(ident)} {{
  set {_LET_IN} {{
    type inet_service
  }}
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname "{ident}" tcp dport @{_LET_IN} accept
    iifname "{ident}" ct state established,related accept
    iifname "{ident}" drop
  }}
  chain forward {{
    type filter hook forward priority -10; policy accept;
    iifname "{ident}" oifname != "{ident}" drop
    oifname "{ident}" iifname != "{ident}" drop
  }}
}}
"""
