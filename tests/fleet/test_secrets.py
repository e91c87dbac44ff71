"""Where a secret of the fleet can be read: looked for with values that are known, and with a control."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.search import KNOWN, finds
from tests.fleet.vault import fleet_secrets, secrets_file, set_fleet_secrets

SECONDS = 1800
WHOLE = 180


@pytest.fixture
def poison(fleet: Fleet) -> Iterator[list[str]]:
    """Values that site.yml has brought to the hosts as the fleet's secrets."""
    names = list(fleet_secrets(fleet))
    values = {name: f"poison-{secrets.token_hex(16)}" for name in names}
    set_fleet_secrets(fleet, values)
    yield list(values.values())
    fleet.wait_whole(WHOLE)


def test_no_secret_is_told_by_ansible_or_lies_open_on_a_host(fleet: Fleet, poison: list[str]) -> None:
    played = fleet.play("site", "-vvv", timeout=SECONDS)
    fleet.wait_whole(WHOLE)
    assert "invocation" in played.output
    assert not [value for value in poison if value in played.output]
    assert not [value for value in poison if value in secrets_file(fleet).read_text()]
    assert finds(fleet, poison) == KNOWN


def test_the_search_finds_a_secret_wherever_one_was_put(fleet: Fleet) -> None:
    value = f"control-{secrets.token_hex(16)}"
    fleet.output("api2", f"logger {value}; echo {value} > /etc/control; journalctl --sync")
    fleet.output("api2", f"systemd-run -q --unit=control --setenv=CONTROL={value} sleep 300")
    fleet.output("api2", f"systemd-run -q --unit=control2 sh -c 'sleep 300; : {value}'")
    try:
        places = finds(fleet, [value])["api2"]
    finally:
        fleet.output("api2", "rm -f /etc/control; systemctl stop control control2")
    assert {"journal", "command line", "environment of sleep", "/etc/control"} <= set(places)


def test_credentials_on_disk_open_on_their_own_host_alone(fleet: Fleet) -> None:
    encrypted = fleet.output("api1", "base64 -w0 /etc/credstore.encrypted/ka.objects.secret_key")
    opening = "base64 -d | systemd-creds decrypt --name=ka.objects.secret_key - -"
    assert fleet.lab.run("api1", f"echo {encrypted} | {opening}").returncode == 0
    assert fleet.lab.run("api2", f"echo {encrypted} | {opening}").returncode != 0


def test_decrypted_credentials_lie_in_memory_where_their_unit_alone_can_read(fleet: Fleet) -> None:
    script = (
        "stat -f -c %T /run/credentials/objects.service; stat -c '%a %U' /run/credentials/objects.service/*"
    )
    kind, *rights = fleet.output("objects1", script).splitlines()
    assert kind in {"ramfs", "tmpfs"}
    assert rights
    assert set(rights) <= {"400 objects", "440 root", "400 root"}
    reading = "runuser -u nobody -- cat /run/credentials/objects.service/ka.objects.secret_key"
    assert fleet.lab.run("objects1", reading).returncode != 0
