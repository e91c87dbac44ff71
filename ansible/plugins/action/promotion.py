"""Which release has passed in which fleet: signed lines in a file on the controller."""

from __future__ import annotations

import base64
import getpass
import json
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).parents[1]))
from shared.kept import write

SIGNATURE = "signature"
Line = Mapping[str, Any]


class ActionModule(ActionBase):
    """Both states: ``record`` (the file), ``release`` (store path).

    ``state: recorded`` adds a line that says that the release has passed in the fleet ``fleet``: ``contents``
    (the hash of its files), ``facts`` (what was seen there) and ``note``, signed with the key in the file
    ``key``, which is made when it is missing. To be run on the controller.

    ``state: required`` fails unless the release has passed in every fleet of ``keys`` (public keys by name),
    or ``override`` gives a reason.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``public``, by which others believe it; or ``passed``, lines by fleet, and ``override`` if used."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        wanted = self._task.args
        record = Path(wanted["record"]).expanduser()
        if wanted["state"] == "recorded":
            key = signing_key(Path(wanted["key"]))
            said = {name: wanted[name] for name in ("release", "fleet", "contents", "facts", "note")}
            line = signed({**said, **stamp()}, key)
            result = self._execute_module(
                module_name="audit", module_args={"path": str(record), "line": line}, task_vars=task_vars
            )
            result["public"] = base64.b64encode(key.public_key().public_bytes_raw()).decode()
            return result
        release = str(wanted["release"])
        passed: dict[str, Line] = {}
        override = ""
        for fleet, public in wanted["keys"].items():
            try:
                passed[fleet] = passing(record, release, fleet, str(public))
            except AnsibleActionFail as refusal:
                if not wanted["override"]:
                    raise
                override = str(wanted["override"])
                self._display.warning(f"{refusal} It is deployed all the same: {override}")
        result.update(changed=False, passed=passed, override=override)
        return result


def stamp() -> dict[str, str]:
    """When, and by whom."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "who": f"{getpass.getuser()}@{socket.gethostname()}",
    }


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file (base64 of its 32 bytes), made when there is none."""
    if not path.is_file():
        key = Ed25519PrivateKey.generate()
        write(path, base64.b64encode(key.private_bytes_raw()) + b"\n")
    if path.stat().st_mode & 0o077:
        raise AnsibleActionFail(f"{path} can be read by others: chmod 600 {path}")
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_bytes()))


def signed(said: Line, key: Ed25519PrivateKey) -> str:
    """A line of the record."""
    return json.dumps({**said, SIGNATURE: base64.b64encode(key.sign(_canonical(said))).decode()})


def passing(record: Path, release: str, fleet: str, public: str) -> Line:
    """The last line that says that a release has passed in a fleet.

    Raises:
        AnsibleActionFail: there is none, or none that the fleet's key has signed; or that key is not known.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
    except ValueError:
        raise AnsibleActionFail(
            f"promotion_keys names no key of {fleet}: put the one there that promote.yml prints for it."
        ) from None
    lines = [one for one in _lines(record) if (one.get("release"), one.get("fleet")) == (release, fleet)]
    good = [one for one in lines if _is_signed(one, key)]
    if good:
        return good[-1]
    if lines:
        why = f"is not signed with the key of {fleet} that promotion_keys names"
        raise AnsibleActionFail(f"What {record} says about {release} {why}: see who wrote it.")
    raise AnsibleActionFail(
        f"{release} has not passed {fleet}, as far as {record} says: deploy it there, then run promote.yml"
        " there; or say why it shall go without, with -e promotion_override='...'."
    )


def _lines(record: Path) -> list[dict[str, Any]]:
    """What can be read of the record; nobody believes the rest."""
    found = []
    for line in record.read_text(encoding="utf-8").splitlines() if record.is_file() else ():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if isinstance(one, dict):
            found.append(one)
    return found


def _is_signed(line: Line, key: Ed25519PublicKey) -> bool:
    said = {name: value for name, value in line.items() if name != SIGNATURE}
    try:
        key.verify(base64.b64decode(str(line.get(SIGNATURE, ""))), _canonical(said))
    except (InvalidSignature, ValueError):
        return False
    return True


def _canonical(said: Line) -> bytes:
    """What is signed: the line without its signature, its names in order."""
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
