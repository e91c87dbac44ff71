"""Three hosts from the image: two in containers, one in QEMU with the image's own kernel and boot loader."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.lab.lab import Lab

HOSTS = ("api1", "api2", "chroma1")
QEMU = ("chroma1",)
SECONDS = 400
CONTAINER, MACHINE = "api1", "chroma1"
BOTH = (CONTAINER, MACHINE)
OFF = ["etcd", "haproxy", "nftables", "patroni", "postgresql", "prometheus", "prometheus-alertmanager"]
OFF += ["prometheus-blackbox-exporter", "prometheus-node-exporter", "prometheus-postgres-exporter"]
OFF += ["restic-rest-server"]
USER = "setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs"


def said(lab: Lab, host: str, command: str, timeout: float = 60) -> str:
    done = lab.run(host, command, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("host", BOTH)
def test_an_ordinary_user_runs_the_release_that_the_manifest_names(
    lab: Lab, manifest: dict[str, Any], host: str
) -> None:
    version = said(lab, host, f"{USER} /nix/var/nix/profiles/ka/bin/ka --version")
    assert version == f"ka {manifest['release']} {manifest['closure']['path']} {manifest['commit']}"


def test_the_closure_is_the_one_of_the_manifest_to_the_last_bit(lab: Lab, manifest: dict[str, Any]) -> None:
    current = "$(readlink -f /nix/var/nix/profiles/ka)"
    assert said(lab, CONTAINER, f"echo {current}") == manifest["closure"]["path"]
    ours = {part["path"]: part["nar_hash"] for part in manifest["closure"]["paths"]}
    there = said(
        lab, CONTAINER, f"for p in $(nix-store -qR {current}); do echo $p $(nix-store -q --hash $p); done"
    )
    assert {path: digest for path, _, digest in (row.partition(" ") for row in there.splitlines())} == ours


def test_every_file_in_the_store_has_the_contents_that_were_signed(lab: Lab) -> None:
    said(lab, CONTAINER, "nix-store --verify --check-contents", timeout=200)


@pytest.mark.parametrize("host", BOTH)
def test_no_port_but_ssh_listens(lab: Lab, host: str) -> None:
    rows = said(lab, host, "ss -Hlntu").splitlines()
    reachable = [row for row in rows if not re.search(r"\s(127\.[\d.]+|\[::1\])(%lo)?:\d+\s", row)]
    assert {row.split()[4].rpartition(":")[2] for row in reachable} == {"22"}, rows


@pytest.mark.parametrize("host", BOTH)
def test_no_service_of_a_role_is_enabled_or_runs(lab: Lab, host: str) -> None:
    units = " ".join(OFF)
    enabled = lab.run(host, f"systemctl is-enabled {units}").stdout.split()
    assert len(enabled) == len(OFF)
    assert "enabled" not in enabled
    assert set(lab.run(host, f"systemctl is-active {units}").stdout.split()) == {"inactive"}


@pytest.mark.parametrize("host", BOTH)
def test_nobody_gets_in_with_a_password_or_a_key_of_the_image(lab: Lab, host: str) -> None:
    secrets = said(lab, host, "cut -d: -f2 /etc/shadow").split()
    assert all(secret.startswith(("!", "*")) for secret in secrets)
    keys = said(lab, host, "cat /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys 2>/dev/null || :")
    assert len(keys.splitlines()) == 1, "only the key that this lab was given"
    settings = said(lab, host, "sshd -T")
    assert "passwordauthentication no" in settings
    assert "kbdinteractiveauthentication no" in settings


def test_two_hosts_share_no_identity(lab: Lab) -> None:
    for command in (
        "cat /etc/machine-id",
        "cat /etc/ssh/ssh_host_*_key.pub",
        "cat /proc/sys/kernel/random/boot_id",
    ):
        answers = {name: done.stdout.strip() for name, done in lab.run_on(HOSTS, command).items()}
        if "boot_id" in command:
            answers = {MACHINE: answers[MACHINE], CONTAINER: answers[CONTAINER]}
        assert all(answers.values())
        assert len(set(answers.values())) == len(answers), f"{command}: {answers}"


def test_the_machine_starts_without_a_failed_unit(lab: Lab) -> None:
    assert said(lab, MACHINE, "systemctl --failed --no-legend --plain") == ""
    assert said(lab, MACHINE, "systemctl is-system-running --wait || :") == "running"


def test_the_machine_can_write_to_its_root_which_is_the_images(lab: Lab) -> None:
    assert said(lab, MACHINE, "findmnt --noheadings --output LABEL,OPTIONS /").startswith("ka-root rw")
