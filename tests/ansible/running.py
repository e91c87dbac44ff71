"""Ansible's commands as tests run them, with a home of their own: nothing of the operator's counts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
COMMANDS = ROOT / ".venv-ops" / "bin"
INVENTORIES = ROOT / "ansible" / "inventories"
EXAMPLE = INVENTORIES / "example" / "hosts.yml"
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


def removable(folder: Path) -> None:
    """Let files go that only grow (chattr +a), at the end of a test."""
    subprocess.run(["chattr", "-R", "-a", str(folder)], capture_output=True, check=False)


def results(folder: Path, *tasks: dict[str, Any], **variables: str) -> list[dict[str, Any]]:
    """What tasks return that are run on this machine one after the other, whether they fail or not.

    Args:
        folder: for the playbook and the operator's home.
        tasks: each a module's name and its arguments, and perhaps keywords of the task.
        variables: of the environment.
    """
    written = folder / "results.json"
    numbered = [
        {"name": f"t{number}", **task, "register": f"r{number}", "ignore_errors": True}
        for number, task in enumerate(tasks)
    ]
    told = ", ".join(f"r{number}" for number in range(len(tasks)))
    copy = {"content": "{{ [" + told + "] | to_json }}", "dest": str(written), "mode": "0600"}
    write = {"name": "w", "ansible.builtin.copy": copy}
    play = {"name": "p", "hosts": "localhost", "connection": "local", "tasks": [*numbered, write]}
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    words = ["-i", "localhost,", str(folder / "play.yml")]
    done = run("ansible-playbook", *words, home=folder, folder=folder, **OWN_PYTHON, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(written.read_text())
    return found
