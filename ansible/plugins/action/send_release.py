"""Carry a release out of a signed cache on the controller to the host: only what it lacks travels."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

INCOMING = "/var/tmp/ka-incoming"  # noqa: S108 -- made anew with rights 0700 by root before anything is put there
RESERVE = 256 * 2**20  # bytes that stay free
MIB = 2**20
# what SSH and the colours of a terminal add to a program's words
NOISE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r|^Shared connection to .* closed\.$", re.MULTILINE)


class ActionModule(ActionBase):
    """Arguments: ``path`` (store path), ``cache`` (folder made by publish.sh), ``deliver`` (nix/deliver).

    The same as nix/deliver/send.sh, through whatever connection and user Ansible has. The host itself checks
    every signature before anything enters its store; nothing is switched.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Changed when the host lacked something; ``missing`` names it, ``bytes`` counts what travelled."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        lines = self._packed("closure").decode().splitlines()
        sizes = {path: int(size) for path, size in map(str.split, lines)}
        missing, free = self._look(list(sizes))
        result.update(changed=bool(missing), missing=missing, bytes=0)
        if not missing or self._task.check_mode:
            return result
        needed = sum(sizes[path] for path in missing) + RESERVE
        if free < needed:
            raise AnsibleActionFail(
                f"There is no room for {self._path} on this host: {free // MIB} MiB are free in its store,"
                f" {needed // MIB} are needed. Free some (nix/deliver/host.sh collect)."
            )
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            archive.write(self._packed("archive", "\n".join([*missing, ""])))
            archive.flush()
            result["bytes"] = Path(archive.name).stat().st_size
            self._receive(Path(archive.name))
        return result

    @property
    def _path(self) -> str:
        return str(self._task.args["path"])

    def _packed(self, verb: str, text: str = "") -> bytes:
        cache = Path(self._task.args["cache"]).expanduser().resolve()
        script = Path(self._task.args["deliver"]) / "pack.sh"
        done = subprocess.run(
            [script, verb, self._path, cache], input=text.encode(), capture_output=True, check=False
        )
        if done.returncode != 0:
            raise AnsibleActionFail(done.stderr.decode().strip())
        return done.stdout

    def _look(self, paths: list[str]) -> tuple[list[str], int]:
        """What the host lacks, and how many bytes are free in its store."""
        ask = f"nix-store --check-validity --print-invalid {' '.join(paths)}"
        if self._task.check_mode:  # before Nix itself is there, all of it is missing
            ask = f"if command -v nix-store > /dev/null; then {ask}; else echo {' '.join(paths)}; fi"
        room = "df --output=avail -B 1 /nix/store 2> /dev/null || df --output=avail -B 1 /"
        *missing, free = self._on_host(f"{ask}; {room}").replace("Avail", "").split()
        return missing, int(free)

    def _receive(self, archive: Path) -> None:
        self._make_tmp_path()
        shell = self._connection._shell  # noqa: SLF001 -- Ansible's own plugins have no other way either
        remote = shell.join_path(shell.tmpdir, "release.tar")
        self._transfer_file(str(archive), remote)
        script = (Path(self._task.args["deliver"]) / "host.sh").read_text(encoding="utf-8")
        self._on_host(
            f"rm -rf {INCOMING} && mkdir -m 700 {INCOMING} && tar -x -C {INCOMING} -f {shlex.quote(remote)}"
            f" && rm -f {shlex.quote(remote)}"
        )
        self._on_host(f"sh -c {shlex.quote(script)} host.sh receive {self._path} {INCOMING}")

    def _on_host(self, command: str) -> str:
        answer = self._low_level_execute_command(command)
        if answer["rc"] != 0:
            said = NOISE.sub("", answer["stderr"] + answer["stdout"]).strip()
            raise AnsibleActionFail(f"{self._path} did not reach the host: {said}")
        return str(answer["stdout"])
