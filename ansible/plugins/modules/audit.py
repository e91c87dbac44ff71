#!/usr/bin/python
"""One more line in a host's record of changes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: audit
short_description: One more line in a host's record of changes
description:
  - The record is made append-only (chattr +a) where the file system can do so.
  - The action plugin of the same name makes the line out of C(entry).
options:
  path: {type: path, required: true, description: The file.}
  line: {type: str, required: true, description: The line.}
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: What came of it
  audit:
    path: /var/log/knowledge-assistant/audit.jsonl
    entry: {verb: deploy, outcome: done}
"""
RETURN = ""
SPEC: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "line": {"type": "str", "required": True},
}


def append(path: Path, line: str) -> None:
    """Write one whole line at the end, safe from a power cut; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(handle, line.encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(argument_spec=SPEC)
    path = Path(module.params["path"])
    try:
        append(path, module.params["line"])
    except OSError as error:
        module.fail_json(msg=f"The record of changes cannot be written: {path}: {error.strerror}")
    module.run_command(["chattr", "+a", str(path)])  # some file systems cannot
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
