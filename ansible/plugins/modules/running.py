#!/usr/bin/python
"""Units that run with what is written now, from now on and after a boot."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: running
short_description: Units that run with what is written now, from now on and after a boot
description:
  - A unit's files and those that its service reads are held against the moment when its process was started.
    What is older is restarted, or reloaded, whoever has written the files and however that run ended.
options:
  units: {type: list, elements: str, required: true, description: "Those wanted; also timers and paths."}
  reads: {type: list, elements: str, default: [], description: Files that the services read when they start.}
  reload: {type: bool, default: false, description: The services take in those files anew by a reload.}
  instances: {type: str, default: "", description: "Pattern; others that match it are stopped."}
  answers: {type: list, elements: str, default: [], description: Command that succeeds once they answer.}
  seconds: {type: int, default: 60, description: How long to wait for that.}
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: HAProxy
  running:
    units: [haproxy.service]
    reads: [/etc/haproxy/haproxy.cfg]
    reload: true
"""
RETURN = """
done: {type: dict, returned: always, description: "By unit: started, restarted, reloaded or stopped."}
"""
SPEC = {
    "units": {"type": "list", "elements": "str", "required": True},
    "reads": {"type": "list", "elements": "str", "default": []},
    "reload": {"type": "bool", "default": False},
    "instances": {"type": "str", "default": ""},
    "answers": {"type": "list", "elements": "str", "default": []},
    "seconds": {"type": "int", "default": 60},
}
STATE = ("ActiveState", "ActiveEnterTimestamp", "UnitFileState", "MainPID")
PROPERTIES = (*STATE, "FragmentPath", "DropInPaths", "NeedDaemonReload")
# have no process
TRIGGERS = (".timer", ".path")


class Units:
    """What systemd knows and does."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self.done: dict[str, str] = {}

    def show(self, unit: str) -> dict[str, str]:
        """Properties of a unit."""
        text = self._systemctl("show", "--timestamp=unix", "--property", ",".join(PROPERTIES), unit)
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def wanted(self, unit: str) -> None:
        """Enabled, running, and not older than its files."""
        now = self.show(unit)
        verb = self._missing_trigger(now) if unit.endswith(TRIGGERS) else self._missing(now)
        if verb:
            self.done[unit] = {"start": "started", "restart": "restarted", "reload": "reloaded"}[verb]
        elif now["UnitFileState"] != "enabled":
            self.done[unit] = "enabled"
        if self._module.check_mode:
            return
        if now["NeedDaemonReload"] == "yes":
            self._systemctl("daemon-reload")
        if now["UnitFileState"] != "enabled":
            self._systemctl("enable", unit)
        if verb:
            self._systemctl(verb, unit)

    def unwanted(self, pattern: str, wanted: Iterable[str]) -> None:
        """Those that match the pattern are stopped, and stay so."""
        listed = self._systemctl("list-units", "--all", "--plain", "--no-legend", pattern).splitlines()
        enabled = [path.name for path in Path("/etc/systemd/system").glob(f"*.wants/{pattern}")]
        names = {line.split()[0] for line in listed} | set(enabled)
        for unit in sorted(names - set(wanted)):
            if not fnmatch.fnmatch(unit, pattern):
                continue
            if unit not in enabled and self.show(unit)["ActiveState"] in ("inactive", "failed"):
                continue
            self.done[unit] = "stopped"
            if not self._module.check_mode:
                self._systemctl("disable", "--now", unit)

    def _missing(self, now: dict[str, str]) -> str:
        """What has to be done so that the unit runs with what is written."""
        pid = int(now.get("MainPID") or 0)
        if now["ActiveState"] not in ("active", "reloading") or not pid:
            return "start" if now["ActiveState"] in ("inactive", "failed") else "restart"
        started = _started(pid)
        if _is_older(now, started):
            return "restart"
        reads = _newest(self._module.params["reads"])
        if self._module.params["reload"]:
            return "reload" if reads > max([started, *map(_started, _children(pid))]) else ""
        return "restart" if reads > started else ""

    def _missing_trigger(self, now: dict[str, str]) -> str:
        """The same for a timer or a path, by the moment since when it is active; that is in whole seconds."""
        if now["ActiveState"] != "active":
            return "start" if now["ActiveState"] == "inactive" else "restart"
        started = float(now["ActiveEnterTimestamp"].removeprefix("@")) + 1
        return "restart" if _is_older(now, started) else ""

    def _systemctl(self, *words: str) -> str:
        code, out, error = self._module.run_command(["systemctl", "--quiet", *words])
        if code != 0:
            why = f"{words[-1]}: systemctl {words[0]} failed: {error.strip() or out.strip()}"
            self._module.fail_json(msg=f"{why} See: journalctl -u {words[-1]}", done=self.done)
        return str(out)


def _is_older(now: dict[str, str], started: float) -> bool:
    """Whether a unit that runs since a moment has other files by now."""
    own = [now["FragmentPath"], *now["DropInPaths"].split()]
    return now["NeedDaemonReload"] == "yes" or _newest(own) > started


def _newest(files: Iterable[str]) -> float:
    return max((Path(file).stat().st_mtime for file in files if file and Path(file).exists()), default=0.0)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the command, so from the third on (proc(5)); none if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _started(pid: int) -> float:
    """When a process was started, by the clock that files are stamped with; 0 if it is gone.

    The 22nd field counts clock ticks since the machine's boot.
    """
    fields = _stat(pid)
    if not fields:
        return 0.0
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


def _children(pid: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields and int(fields[1]) == pid:
            yield int(folder.name)


def _wait(module: AnsibleModule, done: dict[str, str]) -> None:
    """Until the services answer."""
    command, seconds = module.params["answers"], module.params["seconds"]
    until = time.monotonic() + seconds
    while True:
        code, out, error = module.run_command(command)
        if code == 0:
            return
        if time.monotonic() > until:
            unit = module.params["units"][0]
            msg = (
                f"{unit} does not answer after {seconds} s: {(out + error).strip()} See: journalctl -u {unit}"
            )
            module.fail_json(msg=msg, done=done)
        time.sleep(0.5)


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    units = Units(module)
    for unit in module.params["units"]:
        units.wanted(unit)
    if module.params["instances"]:
        units.unwanted(module.params["instances"], module.params["units"])
    if module.params["answers"] and not (module.check_mode and units.done):
        _wait(module, units.done)
    module.exit_json(changed=bool(units.done), done=units.done)


if __name__ == "__main__":
    main()
