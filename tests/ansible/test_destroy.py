"""`destroy.yml` with a wrong name ends before it contacts anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ansible.running import EXAMPLE, needs_ansible, run

pytestmark = needs_ansible


@pytest.mark.parametrize("options", [["-e", "fleet_destroy=exampel"], []], ids=["a wrong name", "no name"])
def test_without_the_right_name_no_host_is_contacted(options: list[str], tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(EXAMPLE.read_text(encoding="utf-8"))
    touched = tmp_path / "touched"
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho called >> {touched}\nexit 255\n")
    ssh.chmod(0o755)
    words = ["playbooks/destroy.yml", "-i", str(inventory), *options]
    done = run("ansible-playbook", *words, home=tmp_path, ANSIBLE_SSH_EXECUTABLE=str(ssh))
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "This fleet is called example, not" in said, said
    assert "Nothing was touched." in said
    assert not touched.exists()
