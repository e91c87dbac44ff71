"""The fleet's secrets on the controller: those of its own are made, those of others are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ansible.running import needs_ansible, results, run

yaml = pytest.importorskip("yaml")
pytestmark = needs_ansible


def asked(folder: Path, **arguments: Any) -> dict[str, Any]:
    """The task of the role ``secrets`` that reads and makes them, with one secret of either kind."""
    place = {"folder": str(folder / "fleet"), "key": str(folder / "fleet.key")}
    return {"fleet_secrets": {**place, "names": ["own.key"], "brought": ["alerts.slack"], **arguments}}


def kept(folder: Path) -> dict[str, Any]:
    """What the file holds."""
    told = vault(folder, "view", str(folder / "fleet" / "secrets.yml"))
    found: dict[str, Any] = yaml.safe_load(told)
    return found


def put(folder: Path, values: dict[str, Any]) -> None:
    """Write the file as an operator would."""
    plain = folder / "plain.yml"
    plain.write_text(yaml.safe_dump(values))
    vault(folder, "encrypt", str(plain), "--output", str(folder / "fleet" / "secrets.yml"))


def vault(folder: Path, verb: str, *words: str) -> str:
    """What ansible-vault answers."""
    key = ["--vault-password-file", str(folder / "fleet.key")]
    done = run("ansible-vault", verb, *key, *words, home=folder, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_secret_of_others_is_asked_for_and_never_made_nor_replaced(tmp_path: Path) -> None:
    (first,) = results(tmp_path, asked(tmp_path))
    assert first["missing"] == ["alerts.slack"]
    assert kept(tmp_path).keys() == {"own.key"}

    put(tmp_path, {**kept(tmp_path), "alerts.slack": 123456})
    (number,) = results(tmp_path, asked(tmp_path))
    assert number["missing"] == ["alerts.slack"], "YAML may have read 0123 or 1e3 as another number"

    put(tmp_path, {**kept(tmp_path), "alerts.slack": "https://hooks.slack.com/a"})
    steps = [asked(tmp_path, step=step) for step in ("adding", "switching", "dropping", "finished")]
    *_, last = results(tmp_path, *steps)
    assert last["missing"] == []
    assert last["secrets"]["alerts.slack"] == "https://hooks.slack.com/a"
    assert last["secrets"]["own.key"] != first["secrets"]["own.key"]
