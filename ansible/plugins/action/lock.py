"""Whose turn it is to change the fleet: who we are, waiting, and holders that are dead."""

from __future__ import annotations

import getpass
import os
import socket
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

PAUSE = 2.0


class ActionModule(ActionBase):
    """``state``, ``folder``, ``seconds`` are the module's; ``what`` is written into the record; for ``wait``
    seconds another holder is waited for.

    A holder is dead when its record has expired or when it ran on this machine and its process is gone: it is
    known by machine, time of the machine's start, number, and time of its own start.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The module's result; fails with the holder's name when the turn is somebody else's."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        what, wait = arguments.pop("what", ""), float(arguments.pop("wait", 0))
        until = time.monotonic() + wait
        arguments["record"] = {**ourselves(), "what": what}
        while True:
            result: dict[str, Any] = self._execute_module(
                module_name="lock", module_args=arguments, task_vars=task_vars
            )
            holder = result.get("holder")
            if holder is None:
                return result
            if holder and is_dead(holder) and arguments.get("over") != holder["id"]:
                arguments["over"] = holder["id"]
                continue
            if time.monotonic() >= until:
                return {**result, "failed": True, "msg": refusal(holder, arguments["state"])}
            time.sleep(PAUSE)


def ourselves() -> dict[str, str | int]:
    """The run of Ansible that this task belongs to; the parent of the process that runs the task."""
    pid = os.getppid()
    return {
        "id": f"{_machine()}/{pid}/{_started(pid)}",
        "who": f"{getpass.getuser()}@{socket.gethostname()}",
        "machine": _machine(),
        "pid": pid,
        "started": _started(pid),
    }


def is_dead(holder: dict[str, Any]) -> bool:
    """Whether a holder ran on this machine and is gone."""
    return holder["machine"] == _machine() and _started(int(holder["pid"])) != holder["started"]


def refusal(holder: dict[str, Any], state: str) -> str:
    """What to tell whose turn it is not."""
    if not holder:
        return "The record that it is our turn is gone: somebody removed it, or it expired."
    since, until = (time.strftime("%H:%M:%S", time.localtime(holder[name])) for name in ("since", "expires"))
    took = "has it since" if state == "taken" else "took our turn at"
    return (
        f"{holder['who']} {took} {since}: {holder['what']} (process {holder['pid']}). Wait for its end, with"
        f" -e lock_wait=SECONDS if you like. If it is dead, its turn ends at {until}."
    )


def _machine() -> str:
    """This machine, since it was started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _started(pid: int) -> str:
    """When a process began, in clock ticks since the machine did: field 22 of /proc/PID/stat (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
