"""Send the documents of known questions along with them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """``documents`` (names) lie in one of ``folders``; the other arguments are those of the module."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the module says; a document that lies nowhere ends it before a host is contacted."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        folders = [Path(folder).expanduser() for folder in arguments.pop("folders", []) if folder]
        arguments["documents"] = {
            name: base64.b64encode(_find(name, folders).read_bytes()).decode()
            for name in arguments.pop("documents", [])
        }
        result: dict[str, Any] = self._execute_module(
            module_name="questions", module_args=arguments, task_vars=task_vars
        )
        return result


def _find(name: str, folders: list[Path]) -> Path:
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise AnsibleActionFail(f"{name} lies in none of {', '.join(map(str, folders))}: set questions_folder.")
