"""Ask a host how it is, and hold its clock against the controller's."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """The arguments are those of the module."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``clock`` has the least seconds by which the host's clock is off: negative, it is behind."""
        super().run(tmp, task_vars)
        before = time.time()
        result: dict[str, Any] = self._execute_module(
            module_name="health", module_args=dict(self._task.args), task_vars=task_vars
        )
        after = time.time()
        if "now" in result:
            now = float(result.pop("now"))
            result["parts"]["clock"] = {"found": round(min(now - before, 0) + max(now - after, 0), 3)}
        return result
