"""Hosts come and go, are updated, restarted and replaced under load, and nobody notices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.plays import Plays
from tests.fleet.releases import DRAINED
from tests.fleet.test_deploy import LEDGER, load
from tests.lab.errors import LabError

yaml = pytest.importorskip("yaml")
pytestmark = pytest.mark.usefixtures("green_afterwards")
SECONDS = 1800
API = "assistant-api.service"
BOOT = "cat /proc/sys/kernel/random/boot_id"
MACHINE = "cat /etc/machine-id"
OFFLINE = ("-e", "patch_offline=true")
FOLDER = "/var/tmp/ka-repository"
SOURCE = Path(__file__).with_name("package_source.sh").read_text(encoding="utf-8")


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
    with load(fleet):
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
        with load(fleet):
            fleet.play("scale", "-e", "assistant_workers=2")
            assert workers(fleet) == [2, 2]
            fleet.play("scale")
            assert workers(fleet) == [1, 1]
    finally:
        if workers(fleet) != [1, 1]:
            fleet.play("scale")
    assert [fleet.output(host, pids) for host in fleet.hosts("api")] == before


@pytest.fixture
def update(fleet: Fleet) -> Iterator[list[str]]:
    """Options for patch.yml: a package source on every host, with an update that asks for a restart.

    The package that it updates is installed on the API and database hosts alone.
    """
    with_update = [*fleet.hosts("api"), *fleet.hosts("postgres")]
    for host in all_hosts(fleet):
        fleet.output(host, f"FOLDER={FOLDER}\n{SOURCE}")
    for host in with_update:
        fleet.output(host, f"dpkg -i {FOLDER}/1.deb")
    sources = f"Types: deb\nURIs: file:{FOLDER}\nSuites: ./\nTrusted: yes\n"
    yield ["-e", json.dumps({"patch_sources": sources})]
    remove = f"dpkg --purge ka-patched; rm -rf {FOLDER} /var/lib/apt/lists/_var_tmp*"
    fleet.lab.run_on(all_hosts(fleet), remove)


def all_hosts(fleet: Fleet) -> list[str]:
    """Names of all hosts."""
    return [host.name for host in fleet.lab.record().hosts.values()]


def everywhere(fleet: Fleet, script: str) -> dict[str, str]:
    """What a command prints, by host."""
    return {name: done.stdout.strip() for name, done in fleet.lab.run_on(all_hosts(fleet), script).items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Hosts whose answer is another one."""
    return {name for name in before if after[name] != before[name]}


def test_updates_and_restarts_go_from_host_to_host_under_load_and_nobody_notices(
    fleet: Fleet, update: list[str]
) -> None:
    primary, boots = fleet.member("leader"), everywhere(fleet, BOOT)
    with load(fleet):
        played = fleet.play("patch", *update, timeout=1500)
    restarted = changed(boots, everywhere(fleet, BOOT))
    assert restarted == {*fleet.hosts("api"), *fleet.hosts("postgres")}
    versions = everywhere(fleet, "dpkg-query -W -f '${Version}' ka-patched 2> /dev/null || :")
    assert versions == {name: "2" if name in restarted else "" for name in versions}
    order = re.findall(r"^    - '?(\w+): 1 updated \(ka-patched\), restarted", played.output, re.MULTILINE)
    assert (set(order), order[-1]) == (restarted, primary)
    assert fleet.member("leader") != primary
    assert "chroma1: nothing to update" in played.output
    assert "0 of 10 hosts" in fleet.play("patch", *update).output


def test_hosts_that_nobody_stands_in_for_are_restarted_one_after_the_other(fleet: Fleet) -> None:
    boots = everywhere(fleet, BOOT)
    alone = {"chroma1", "objects1", "monitoring1", "backup1", "balancer1"}
    hosts = f"maintenance_hosts={','.join(sorted(alone))}"
    fleet.play("patch", *OFFLINE, "-e", "patch_reboot=always", "-e", hosts, timeout=1500)
    assert changed(boots, everywhere(fleet, BOOT)) == alone


def test_without_a_package_source_nothing_is_touched_unless_somebody_says_so(fleet: Fleet) -> None:
    boots = everywhere(fleet, BOOT)
    with pytest.raises(LabError, match="nobody knows what there is to update"):
        fleet.play("patch")
    said = fleet.play("patch", *OFFLINE).output
    assert "api1: no package source reached; nothing to update" in " ".join(said.split())
    assert not changed(boots, everywhere(fleet, BOOT))


def test_new_hosts_take_the_places_of_old_ones_under_load_and_nobody_notices(fleet: Fleet) -> None:
    primary, machines = fleet.member("leader"), everywhere(fleet, MACHINE)
    hosts = f"maintenance_hosts=api1,{primary}"
    with load(fleet):
        fleet.play("refresh", "-e", hosts, timeout=1500)
    assert changed(machines, everywhere(fleet, MACHINE)) == {"api1", primary}
    assert fleet.member("leader") != primary
    assert not any(fleet.play("site", "--check").changed.values())


def test_a_host_that_was_not_replaced_is_noticed_and_stays_out_of_the_balancer(fleet: Fleet) -> None:
    machines = everywhere(fleet, MACHINE)
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
    assert not changed(machines, everywhere(fleet, MACHINE))
