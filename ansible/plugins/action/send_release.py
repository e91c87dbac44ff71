"""Carry a release out of a signed cache on the controller to the host: only what it lacks travels."""

from __future__ import annotations

import shlex
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

STORE = "/nix/store/"
INCOMING = "/var/tmp/ka-incoming"  # noqa: S108 -- made anew with rights 0700 by root before anything is put there


class ActionModule(ActionBase):
    """Arguments: ``path`` (store path), ``cache`` (folder made by nix/deliver/publish.sh), ``host_script``.

    The same as nix/deliver/send.sh, through whatever connection and user Ansible has. The host itself checks
    every signature before anything enters its store; nothing is switched.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Changed when the host lacked something; ``missing`` names it, ``bytes`` counts what travelled."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        path, cache = str(self._task.args["path"]), Path(self._task.args["cache"]).expanduser().resolve()
        infos = closure(path, cache)
        paths = " ".join(STORE + name for name in infos)
        missing = self._missing(paths)
        result.update(changed=bool(missing), missing=missing, bytes=0)
        if not missing or self._task.check_mode:
            return result
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            _pack(Path(archive.name), cache, infos, missing)
            result["bytes"] = Path(archive.name).stat().st_size
            self._receive(path, Path(archive.name))
        return result

    def _missing(self, paths: str) -> list[str]:
        ask = f"nix-store --check-validity --print-invalid {paths}"
        if self._task.check_mode:  # before Nix itself is there, all of it is missing
            ask = f"if command -v nix-store > /dev/null; then {ask}; else echo {paths}; fi"
        return self._on_host(ask).split()

    def _receive(self, path: str, archive: Path) -> None:
        self._make_tmp_path()
        shell = self._connection._shell  # noqa: SLF001 -- Ansible's own plugins have no other way either
        remote = shell.join_path(shell.tmpdir, "release.tar")
        self._transfer_file(str(archive), remote)
        script = Path(self._task.args["host_script"]).read_text(encoding="utf-8")
        self._on_host(
            f"rm -rf {INCOMING} && mkdir -m 700 {INCOMING} && tar -x -C {INCOMING} -f {shlex.quote(remote)}"
            f" && rm -f {shlex.quote(remote)}"
        )
        self._on_host(f"sh -c {shlex.quote(script)} host.sh receive {path} {INCOMING}")

    def _on_host(self, command: str) -> str:
        answer = self._low_level_execute_command(command)
        if answer["rc"] != 0:
            said = (answer["stderr"] + answer["stdout"]).strip()
            raise AnsibleActionFail(f"{self._task.args['path']} did not reach the host: {said}")
        return str(answer["stdout"])


def closure(path: str, cache: Path) -> dict[str, dict[str, str]]:
    """All store paths that this one needs, with what the cache says about each (its narinfo)."""
    todo, found = [path.removeprefix(STORE)], {}
    while todo:
        name = todo.pop()
        if name in found:
            continue
        info = cache / f"{name.split('-', 1)[0]}.narinfo"
        if not info.is_file():
            raise AnsibleActionFail(f"{name} is not in {cache}: publish it first (nix/deliver/publish.sh).")
        found[name] = dict(_fields(info))
        todo += found[name].get("References", "").split()
    return found


def _fields(info: Path) -> Iterator[tuple[str, str]]:
    for line in info.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(": ")
        yield key.rstrip(":"), value


def _pack(archive: Path, cache: Path, infos: dict[str, dict[str, str]], missing: list[str]) -> None:
    wanted = ["nix-cache-info", *(f"{name.split('-', 1)[0]}.narinfo" for name in infos)]
    wanted += [infos[path.removeprefix(STORE)]["URL"] for path in missing]
    with tarfile.open(archive, "w") as tar:
        for name in wanted:
            tar.add(cache / name, arcname=name)
