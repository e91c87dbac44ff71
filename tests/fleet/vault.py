"""What an operator keeps encrypted, opened as an operator would."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.fleet.fleet import Fleet
from tests.fleet.plays import ROOT
from tests.lab.errors import LabError


def key_file(fleet: Fleet) -> Path:
    """Where the passphrase lies."""
    return fleet.home / ".config/knowledge-assistant" / f"{fleet.lab.place.name}.key"


def secrets_file(fleet: Fleet) -> Path:
    """Where the secrets lie, encrypted."""
    return fleet.ca.with_name("secrets.yml")


def fleet_secrets(fleet: Fleet) -> dict[str, str]:
    """All secrets by name; raises LabError if the file cannot be opened."""
    text = _vault("view", fleet)
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def set_fleet_secrets(fleet: Fleet, values: dict[str, str]) -> None:
    """Replace all secrets on the controller; no host knows of it until site.yml runs."""
    _vault("encrypt", fleet, "".join(f"{name}: {value}\n" for name, value in values.items()))


def _vault(verb: str, fleet: Fleet, text: str = "") -> str:
    command = [str(ROOT / ".venv-ops/bin/ansible-vault"), verb, "--vault-password-file", str(key_file(fleet))]
    place = ["--output", str(secrets_file(fleet)), "-"] if text else [str(secrets_file(fleet))]
    done = subprocess.run(
        [*command, *place],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise LabError(f"ansible-vault {verb} failed: {done.stderr.strip()}")
    return done.stdout
