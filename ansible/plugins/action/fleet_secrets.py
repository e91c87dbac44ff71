"""The fleet's secrets on the controller: made at random when they are missing, encrypted at rest."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).parents[1]))
from shared.kept import due, passphrases, write

FILE = "secrets.yml"
OTHER = ".other"
STEP = "step"


class ActionModule(ActionBase):
    """Arguments: ``folder``, ``key`` (file with the passphrase), ``names``, and ``step`` to replace them all.

    ``brought`` names those that others have given out: they are read, never made or replaced.

    The file holds each secret by its name, and while they are replaced the step (see ``shared/kept.py``) and
    ``NAME.other``: the new one until "switching", the old one from then on.
    ``ansible-vault view --vault-password-file KEY FOLDER/secrets.yml`` shows it.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``secrets`` holds all of them by name, ``others`` the second ones; nobody may log them.

        ``missing`` names those of ``brought`` that are not there or no text; YAML takes digits for a number.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        path, key = Path(self._task.args["folder"]) / FILE, Path(self._task.args["key"])
        if self._task.check_mode and not key.is_file():
            result.update(changed=True, secrets={}, others={}, missing=[])
            return result
        names = [str(name) for name in self._task.args["names"]]
        brought = [str(name) for name in self._task.args.get("brought", [])]
        vault = VaultLib(
            [(DEFAULT_VAULT_IDENTITY, VaultSecret(secret)) for secret in reversed(passphrases(key))]
        )
        before = _read(path, vault)
        known = {name: before.get(name) or _new() for name in names} | before
        step = str(self._task.args.get("step") or "")
        if step and due(step, known.get(STEP, ""), path):
            known = _stepped(known, names, step)
        if known != before and not self._task.check_mode:
            write(path, vault.encrypt(yaml.safe_dump(known)))
        result.update(
            changed=known != before,
            secrets={name: known[name] for name in names + brought if name in known},
            others={name: known[name + OTHER] for name in names if name + OTHER in known},
            missing=[name for name in brought if not isinstance(known.get(name), str)],
        )
        return result


def _stepped(known: dict[str, str], names: list[str], step: str) -> dict[str, str]:
    """What is known after a step."""
    others = {name + OTHER: known[name + OTHER] for name in names if name + OTHER in known}
    kept = {name: value for name, value in known.items() if not name.endswith(OTHER)}
    if step == "adding":
        others = {name + OTHER: _new() for name in names}
    elif step == "switching":
        swapped = {name: name + OTHER for name in names if name + OTHER in others}
        kept |= {name: others[other] for name, other in swapped.items()}
        others = {other: known[name] for name, other in swapped.items()}
    elif step == "dropping":
        others = {}
    elif step == "finished":
        del kept[STEP]
        return kept
    return kept | others | {STEP: step}


def _new() -> str:
    return secrets.token_urlsafe(32)


def _read(path: Path, vault: VaultLib) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        found: dict[str, str] = yaml.safe_load(vault.decrypt(path.read_bytes()))
    except AnsibleError as error:
        raise AnsibleActionFail(f"{path} cannot be opened with this key: {error}") from error
    return found
