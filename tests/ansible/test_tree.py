"""The module `tree`, run by Ansible against this machine, in a folder of the test."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.running import OWN_PYTHON, needs_ansible, run

pytestmark = [
    needs_ansible,
    pytest.mark.skipif(os.geteuid() != 0, reason="files get root as their owner"),
]


class Host:
    """A folder that is written to, and a role's templates for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "host"
        self.templates = folder / "templates" / "tree" / str(self.place).lstrip("/")
        self.templates.mkdir(parents=True)

    def run(self, *options: str, **arguments: Any) -> Any:
        """The module's result; ``options`` go to ansible-playbook."""
        tasks = [
            {"name": "t", "tree": {"src": "tree", **arguments}, "register": "r"},
            {"name": "r", "ansible.builtin.debug": {"msg": "RESULT {{ r | to_json }}"}},
        ]
        play = {
            "name": "p",
            "hosts": "localhost",
            "connection": "local",
            "vars": {"who": "me"},
            "tasks": tasks,
        }
        (self.folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
        done = run(
            "ansible-playbook",
            *("-i", "localhost,", str(self.folder / "play.yml"), *options),
            home=self.folder,
            folder=self.folder,
            ANSIBLE_CALLBACK_RESULT_FORMAT="json",
            **OWN_PYTHON,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        line = next(line for line in done.stdout.splitlines() if "RESULT" in line)
        message = json.loads("{" + line.strip().rstrip(",") + "}")["msg"]
        return json.loads(message.removeprefix("RESULT "))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_files_come_out_rendered_with_their_rights_and_a_second_time_nothing_changes(host: Host) -> None:
    (host.templates / "a.conf.j2").write_text("who = {{ who }}\n")
    script = host.templates / "run"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    wanted: dict[str, Any] = {
        "owners": {f"{host.place}/a.conf": {"mode": "0600"}},
        "links": {f"{host.place}/b.conf": "a.conf"},
    }
    first = host.run(**wanted)
    assert sorted(first["paths"]) == [f"{host.place}/{name}" for name in ("a.conf", "b.conf", "run")]
    assert (host.place / "b.conf").read_text() == "who = me\n"
    assert [(host.place / name).stat().st_mode & 0o777 for name in ("a.conf", "run")] == [0o600, 0o755]
    assert host.run(**wanted)["changed"] is False


def test_a_copy_keeps_what_looks_like_a_template(host: Host) -> None:
    text = "summary: It is {{ $value }}.\n"
    rules = host.folder / "rules.yml"
    rules.write_text(text)
    wanted = {"copies": {f"{host.place}/rules": [str(rules)]}}
    assert host.run(**wanted)["paths"] == [f"{host.place}/rules/rules.yml"]
    assert (host.place / "rules" / "rules.yml").read_text() == text
    assert host.run(**wanted)["changed"] is False


def test_check_mode_says_what_would_change_and_writes_nothing(host: Host) -> None:
    (host.templates / "a.conf").write_text("new\n")
    said = host.run("--check")
    assert said["paths"] == [f"{host.place}/a.conf"]
    assert not host.place.exists()


def test_what_must_not_be_there_goes(host: Host) -> None:
    (host.templates / "a.conf").write_text("new\n")
    host.place.mkdir()
    old = host.place / "old.conf"
    old.write_text("old\n")
    assert str(old) in host.run(absent=[str(old)])["paths"]
    assert not old.exists()
