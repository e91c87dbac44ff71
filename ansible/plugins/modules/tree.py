#!/usr/bin/python
"""Write many small files, links and folders in one step."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: tree
short_description: Write many small files, links and folders in one step
description:
  - The controller renders a folder of templates (action plugin of the same name); this compares it with the
    host and replaces what differs, each file by renaming a finished one.
options:
  files: {type: dict, default: {}, description: "What the action plugin adds: content and mode by path."}
  owners: {type: dict, default: {}, description: "By path of a file or folder: owner, group, mode."}
  directories: {type: list, elements: str, default: [], description: Folders to make.}
  links: {type: dict, default: {}, description: Symbolic links and what they point to.}
  absent: {type: list, elements: str, default: [], description: Files that must not be there.}
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: Settings of the clock
  tree:
    src: clock
    owners: {/etc/chrony/chrony.keys: {owner: root, group: _chrony, mode: "0640"}}
"""
RETURN = """
paths: {type: list, elements: str, returned: always, description: What was changed.}
"""
SPEC: dict[str, dict[str, Any]] = {
    "files": {"type": "dict", "default": {}},
    "owners": {"type": "dict", "default": {}},
    "directories": {"type": "list", "elements": "str", "default": []},
    "links": {"type": "dict", "default": {}},
    "absent": {"type": "list", "elements": "str", "default": []},
}


class Tree:
    """Brings paths into the state asked for, or only notes what differs (``check``)."""

    def __init__(self, owners: dict[str, dict[str, str]], check: bool) -> None:
        self.owners = owners
        self.check = check
        self.changed: list[str] = []
        self.diff: list[dict[str, str]] = []

    def file(self, path: str, content: str, mode: str) -> None:
        """One file with this text."""
        before = _text(path)
        if before != content:
            self._note(path, before or "", content)
            if not self.check:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                self._replace(path, content, mode)
        self._attributes(path, mode)

    def directory(self, path: str) -> None:
        """One folder; its parents get the usual rights."""
        if not Path(path).is_dir():
            self._note(path, "", "folder\n")
            if not self.check:
                Path(path).mkdir(parents=True)
        self._attributes(path, "0755")

    def link(self, path: str, target: str) -> None:
        """One symbolic link, which replaces a file but never a folder."""
        place = Path(path)
        before = os.readlink(path) if place.is_symlink() else ""  # noqa: PTH115 -- the text as it stands there
        if before == target:
            return
        self._note(path, before and before + "\n", target + "\n")
        if not self.check:
            place.parent.mkdir(parents=True, exist_ok=True)
            new = place.with_name(f"{place.name}.new")
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            new.replace(place)

    def absent(self, path: str) -> None:
        """No such file."""
        if os.path.lexists(path):
            self._note(path, _text(path) or "", "")
            if not self.check:
                Path(path).unlink()

    def _note(self, path: str, before: str, after: str) -> None:
        if path not in self.changed:
            self.changed.append(path)
        self.diff.append({"before_header": path, "after_header": path, "before": before, "after": after})

    def _replace(self, path: str, content: str, mode: str) -> None:
        """Written beside it with the final rights, then renamed: nobody sees half a file, or a secret."""
        handle, name = tempfile.mkstemp(dir=Path(path).parent, prefix=".tree-")
        with os.fdopen(handle, "w", encoding="utf-8") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        wanted = self.owners.get(path, {})
        os.chown(name, *_ids(wanted))
        Path(name).chmod(int(wanted.get("mode", mode), 8))
        Path(name).replace(path)

    def _attributes(self, path: str, default: str) -> None:
        if not os.path.lexists(path):  # check mode
            return
        wanted = self.owners.get(path, {})
        now = Path(path).stat()
        mode = int(wanted.get("mode", default), 8)
        uid, gid = _ids(wanted)
        if (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (mode, uid, gid):
            return
        if path not in self.changed:
            was = f"{now.st_uid}:{now.st_gid} {stat.S_IMODE(now.st_mode):04o}\n"
            self._note(path, was, f"{uid}:{gid} {mode:04o}\n")
        if not self.check:
            os.chown(path, uid, gid)
            Path(path).chmod(mode)


def _text(path: str) -> str | None:
    """What is there, or None; a link counts as nothing, it gets replaced."""
    if Path(path).is_symlink() or not Path(path).is_file():
        return None
    return Path(path).read_text(encoding="utf-8", errors="surrogateescape")


def _ids(wanted: dict[str, str]) -> tuple[int, int]:
    """Owner and group by number; root's where nothing is said."""
    return (
        pwd.getpwnam(wanted.get("owner", "root")).pw_uid,
        grp.getgrnam(wanted.get("group", "root")).gr_gid,
    )


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    wanted = module.params
    tree = Tree(wanted["owners"], module.check_mode)
    try:
        for path in wanted["directories"]:
            tree.directory(path)
        for path, file in wanted["files"].items():
            tree.file(path, file["content"], file["mode"])
        for path, target in wanted["links"].items():
            tree.link(path, target)
        for path in wanted["absent"]:
            tree.absent(path)
    except (OSError, KeyError) as error:
        module.fail_json(msg=f"not written: {error}", paths=tree.changed)
    module.exit_json(changed=bool(tree.changed), paths=tree.changed, diff=tree.diff)


if __name__ == "__main__":
    main()
