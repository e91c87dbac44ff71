"""Hosts are updated and restarted under load, and nobody notices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.fleet import Fleet, changed
from tests.fleet.used import unnoticed
from tests.lab.errors import LabError

pytestmark = pytest.mark.usefixtures("green_afterwards")
SECONDS = 1800
BOOT = "cat /proc/sys/kernel/random/boot_id"
OFFLINE = ("-e", "patch_offline=true")
FOLDER = "/var/tmp/ka-repository"
SOURCE = Path(__file__).with_name("package_source.sh").read_text(encoding="utf-8")


@pytest.fixture
def update(fleet: Fleet) -> Iterator[list[str]]:
    """Options for patch.yml: a package source on every host, with an update that asks for a restart.

    The package that it updates is installed on the API and database hosts alone.
    """
    with_update = [*fleet.hosts("api"), *fleet.hosts("postgres")]
    for host in fleet.names:
        fleet.output(host, f"FOLDER={FOLDER}\n{SOURCE}")
    for host in with_update:
        fleet.output(host, f"dpkg -i {FOLDER}/1.deb")
    sources = f"Types: deb\nURIs: file:{FOLDER}\nSuites: ./\nTrusted: yes\n"
    yield ["-e", json.dumps({"patch_sources": sources})]
    remove = f"dpkg --purge ka-patched; rm -rf {FOLDER} /var/lib/apt/lists/_var_tmp*"
    fleet.lab.run_on(fleet.names, remove)


def test_updates_and_restarts_go_from_host_to_host_under_load_and_nobody_notices(
    fleet: Fleet, update: list[str]
) -> None:
    primary, boots = fleet.member("leader"), fleet.everywhere(BOOT)
    with unnoticed(fleet):
        played = fleet.play("patch", *update, timeout=1500)
    restarted = changed(boots, fleet.everywhere(BOOT))
    assert restarted == {*fleet.hosts("api"), *fleet.hosts("postgres")}
    versions = fleet.everywhere("dpkg-query -W -f '${Version}' ka-patched 2> /dev/null || :")
    assert versions == {name: "2" if name in restarted else "" for name in versions}
    order = re.findall(r"^    - '?(\w+): 1 updated \(ka-patched\), restarted", played.output, re.MULTILINE)
    assert (set(order), order[-1]) == (restarted, primary)
    assert fleet.member("leader") != primary
    assert "chroma1: nothing to update" in played.output
    assert "0 of 10 hosts" in fleet.play("patch", *update).output


def test_hosts_that_nobody_stands_in_for_are_restarted_one_after_the_other(fleet: Fleet) -> None:
    boots = fleet.everywhere(BOOT)
    alone = {"chroma1", "objects1", "monitoring1", "backup1", "balancer1"}
    hosts = f"maintenance_hosts={','.join(sorted(alone))}"
    fleet.play("patch", *OFFLINE, "-e", "patch_reboot=always", "-e", hosts, timeout=1500)
    assert changed(boots, fleet.everywhere(BOOT)) == alone


def test_without_a_package_source_nothing_is_touched_unless_somebody_says_so(fleet: Fleet) -> None:
    boots = fleet.everywhere(BOOT)
    with pytest.raises(LabError, match="nobody knows what there is to update"):
        fleet.play("patch")
    said = fleet.play("patch", *OFFLINE).output
    assert "api1: no package source reached; nothing to update" in " ".join(said.split())
    assert not changed(boots, fleet.everywhere(BOOT))
