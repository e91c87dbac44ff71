"""Hold every variable that somebody has set against the argument specs of all roles, before all else."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible.plugins.action import ActionBase

# Ansible's own names that do not begin with ansible_
OWN = {"environment", "group_names", "groups", "hostvars", "omit", "vars", "discovered_interpreter_python"}
OWN |= {"inventory_dir", "inventory_file", "inventory_hostname", "inventory_hostname_short"}
OWN |= {"play_hosts", "playbook_dir", "role_name", "role_names", "role_path", "role_uuid"}


class ActionModule(ActionBase):
    """Arguments: ``also`` (names that belong to no role), ``roles`` (those whose values are checked as well),
    ``names: false`` for values alone, once tasks have registered names of their own.

    ``roles/*/meta/argument_specs.yml`` says what can be set, ``roles/renamed.yml`` what is called what today.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with one line per wrong name or value."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        folder = Path(variables["playbook_dir"]).parent / "roles"
        specs = {path.parent.parent.name: _options(path) for path in folder.glob("*/meta/argument_specs.yml")}
        known = {name for spec in specs.values() for name in spec} | set(self._task.args.get("also", []))
        problems = []
        if self._task.args.get("names", True):
            problems = unknown(variables, known, _load(folder / "renamed.yml"))
        if not problems:
            for role in self._task.args.get("roles", []):
                problems += self._wrong_values(specs[role], variables)
        if problems:
            result.update(failed=True, msg="\n".join(problems))
        return result

    def _wrong_values(self, spec: dict[str, Any], variables: dict[str, Any]) -> list[str]:
        given = {name: variables[name] for name in spec if name in variables}
        checked = ArgumentSpecValidator(spec).validate(
            self._templar.template(given), validate_role_argument_spec=True
        )
        return [str(message) for message in checked.error_messages]


def unknown(variables: dict[str, Any], known: set[str], renamed: dict[str, str]) -> list[str]:
    """A sentence for each variable that no role knows."""
    problems = []
    for name in sorted(variables):
        if name in known or name in OWN or name.startswith("ansible_"):
            continue
        if name in renamed:
            problems.append(f"{name} is called {renamed[name]} now.")
            continue
        near = difflib.get_close_matches(name, known, n=1)
        problems.append(f"{name} is not a variable of any role" + (f": {near[0]}?" if near else "."))
    return problems


def _options(path: Path) -> dict[str, Any]:
    options: dict[str, Any] = _load(path)["argument_specs"]["main"].get("options", {})
    return options


def _load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
