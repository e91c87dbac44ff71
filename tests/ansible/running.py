"""Ansible's commands as tests run them, with a home of their own: nothing of the operator's counts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
COMMANDS = ROOT / ".venv-ops" / "bin"
EXAMPLE = ROOT / "ansible" / "inventories" / "example" / "hosts.yml"
# for hosts that are this machine
OWN_PYTHON = {"ANSIBLE_PYTHON_INTERPRETER": str(ROOT / ".venv" / "bin" / "python")}

needs_ansible = pytest.mark.skipif(
    not COMMANDS.exists(), reason="Ansible is not set up: tools/ops.sh .venv-ops"
)


def run(
    command: str, *words: str, home: Path, folder: Path = ROOT / "ansible", **variables: str
) -> subprocess.CompletedProcess[str]:
    """How a command of Ansible's ended, in two minutes at most.

    Args:
        command: its name, such as ``ansible-playbook``; ``words`` are its arguments.
        home: the operator's home folder.
        folder: where it is called.
        variables: of its environment, beside this process's own.
    """
    own = {"HOME": str(home), "ANSIBLE_HOME": str(home / ".ansible"), "ANSIBLE_NOCOLOR": "1"}
    own["ANSIBLE_CONFIG"] = str(ROOT / "ansible" / "ansible.cfg")
    return subprocess.run(
        [str(COMMANDS / command), *words],
        cwd=folder,
        env={**os.environ, **own, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
