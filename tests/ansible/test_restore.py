"""`restore.yml` and `disaster.yml` refuse what is not meant before they contact anybody."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.ansible.running import EXAMPLE, ROOT, needs_ansible, run

SCRIPT = ROOT / "ansible" / "roles" / "restore" / "files" / "readers.sh"


def refused(playbook: str, options: list[str], folder: Path) -> str:
    """What a playbook says that ends without any host having been contacted."""
    touched = folder / "touched"
    ssh = folder / "ssh"
    ssh.write_text(f"#!/bin/sh\necho called >> {touched}\nexit 255\n")
    ssh.chmod(0o755)
    words = [f"playbooks/{playbook}", "-i", str(EXAMPLE), "-e", "fleet_backups=true", *options]
    done = run("ansible-playbook", *words, home=folder, ANSIBLE_SSH_EXECUTABLE=str(ssh))
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert not touched.exists(), said
    return said


@needs_ansible
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "This fleet is called example, not “”. Nothing was touched."),
        (["-e", "restore_confirm=exampel"], "This fleet is called example, not “exampel”. Nothing was"),
        (
            ["-e", "restore_confirm=example", "-e", "restore_time=yesterday"],
            "restore_time is a moment with its zone, such as 2026-11-23T20:59:59Z",
        ),
        (
            ["-e", "restore_confirm=example", "-e", "restore_time=2026-11-23T20:59:59"],
            "restore_time is a moment with its zone",
        ),
        (["-e", "restore_confirm=example", "-e", "restore_set=newest"], "not “newest”. Nothing was touched."),
        (
            ["-e", "restore_time=2026-11-23T20:59:59Z", "-e", "restore_set=20261123T210000Z"],
            "Either a moment (restore_time) or a set (restore_set), not both.",
        ),
        (
            ["-e", "restore_only=documents", "-e", "restore_time=2026-11-23T20:59:59Z"],
            "Documents have no moment",
        ),
        (["-e", "restore_only=everything"], "restore_only"),
        (["-e", "restore_confirm=example", "--limit", "postgres"], "run it without --limit"),
        (["-e", "restore_tiem=2026-11-23T20:59:59Z"], "restore_time?"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_not_meant_touches_no_host(options: list[str], sentence: str, tmp_path: Path) -> None:
    assert sentence in refused("restore.yml", options, tmp_path)


@needs_ansible
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "This fleet is called example, not “”. Nothing was touched."),
        (["-e", "disaster_confirm=exampel"], "not “exampel”. Nothing was touched."),
        (["-e", "disaster_confirm=example"], "The escrow needs its passphrase"),
        (["-e", "disaster_confirm=example", "--limit", "api"], "run it without --limit"),
    ],
    ids=["no name", "a wrong name", "no passphrase", "some hosts"],
)
def test_no_fleet_is_made_anew_unless_it_is_meant(options: list[str], sentence: str, tmp_path: Path) -> None:
    assert sentence in refused("disaster.yml", options, tmp_path)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A folder with a systemctl that only remembers that it was called."""
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/called\n')
    systemctl.chmod(0o755)
    (tmp_path / "readers").write_text("monitoring1\n")
    return tmp_path


def let(gate: Path, mode: str, *hosts: str) -> str:
    """What the script says; PATH leads to the systemctl above."""
    done = subprocess.run(
        ["sh", "-s", "--", mode, str(gate / "readers"), *hosts],
        input=SCRIPT.read_text(),
        env={"PATH": f"{gate / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readers_are_let_in_for_a_while_and_those_of_always_stay(gate: Path) -> None:
    readers, called = gate / "readers", gate / "called"
    assert let(gate, "add", "postgres1", "objects1")
    assert readers.read_text().split() == ["monitoring1", "postgres1", "objects1"]
    assert called.read_text() == "reload repository-gate.service\n"
    assert let(gate, "add", "postgres1", "objects1") == "", "again, it changes nothing"
    assert called.read_text() == "reload repository-gate.service\n"
    assert let(gate, "take", "postgres1", "objects1")
    assert readers.read_text() == "monitoring1\n"
    assert let(gate, "take", "postgres1", "objects1") == ""
    assert sorted(path.name for path in gate.iterdir()) == ["bin", "called", "readers"]
