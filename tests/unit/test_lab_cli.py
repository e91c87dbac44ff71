from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.lab import cli, requirements
from tests.lab.lab import Lab

HOST_VERBS = ["start", "stop", "kill", "replace", "cut", "heal", "freeze", "thaw"]
VERBS = [*HOST_VERBS, "up", "down", "status", "ssh", "exec", "logs", "inventory", "prepare", "bench"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KA_LAB_DIR", str(tmp_path / "labs"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    told = capsys.readouterr().out
    assert all(f"    {verb} " in told for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main([verb, "--help"])
    assert verb in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["up", "--hosts", "api1"], ["down"], ["kill", "api1"], ["prepare"], ["status"]]
)
def test_who_is_not_root_is_told_so_and_nothing_is_made(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cli.main(words) == 1
    assert "run it as root (sudo)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_missing_commands_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"systemd-nspawn", "qemu-img", "ssh"}
    monkeypatch.setattr(shutil, "which", lambda command: f"/bin/{command}" if command in there else None)
    packages = requirements.missing({"nspawn", "qemu"})
    assert "qemu-system-x86" in packages
    assert "openssh-client" in packages, "ssh-keygen is missing"
    assert "systemd-container" not in packages
    assert "qemu-system-x86" not in requirements.missing({"nspawn"})


def test_a_full_disk_is_said_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/labs/x")

    monkeypatch.setattr(Lab, "named", full)
    assert cli.main(["status"]) == 1
    assert capsys.readouterr().err == "lab: The disk is full (/labs/x): make room, then try again.\n"
