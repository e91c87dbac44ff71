"""The fleet's secrets on the controller: made at random when they are missing, encrypted at rest."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import yaml
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible.plugins.action import ActionBase

FILE = "secrets.yml"


class ActionModule(ActionBase):
    """Arguments: ``folder``, ``key`` (file with the passphrase, made by ``authority``), ``names``.

    ``ansible-vault view --vault-password-file KEY FOLDER/secrets.yml`` shows what is in the file.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``secrets`` holds all of them by name; whoever calls it must not log it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        path, key = Path(self._task.args["folder"]) / FILE, Path(self._task.args["key"])
        if self._task.check_mode and not key.is_file():
            result.update(changed=True, secrets={})
            return result
        vault = VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(key.read_bytes().strip()))])
        known = _read(path, vault)
        missing = [name for name in self._task.args["names"] if name not in known]
        known |= {str(name): secrets.token_urlsafe(32) for name in missing}
        if missing and not self._task.check_mode:
            _write(path, vault.encrypt(yaml.safe_dump(known)))
        result.update(changed=bool(missing), made=missing, secrets=known)
        return result


def _read(path: Path, vault: VaultLib) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        found: dict[str, str] = yaml.safe_load(vault.decrypt(path.read_bytes()))
    except AnsibleError as error:
        raise AnsibleActionFail(f"{path} cannot be opened with this key: {error}") from error
    return found


def _write(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(content)
    new.replace(path)
