"""now objects [fewer]|base|wal: have it saved now, as root, and wait; what was saved is printed as JSON.

The unit that always does it is asked, so that nothing is done twice; ``base`` does nothing where it is
another server's turn. ``fewer``: although there are much fewer documents than were saved before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from ka_backup import postgres, run_base, run_objects, wal, walloop
from ka_backup.config import Config
from ka_backup.errors import BackupError, Fewer, Unusable

FOLDER = Path("/var/lib/ka-backup")
SECONDS = 900.0


def main(config: Config, arguments: list[str]) -> int:
    """0: it is saved."""
    began = time.monotonic()
    if arguments in (["objects"], ["objects", run_objects.FEWER]):
        refused = FOLDER / run_objects.REFUSED
        refused.unlink(missing_ok=True)
        _ask(FOLDER / run_objects.REQUEST, "backup-objects", "".join(arguments[1:]))
        if refused.exists():
            raise Fewer(refused.read_text(encoding="utf-8"))
        _print(config, "objects", began)
    elif arguments == ["wal"]:
        _ask(Path(config.spool) / walloop.REQUEST, "backup-wal")
        _print(config, "wal", began)
    elif arguments == ["base"]:
        if postgres.whose_turn(postgres.members(config)) == config.host:
            _base(config)
            _print(config, "base", began)
    else:
        raise Unusable("Say what is to be saved: backup now objects [fewer], base or wal")
    return 0


def _ask(request: Path, unit: str, word: str = "") -> None:
    """By a file that goes when it is done; it is there with its word, or not at all."""
    new = request.with_name(f"{request.name}.new")
    new.write_text(word, encoding="ascii")
    new.replace(request)
    until = time.monotonic() + SECONDS
    while request.exists():
        if time.monotonic() > until:
            request.unlink(missing_ok=True)
            raise BackupError(f"It was not saved in {SECONDS:.0f} s. See: journalctl -u {unit}")
        time.sleep(0.2)


def _base(config: Config) -> None:
    """By its unit; once more where one that was begun before has just ended."""
    request, since = Path(config.spool) / wal.NOW, time.time()
    request.touch()
    for _ in range(2):
        done = subprocess.run(
            ["systemctl", "start", "backup-base.service"], check=False, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise BackupError(f"The base backup failed: {_reason()} See: journalctl -u backup-base")
        if not request.exists():
            break
    if float(run_base.result(FOLDER).get("at", 0)) < since:
        raise BackupError("There is no new base backup. See: journalctl -u backup-base")


def _reason() -> str:
    words = ["journalctl", "--unit=backup-base", "--output=cat", "--lines=20", "--no-pager"]
    said = subprocess.run(words, check=False, capture_output=True, text=True).stdout.splitlines()
    return next((line for line in reversed(said) if line.startswith("backup base: ")), "it gives no reason.")


def _print(config: Config, what: str, began: float) -> None:
    found = {"host": config.host, "what": what, "seconds": round(time.monotonic() - began, 1)}
    if what == "base":
        found["set"] = run_base.result(FOLDER)
    sys.stdout.write(json.dumps(found) + "\n")
