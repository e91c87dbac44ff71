#!/usr/bin/python
"""One change of the fleet at a time: a record on a host says whose turn it is."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: lock
short_description: "One change of the fleet at a time: a record on a host says whose turn it is"
description:
  - The record says who, since when, what for, and when it expires by the host's clock unless it is kept.
  - The action plugin of the same name says who we are, waits, and knows when a holder is dead.
options:
  state:
    type: str
    required: true
    choices: [taken, kept, given]
    description: C(taken) if it is free, C(kept) for longer, or C(given) back.
  folder: {type: path, required: true, description: Where the record lies.}
  record: {type: dict, required: true, description: "What the record says; id tells holders apart."}
  over: {type: str, default: "", description: Id of a holder that is known to be dead.}
  seconds: {type: int, default: 900, description: The record expires so long after it was taken or kept.}
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: Our turn
  lock:
    state: taken
    folder: /var/lib/ka-fleet
    what: deploy of 0.2.0
"""
RETURN = """
holder: {type: dict, returned: when it is not ours, description: The record that is there.}
over: {type: dict, returned: when it was taken over, description: The record that was there.}
"""
SPEC: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "required": True, "choices": ["taken", "kept", "given"]},
    "folder": {"type": "path", "required": True},
    "record": {"type": "dict", "required": True},
    "over": {"type": "str", "default": ""},
    "seconds": {"type": "int", "default": 900},
}


class Lock:
    """The record in a folder; nobody else changes it while this object is used in :meth:`held`."""

    def __init__(self, folder: Path, seconds: int) -> None:
        self._path = folder / "lock"
        self._seconds = seconds

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep everybody else from changing the record."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        handle = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def holder(self) -> dict[str, Any]:
        """The record, or nothing."""
        try:
            found: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def write(self, record: dict[str, Any]) -> None:
        """Put a record there that holds from now on."""
        new = self._path.with_name("lock.new")
        text = json.dumps({**record, "expires": time.time() + self._seconds})
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(self._path)

    def remove(self) -> None:
        """Nobody's."""
        self._path.unlink(missing_ok=True)


def act(lock: Lock, wanted: dict[str, Any]) -> dict[str, Any]:
    """Take, keep or give back; what came of it, as the module returns it."""
    holder = lock.holder()
    ours = holder.get("id") == wanted["record"]["id"]
    if wanted["state"] == "given":
        if ours:
            lock.remove()
        return {"changed": ours}
    if ours:
        lock.write(holder)
        return {"changed": False}
    free = not holder or holder["expires"] < time.time() or holder["id"] == wanted["over"]
    if wanted["state"] == "kept" or not free:
        return {"changed": False, "holder": holder}
    lock.write({**wanted["record"], "since": time.time()})
    return {"changed": True, "over": holder}


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(argument_spec=SPEC)
    wanted = module.params
    lock = Lock(Path(wanted["folder"]), wanted["seconds"])
    with lock.held():
        result = act(lock, wanted)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
