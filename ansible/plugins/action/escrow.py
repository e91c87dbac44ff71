"""What makes a fleet this fleet, from the controller into one archive."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

FLEET, KEY, INVENTORY, RELEASE = "fleet", "key", "inventory", "release"
BESIDE = ("group_vars", "host_vars")
# A record that grows with each run; what it says is no part of the fleet.
LEFT = ("audit",)
LARGEST = 16 * 2**20


class ActionModule(ActionBase):
    """Arguments: ``folder`` and ``key`` (the fleet's, here), ``inventories`` (paths), ``release`` (or empty).

    What comes out is what the action plugin ``escrowed`` takes.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``content`` (a tar as base64, and secret) and its ``sha256``."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        wanted = self._task.args
        folder, key = Path(wanted["folder"]).expanduser(), Path(wanted["key"]).expanduser()
        if not key.is_file():
            raise AnsibleActionFail(f"{key} is missing, so there is no fleet to be kept. Run site.yml.")
        content = packed(_parts(folder, key, wanted["inventories"], str(wanted["release"])))
        digest = hashlib.sha256(content).hexdigest()
        result.update(changed=False, content=base64.b64encode(content).decode(), sha256=digest)
        return result


def packed(parts: dict[str, bytes]) -> bytes:
    """An archive that is the same whenever its parts are: no times, no owners."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(parts.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return whole.getvalue()


def _parts(folder: Path, key: Path, inventories: Iterable[str], release: str) -> dict[str, bytes]:
    parts = {KEY: key.read_bytes()}
    for path in _files(folder):
        if not path.name.startswith(LEFT):
            parts[f"{FLEET}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    for source in map(Path, inventories):
        if not source.exists():
            continue  # a list of hosts, instead of a file
        root = source if source.is_dir() else source.parent
        beside = [] if source.is_dir() else [each for name in BESIDE for each in _files(root / name)]
        for path in [*(_files(source) if source.is_dir() else [source]), *beside]:
            parts[f"{INVENTORY}/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    if release:
        parts[RELEASE] = f"{release}\n".encode()
    if sum(map(len, parts.values())) > LARGEST:
        raise AnsibleActionFail(
            f"{folder} and the inventory are larger than {LARGEST} bytes: keep nothing else there."
        )
    return parts


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
