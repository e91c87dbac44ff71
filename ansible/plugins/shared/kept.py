"""What a fleet keeps on the controller: files for their owner alone, a passphrase, the step of a change."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ansible.errors import AnsibleActionFail

# Whatever is replaced while it is used is replaced so: "adding" makes the new one, which everybody gets to
# know beside the old; "switching" makes it the one that is used; "dropping" forgets the old one.
STEPS = ("", "adding", "switching", "dropping")
FINISHED = "finished"


def due(step: str, now: str, where: Path) -> bool:
    """Whether ``step`` comes next after ``now``; False if it was taken already.

    Raises:
        AnsibleActionFail: a step before it was not taken.
    """
    if step == FINISHED and now == "":
        return False
    place = len(STEPS) if step == FINISHED else STEPS.index(step)
    if place > STEPS.index(now) + 1:
        raise AnsibleActionFail(
            f"{where}: before '{step}' comes '{STEPS[place - 1]}'. rotate.yml takes all steps."
        )
    return place == STEPS.index(now) + 1


def passphrases(path: Path) -> list[bytes]:
    """What opens a fleet's files: that in ``path``, made when it is missing.

    While it is replaced there are two; files are written with the last.
    """
    if not path.is_file():
        write(path, new_passphrase())
    found = [each for each in (path, successor(path)) if each.is_file()]
    for each in found:
        if each.stat().st_mode & 0o077:
            raise AnsibleActionFail(f"{each} can be read by others: chmod 600 {each}")
    return [each.read_bytes().strip() for each in found]


def new_passphrase() -> bytes:
    """256 random bits, as a line."""
    return secrets.token_urlsafe(32).encode() + b"\n"


def successor(path: Path) -> Path:
    """Where a passphrase lies that is about to replace the one in ``path``."""
    return path.with_name(f"{path.name}.next")


def write(path: Path, content: bytes) -> None:
    """A whole file that nobody else can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Names in a folder, safe from a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
