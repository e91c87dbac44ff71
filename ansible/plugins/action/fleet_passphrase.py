"""A new passphrase for what a fleet keeps on the controller."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import VaultLib, VaultSecret, is_encrypted
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).parents[1]))
from shared.kept import new_passphrase, passphrases, successor, sync, write

NAMES = ("ca.key", "next.key", "secrets.yml")


class ActionModule(ActionBase):
    """Arguments: ``folder`` and ``key`` (file with the passphrase).

    The new one lies beside the old until every file was written anew; either opens a file meanwhile, so this
    can be ended at any point and run again.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``files`` are those that were written anew."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        folder, key = Path(self._task.args["folder"]), Path(self._task.args["key"])
        paths = [folder / name for name in NAMES if (folder / name).is_file()]
        result.update(changed=True, files=[str(path) for path in paths])
        if self._task.check_mode:
            return result
        if not key.is_file():
            raise AnsibleActionFail(f"{key} is missing; without it {folder} cannot be read. Restore it.")
        if not successor(key).is_file():
            write(successor(key), new_passphrase())
        known = passphrases(key)
        for path in paths:
            write(path, _again(path, known))
        successor(key).replace(key)
        sync(key.parent)
        return result


def _again(path: Path, known: list[bytes]) -> bytes:
    """A file's content, encrypted with the last of the passphrases that are known."""
    content = path.read_bytes()
    if is_encrypted(content):
        old = VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(each)) for each in known])
        new: bytes = VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(known[-1]))]).encrypt(
            old.decrypt(content)
        )
        return new
    for each in known:
        try:
            secret = load_pem_private_key(content, each)
        except ValueError:
            continue
        return secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(known[-1]))
    raise AnsibleActionFail(f"{path} cannot be opened with the fleet's passphrase. Restore the right one.")
