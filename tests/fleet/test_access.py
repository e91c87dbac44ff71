"""Who gets in: operators while they are named, and Ansible itself, which cannot lock itself out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.fleet.fleet import Fleet
from tests.lab.errors import LabError

SECONDS = 600
HOST = "chroma1"
LIMIT = ("--limit", HOST, "-e", "guard_seconds=30")


class Operator:
    """Somebody with a key."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.key = folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.public = self.key.with_suffix(".pub").read_text().strip()

    def run(self, fleet: Fleet, words: str) -> subprocess.CompletedProcess[str]:
        """A command on the host, as this user."""
        command = fleet.lab.ssh_command(HOST)
        root = next(word for word in command if word.startswith("root@"))
        ours = [word for word in command if word != root]
        place = next(number for number, word in enumerate(ours) if word == "-i")
        ours[place + 1] = str(self.key)
        return subprocess.run(
            [*ours, root.replace("root@", f"{self.name}@"), words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def alice(tmp_path: Path) -> Operator:
    return Operator("alice", tmp_path)


def named(*operators: Operator) -> tuple[str, str]:
    """The option that names these operators and no others."""
    return "-e", json.dumps({"base_operators": {one.name: [one.public] for one in operators}})


def test_an_operator_administers_a_host_also_with_the_playbooks_and_is_out_when_removed(
    fleet: Fleet, alice: Operator
) -> None:
    try:
        fleet.play("site", "--tags", "base", *LIMIT, *named(alice))
        assert alice.run(fleet, "sudo -n id -u").stdout.strip() == "0"
        become = ["ansible_user=alice", "ansible_become=true", f"ansible_ssh_private_key_file={alice.key}"]
        as_alice = [word for setting in become for word in ("-e", setting)]
        again = fleet.play(
            "site", "--tags", "base,pki,disks,firewall,chroma", *LIMIT, *named(alice), *as_alice
        )
        assert again.changed == {HOST: 0}, again.output
        fleet.output(HOST, "systemd-run --quiet --unit=alices --uid=alice sleep 600")
    finally:
        fleet.play("site", "--tags", "base", *LIMIT)
    assert alice.run(fleet, "true").returncode == 255
    assert fleet.output(HOST, "pgrep -u alice || echo none") == "none"
    assert "alice" not in fleet.output(HOST, "cat /etc/sudoers.d/operators")


def test_settings_of_sshd_that_lock_everybody_out_go_back_and_site_says_so(fleet: Fleet) -> None:
    with pytest.raises(LabError) as told:
        fleet.play("site", "--tags", "base", *LIMIT, "-e", json.dumps({"base_ssh": {"AllowUsers": "nobody"}}))
    said = " ".join(str(told.value).split())
    assert f"{HOST} did not let us in with the new ssh settings. It has gone back to the old ones" in said
    assert "nobody" not in fleet.output(HOST, "sshd -T")
    assert fleet.play("site", "--tags", "base", *LIMIT).changed == {HOST: 0}


def test_a_wrong_setting_of_sshd_never_comes_into_force(fleet: Fleet) -> None:
    with pytest.raises(LabError) as told:
        fleet.play("site", "--tags", "base", *LIMIT, "-e", json.dumps({"base_ssh": {"AllowUser": "root"}}))
    assert "AllowUser" in str(told.value)
    assert fleet.play("site", "--tags", "base", *LIMIT).changed == {HOST: 0}


def test_a_firewall_that_locks_us_out_goes_back_and_site_says_so(fleet: Fleet) -> None:
    before = fleet.output(HOST, "nft list ruleset")
    elsewhere = json.dumps({"firewall_operators": ["192.0.2.1/32"]})
    with pytest.raises(LabError) as told:
        fleet.play("site", "--tags", "firewall", *LIMIT, "-e", elsewhere)
    assert f"{HOST} did not let us in with the new firewall settings" in " ".join(str(told.value).split())
    assert fleet.output(HOST, "nft list ruleset") == before
