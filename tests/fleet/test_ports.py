"""Each port is reachable from where the matrix says, and from nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.plays import ROOT

yaml = pytest.importorskip("yaml")
SECONDS = 300
LISTENING = "ss -Htln | awk '{print $4}' | grep -vE '^(127\\.|\\[::1\\])' | sed 's/.*://' | sort -nu"
# names of hosts and ports are given as JSON; each is tried once, since sshd shuts out who comes often
TRY = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def opens(place):
    try:
        socket.create_connection((place[1], place[2]), 3).close()
    except OSError:
        return False
    return True

places = json.loads(sys.argv[1])
with ThreadPoolExecutor(64) as pool:
    print(json.dumps([[place[0], place[2]] for place, ok in zip(places, pool.map(opens, places)) if ok]))
"""
Doors = set[tuple[str, int]]


class Matrix:
    """``ports.yml`` for this fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._rows: list[dict[str, Any]] = yaml.safe_load((ROOT / "ansible" / "ports.yml").read_text())[
            "ports"
        ]
        self._group = {host.name: host.plan.group for host in fleet.lab.record().hosts.values()}

    def opens(self, source: str, target: str, port: int) -> bool:
        """Whether a host, or "outside", may reach a port."""
        allowed = {self._group[source], "all"} if source in self._group else {"operators", "users"}
        return any(
            row["to"] in ("all", self._group[target]) and row["port"] == port and allowed & set(row["from"])
            for row in self._rows
        )


@contextmanager
def unknown_service(fleet: Fleet, host: str, port: int) -> Iterator[None]:
    """Something on a host listens that nobody knows, and the host's own firewall lets everybody in to it."""
    fleet.output(
        host,
        f"systemd-run --quiet --unit=unknown python3 -m http.server {port} &&"
        f" nft insert rule inet knowledge_assistant input tcp dport {port} accept",
    )
    try:
        fleet.output(
            host, f"for _ in $(seq 50); do ss -Htln | grep -q :{port} && exit; sleep 0.2; done; exit 1"
        )
        yield
    finally:
        fleet.output(host, "systemctl stop unknown; systemctl restart nftables")


def reached(fleet: Fleet, source: str, doors: Doors) -> Doors:
    """Which of these ports opened to a host, or to this machine ("outside")."""
    places = json.dumps(
        [[host, fleet.lab.address(host), port] for host, port in sorted(doors) if host != source]
    )
    if source == "outside":
        done = subprocess.run([sys.executable, "-c", TRY, places], capture_output=True, text=True, check=True)
        told = done.stdout
    else:
        told = fleet.output(source, f"python3 - '{places}' << 'END'\n{TRY}\nEND")
    return {(str(host), int(port)) for host, port in json.loads(told)}


def test_every_port_that_listens_is_reached_from_where_the_matrix_says_and_nowhere_else(fleet: Fleet) -> None:
    matrix, hosts = Matrix(fleet), list(fleet.lab.record().hosts)
    listening = {(host, int(port)) for host in hosts for port in fleet.output(host, LISTENING).split()}
    # a port that one host opens is tried on all: a wrong host may run it too
    doors = {(host, port) for host in hosts for _, port in listening}
    wrong = []
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(hosts, pool.map(lambda host: reached(fleet, host, doors), hosts), strict=True))
    found["outside"] = reached(fleet, "outside", doors)
    for source, opened in found.items():
        expected = {
            (host, port) for host, port in listening if host != source and matrix.opens(source, host, port)
        }
        wrong += [f"{source} reaches {host}:{port}" for host, port in sorted(opened - expected)]
        wrong += [f"{source} does not reach {host}:{port}" for host, port in sorted(expected - opened)]
    assert wrong == []
    assert len(listening) > len(hosts), "SSH and what each host is there for"


def test_a_host_reaches_nothing_that_the_matrix_does_not_name_also_where_it_would_be_let_in(
    fleet: Fleet,
) -> None:
    port = 18999
    with unknown_service(fleet, "objects1", port):
        assert reached(fleet, "outside", {("objects1", port)}), "the test's own service listens"
        for source in ("chroma1", "postgres1", "api1", "balancer1"):
            assert not reached(fleet, source, {("objects1", port)}), source
