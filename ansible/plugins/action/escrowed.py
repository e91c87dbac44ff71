"""What belongs to a fleet, out of its escrow and onto a controller that has nothing of it."""

from __future__ import annotations

import base64
import binascii
import io
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).parents[1]))
from shared.kept import write

KEY, FLEET = "key", "fleet"
AUTHORITY = "ca.crt"
LARGEST = 64 * 2**20


class ActionModule(ActionBase):
    """Arguments: ``folder``, ``key`` (file with the passphrase), ``content`` (a tar as base64).

    The tar is what the action plugin ``escrow`` makes: ``key``, ``fleet/...`` (the folder's files), and more,
    which come beside, into ``FOLDER.before``.
    Nothing that is there is overwritten: the same fleet's folder stays as it is, another one's ends this.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``files`` are those that were written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        folder, key = Path(self._task.args["folder"]), Path(self._task.args["key"])
        held = unpacked(str(self._task.args["content"]))
        result.update(changed=False, files=[])
        if not is_new(folder, key, held):
            return result
        # the authority comes last: a folder without it counts as new when this is run again
        names = sorted(held, key=lambda name: name == f"{FLEET}/{AUTHORITY}")
        targets = {name: target(folder, key, name) for name in names}
        if not self._task.check_mode:
            for name, path in targets.items():
                write(path, held[name])
        result.update(changed=True, files=[str(path) for path in targets.values()])
        return result


def unpacked(content: str) -> dict[str, bytes]:
    """Files of the tar by name; raises AnsibleActionFail for what is no escrow."""
    try:
        packed = io.BytesIO(base64.b64decode(content, validate=True))
        with tarfile.open(fileobj=packed) as tar:
            found = {one.name: _read(tar, one) for one in tar if not one.isdir()}
    except (binascii.Error, tarfile.TarError, EOFError, OSError) as error:
        raise AnsibleActionFail(
            f"What the escrow holds cannot be unpacked ({error}): take an older one."
        ) from error
    if KEY not in found or f"{FLEET}/{AUTHORITY}" not in found:
        raise AnsibleActionFail("The escrow lacks the fleet's authority or key: take an older one.")
    return found


def _read(tar: tarfile.TarFile, one: tarfile.TarInfo) -> bytes:
    parts = PurePosixPath(one.name).parts
    file = tar.extractfile(one) if one.isfile() and one.size < LARGEST else None
    if file is None or one.name.startswith("/") or ".." in parts:
        raise AnsibleActionFail(
            f"The escrow holds {one.name}, which is no file of a fleet: take an older one."
        )
    return file.read()


def is_new(folder: Path, key: Path, held: dict[str, bytes]) -> bool:
    """Whether there is nothing of the fleet here; raises AnsibleActionFail for another fleet's."""
    authority = folder / AUTHORITY
    if authority.exists() and authority.read_bytes() != held[f"{FLEET}/{AUTHORITY}"]:
        raise AnsibleActionFail(
            f"{folder} holds another authority than the escrow. Nothing was changed. If that fleet is over, "
            "move its folder and key away; if not, this one needs another fleet_name."
        )
    if key.exists() and key.read_bytes() != held[KEY]:
        raise AnsibleActionFail(
            f"{key} is another key than the escrow's. Nothing was changed. If it is not needed, move it away."
        )
    return not (authority.exists() and key.exists())


def target(folder: Path, key: Path, name: str) -> Path:
    """Where a file of the escrow goes."""
    if name == KEY:
        return key
    first, _, rest = name.partition("/")
    return folder / rest if first == FLEET else folder.with_name(f"{folder.name}.before") / name
