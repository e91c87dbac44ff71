"""Under which identity PostgreSQL runs: its own program refuses the effective id 0."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from app.embedded.errors import CannotRunAsRoot
from app.embedded.launcher import MAPPED_ID
from app.embedded.process import LAUNCHER, RunAs


def choose_identity(folder: Path, program: Path) -> RunAs:
    """The identity for a server whose files lie in ``folder`` (which exists).

    An ordinary user stays who he is. Root: the owner of the files when that is an ordinary user, so that he
    can still use them afterwards; else a user namespace where root has an ordinary id; else, where
    namespaces are not allowed (most containers), the user ``nobody``.

    Raises:
        CannotRunAsRoot: none of these works here.
    """
    if os.geteuid() != 0:
        return "keep"
    status = folder.stat()
    if status.st_uid != 0:
        return [status.st_uid, status.st_gid]
    refusal = _try("map", program)
    if refusal is None:
        return "map"
    nobody: RunAs = [MAPPED_ID, MAPPED_ID]
    refusal = _try(nobody, program)
    if refusal is None:
        return nobody
    raise CannotRunAsRoot(why=refusal)


def give(path: Path, run_as: RunAs) -> None:
    """Make ``path`` and all below it belong to the identity; symbolic links are not followed."""
    if not isinstance(run_as, list) or not path.exists():
        return
    uid, gid = run_as
    if path.stat().st_uid == uid:
        return  # the top is done last, so the rest is done
    for parent, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.chown(Path(parent) / name, uid, gid, follow_symlinks=False)
    os.chown(path, uid, gid, follow_symlinks=False)


def _try(run_as: RunAs, program: Path) -> str | None:
    """None when a program can be run under this identity, else what stood against it."""
    order = {
        "owner": os.getpid(),
        "death_signal": int(signal.SIGKILL),
        "run_as": run_as,
        "argv": [str(program), "--version"],
    }
    try:
        result = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(order)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the trial did not end"
    if result.returncode == 0:
        return None
    return result.stderr.strip().rpartition(": ")[2].lower() or f"code {result.returncode}"
