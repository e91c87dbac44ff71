"""Why a playbook failed, as the last line that it prints."""

from __future__ import annotations

from typing import Any

from ansible.executor.stats import AggregateStats
from ansible.executor.task_result import TaskResult

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: reason
type: aggregate
short_description: Why a playbook failed, as the last line that it prints
description: One line with the message of the failure that ended the playbook, and the host where it was.
"""


class CallbackModule(CallbackBase):
    """Remembers the last failure; those that were ignored or mended don't count."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "reason"

    def __init__(self) -> None:
        super().__init__()
        self._reason = ""

    def v2_runner_on_failed(self, result: TaskResult, ignore_errors: bool = False) -> None:
        """A task failed."""
        if not ignore_errors:
            self._remember(result)

    def v2_runner_on_unreachable(self, result: TaskResult) -> None:
        """A host was lost."""
        self._remember(result)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """The end."""
        if self._reason and (stats.failures or stats.dark):
            self._display.display(self._reason)

    def _remember(self, result: TaskResult) -> None:
        told: dict[str, Any] = result._result  # noqa: SLF001 -- what callbacks are given
        message = " ".join(str(told.get("msg", "no reason given")).split())
        # a message that a playbook wrote itself names the hosts that it means
        where = "" if result._task.action.endswith(".fail") else f"{result._host.get_name()}: "  # noqa: SLF001
        self._reason = where + message.removeprefix("Task failed: ").removeprefix("Action failed: ")
