"""What makes a fleet this fleet, from the controller into one archive, and out of it again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).parents[1]))
from shared.kept import write

FLEET, KEY, INVENTORY, RELEASE = "fleet", "fleet.key", "inventory", "release"
BESIDE = ("group_vars", "host_vars")
# A record that grows with each run; what it says is no part of the fleet.
LEFT = ("audit",)
LARGEST = 16 * 2**20


class ActionModule(ActionBase):
    """``state: packed`` reads, ``unpacked`` writes ``folder`` and ``key``, the fleet's on the controller.

    Further arguments: for the first ``inventories`` (paths) and ``release`` (a path in the store, or empty);
    for the second ``content``, and ``inventory``, a folder that gets the inventory unless it is empty.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``content`` (Base64, and secret) and ``sha256`` of what was packed; ``files`` that were written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        wanted = self._task.args
        folder, key = Path(wanted["folder"]).expanduser(), Path(wanted["key"]).expanduser()
        if wanted["state"] == "packed":
            if not key.is_file():
                raise AnsibleActionFail(f"{key} is missing, so there is no fleet to be kept. Run site.yml.")
            content = packed(_parts(folder, key, wanted.get("inventories", []), wanted.get("release", "")))
            digest = hashlib.sha256(content).hexdigest()
            result.update(changed=False, content=base64.b64encode(content).decode(), sha256=digest)
            return result
        found = unpacked(str(wanted["content"]))
        targets = _targets(found, folder, key, str(wanted.get("inventory") or ""))
        lacking = {path: content for path, content in targets.items() if _now(path) != content}
        foreign = [str(path) for path in lacking if path.exists()]
        if foreign:
            raise AnsibleActionFail(
                f"{', '.join(sorted(foreign))} would be overwritten: another fleet of this name is known "
                "here. Move it away, or give this one another fleet_name."
            )
        if not self._task.check_mode:
            for path, content in lacking.items():
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write(path, content)
        result.update(changed=bool(lacking), files=sorted(map(str, lacking)))
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


def unpacked(text: str) -> dict[str, bytes]:
    """Parts by name; raises AnsibleActionFail for what is no such archive."""
    try:
        whole = io.BytesIO(base64.b64decode(text, validate=True))
        with tarfile.open(fileobj=whole, mode="r:") as archive:
            found = {
                entry.name: file.read()
                for entry in archive.getmembers()
                if entry.isfile() and (file := archive.extractfile(entry)) is not None
            }
    except (binascii.Error, tarfile.TarError) as error:
        raise AnsibleActionFail(f"What came out of escrow is no archive: {error}") from error
    if KEY not in found or any(".." in PurePosixPath(name).parts or name.startswith("/") for name in found):
        raise AnsibleActionFail("What came out of escrow is not a fleet's. Nothing was written.")
    return found


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


def _targets(found: dict[str, bytes], folder: Path, key: Path, inventory: str) -> dict[Path, bytes]:
    targets = {key: found[KEY]}
    for name, content in found.items():
        first, _, rest = name.partition("/")
        if first == FLEET and rest:
            targets[folder / rest] = content
        elif first == INVENTORY and rest and inventory:
            targets[Path(inventory).expanduser() / rest] = content
    return targets


def _now(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
