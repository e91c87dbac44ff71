"""One line about a change: when, by whom, and what the playbook says of it."""

from __future__ import annotations

import getpass
import json
import socket
import time
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """``path`` is the module's; ``entry`` is what the line says besides time, person and host."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The module's result."""
        super().run(tmp, task_vars)
        stamp = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "who": f"{getpass.getuser()}@{socket.gethostname()}",
            "host": (task_vars or {})["inventory_hostname"],
        }
        arguments = {
            "path": self._task.args["path"],
            "line": json.dumps({**stamp, **self._task.args["entry"]}, ensure_ascii=False),
        }
        result: dict[str, Any] = self._execute_module(
            module_name="audit", module_args=arguments, task_vars=task_vars
        )
        return result
