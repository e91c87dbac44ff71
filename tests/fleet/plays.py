"""Running the playbooks as an operator does, and reading what they say at their end."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError

ROOT = Path(__file__).resolve().parents[2]
_ANSIBLE = ROOT / ".venv-ops" / "bin"
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE)
_LINES = 60
# a controller is a machine of its own: here it gives way to the hosts, which would not feel it elsewhere
_GIVING_WAY = ("nice", "-n", "10")
# whether the fleet saves its documents and its database
SAVED = os.environ.get("KA_FLEET_BACKUPS", "") == "1"
_SETTINGS = ("-e", "fleet_backups=true") if SAVED else ()


@dataclass(frozen=True)
class Played:
    """A playbook that came to its end. ``changed``: per host, how many tasks did or would do something."""

    output: str
    seconds: float
    changed: dict[str, int]


class Plays:
    """Runs playbooks on one inventory.

    ``home`` becomes the operator's home, where the fleet's authority and secrets are kept. What Ansible
    prints is kept there too, in ``plays``.
    """

    def __init__(self, inventory: Path, home: Path) -> None:
        self._inventory = inventory
        self._home = home
        self._logs = home / "plays"

    def run(self, verb: str, *options: str, timeout: float = 600) -> Played:
        """Run ``ansible/playbooks/VERB.yml``.

        Raises:
            LabError: it failed or took longer than ``timeout`` seconds; with the last lines of its output.
        """
        if not (_ANSIBLE / "ansible-playbook").exists():
            raise LabError("Ansible is not set up: run `make setup-ops`.")
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{len(list(self._logs.iterdir())) + 1:03}-{verb}.log"
        playbook = [f"{_ANSIBLE}/ansible-playbook", f"playbooks/{verb}.yml", f"-i{self._inventory}"]
        playbook += [*_SETTINGS, *options]
        begun = time.monotonic()
        try:
            with log.open("w") as file:
                done = subprocess.run(
                    [*_GIVING_WAY, *playbook],
                    cwd=ROOT / "ansible",
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=timeout,
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{verb}.yml took longer than {timeout:.0f} s:\n{_end(log)}") from error
        finally:
            self._hang_up()
        if done.returncode:
            raise LabError(f"{verb}.yml ended with {done.returncode} ({log}):\n{_end(log)}")
        text = log.read_text()
        changed = {found[1]: int(found[3]) for found in _RECAP.finditer(text)}
        return Played(text, time.monotonic() - begun, changed)

    @property
    def _sockets(self) -> Path:
        return self._home / ".ansible" / "cp"

    def _environment(self) -> dict[str, str]:
        path = f"{_ANSIBLE}:{os.environ.get('PATH', os.defpath)}"
        return {
            **os.environ,
            "HOME": str(self._home),
            "PATH": path,
            "ANSIBLE_HOME": str(self._home / ".ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._sockets),
            "ANSIBLE_NOCOLOR": "1",
        }

    def _hang_up(self) -> None:
        """End the connections that ssh keeps: hosts are about to die, and others to take their addresses."""
        for socket in self._sockets.glob("*"):
            subprocess.run(
                ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "nobody"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=10,
                check=False,
            )


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LINES:])
