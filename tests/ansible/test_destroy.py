"""`destroy.yml` with a wrong name ends before it contacts anybody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ANSIBLE = ROOT / ".venv-ops" / "bin" / "ansible-playbook"

pytestmark = pytest.mark.skipif(not ANSIBLE.exists(), reason="Ansible is not set up: tools/ops.sh .venv-ops")


@pytest.mark.parametrize("options", [["-e", "fleet_destroy=exampel"], []], ids=["a wrong name", "no name"])
def test_without_the_right_name_no_host_is_contacted(options: list[str], tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text((ROOT / "ansible/inventories/example/hosts.yml").read_text(encoding="utf-8"))
    touched = tmp_path / "touched"
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho called >> {touched}\nexit 255\n")
    ssh.chmod(0o755)
    env = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [str(ANSIBLE), "playbooks/destroy.yml", "-i", str(inventory), *options],
        cwd=ROOT / "ansible",
        env=env | {"ANSIBLE_SSH_EXECUTABLE": str(ssh)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "This fleet is called example, not" in said, said
    assert "Nothing was touched." in said
    assert not touched.exists()
