"""Render a folder of a role on the controller and put it on the host in one remote step."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.template import trust_as_template

from ansible.plugins.action import ActionBase

EXECUTABLE = stat.S_IXUSR
SANDBOX = Path(__file__).parents[2] / "sandbox.conf"


class ActionModule(ActionBase):
    """``src`` (folder below the role's ``templates``) holds files by their path on the host.

    A name ending in ``.j2`` is a template. What may be executed here is executable there. Each unit in
    ``sandboxed`` gets ``ansible/sandbox.conf`` as a drop-in of its own. ``copies`` has, by folder on the
    host, files of the controller that go there as they are. The other arguments are those of the module
    ``tree``, which writes what differs.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send all files at once; a template that cannot be rendered stops before anything is sent."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        folder = Path(self._find_needle("templates", str(arguments.pop("src", "tree"))))
        if not folder.is_dir():
            raise AnsibleActionFail(f"{folder} is not a folder")
        arguments["files"] = {
            target: self._file(path, task_vars or {}) for target, path in sorted(_targets(folder).items())
        }
        for unit in arguments.pop("sandboxed", []):
            drop_in = f"/etc/systemd/system/{unit}.d/10-sandbox.conf"
            arguments["files"][drop_in] = self._file(SANDBOX, {})
        for place, paths in arguments.pop("copies", {}).items():
            for path in map(Path, paths):
                arguments["files"][f"{place}/{path.name}"] = self._file(path, {})
        result: dict[str, Any] = self._execute_module(
            module_name="tree", module_args=arguments, task_vars=task_vars
        )
        return result

    def _file(self, path: Path, variables: dict[str, Any]) -> dict[str, str]:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".j2":
            templar = self._templar.copy_with_new_env(available_variables=variables)
            overrides = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
            text = templar.template(trust_as_template(text), escape_backslashes=False, overrides=overrides)
        mode = "0755" if path.stat().st_mode & EXECUTABLE else "0644"
        return {"content": str(text), "mode": mode}


def _targets(folder: Path) -> dict[str, Path]:
    """Each file of the folder by the absolute path that it gets on the host."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {"/" + path.relative_to(folder).as_posix().removesuffix(".j2"): path for path in files}
