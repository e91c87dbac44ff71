"""Run a script on the host that watches; when it cannot be reached, work goes on all the same."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Arguments: ``script`` (Python's text), ``words`` (its arguments).

    With ``ignore_unreachable`` alone a task that is run once would end the play for all hosts.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``problem`` is why it could not be done, or empty."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        words = [str(word) for word in self._task.args["words"]]
        command = {"argv": ["python3", "-", *words], "stdin": str(self._task.args["script"])}
        try:
            done = self._execute_module(
                module_name="ansible.builtin.command", module_args=command, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            return result | {"problem": f"it cannot be reached: {error.message}"}
        problem = done.get("stderr") or done.get("msg") or "it ended without a word"
        return result | {"problem": "" if done.get("rc") == 0 else str(problem).strip()}
