"""What makes a fleet this fleet, for the day when nothing else of it is left: `backup escrow save`.

It lies in a repository whose password is a passphrase that people keep; no host knows it. Standard input is
JSON with ``passphrase``, ``content`` (Base64) and ``sha256``, and ``replace`` where the passphrase is lost.
`backup escrow state` prints the SHA-256 of what was saved last. disaster.yml takes it out.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ka_backup import keeping
from ka_backup.config import ESCROW, Config
from ka_backup.errors import BackupError, Unusable, WrongPassword
from ka_backup.restic import Repository

TAG = "escrow"
NAME = "escrow.tar"
STATE = "escrow.json"


def main(config: Config, arguments: list[str]) -> int:
    """Raises BackupError."""
    if arguments == ["state"]:
        place = keeping.folder(config, ESCROW)
        there = place is None or (place / "config").is_file()
        sys.stdout.write(str(keeping.read(STATE).get("sha256", "") if there else "") + "\n")
        return 0
    if arguments != ["save"]:
        raise Unusable("it is called with state or save.")
    given = _given()
    with _repository(config, given) as repository:
        try:
            save(repository, given)
        except WrongPassword as error:
            if not given.get("replace"):
                raise WrongPassword(
                    f"This is not the passphrase of the escrow in {repository.where}. Give the right one; "
                    "if that is lost, -e escrow_replace=yes puts the old escrow aside and makes one for this."
                ) from error
            put_aside(keeping.folder(config, ESCROW))
            save(repository, given)
    return 0


def save(repository: Repository, given: dict[str, Any]) -> None:
    """Prints the hash, if it was not there already; once it is there, and whole, that is remembered."""
    try:
        content = base64.b64decode(str(given["content"]), validate=True)
        digest = str(given["sha256"])
    except (KeyError, binascii.Error) as error:
        raise Unusable("standard input lacks content or sha256; run backup.yml.") from error
    repository.init_if_missing()
    if not _is_newest(repository, digest):
        words = ["backup", "--json", "--quiet", f"--host={ESCROW}", f"--tag={TAG}", f"--tag=sha256-{digest}"]
        repository.run(*words, "--stdin", f"--stdin-filename={NAME}", data=content)
        if not _is_newest(repository, digest):
            raise BackupError(
                f"What was saved is not the newest in {repository.where}; see the clock of this host."
            )
        sys.stdout.write(f"{digest}\n")
    keeping.remember(STATE, {"sha256": digest})


def _is_newest(repository: Repository, digest: str) -> bool:
    found = repository.snapshots([TAG])
    return bool(found) and f"sha256-{digest}" in found[-1].tags


def put_aside(place: Path | None) -> None:
    """An escrow whose passphrase is lost makes room for another; raises Unusable for one in a bucket."""
    if place is None:
        raise Unusable("An escrow in a bucket is put aside there; rename it, and run backup.yml again.")
    place.rename(place.with_name(f"{place.name}{keeping.ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"))


def _given() -> dict[str, Any]:
    try:
        found = json.load(sys.stdin)
    except ValueError as error:
        raise Unusable("standard input is no JSON; run backup.yml.") from error
    if not isinstance(found, dict) or not str(found.get("passphrase", "")):
        raise Unusable("standard input lacks the passphrase; set escrow_passphrase_file.")
    return found


@contextmanager
def _repository(config: Config, given: dict[str, Any]) -> Iterator[Repository]:
    """The passphrase lies in memory alone, for restic to read."""
    if "RUNTIME_DIRECTORY" not in os.environ:
        raise Unusable("RUNTIME_DIRECTORY is not set; run backup.yml.")
    with tempfile.TemporaryDirectory(dir=os.environ["RUNTIME_DIRECTORY"]) as folder:
        password = Path(folder) / "passphrase"
        password.write_text(str(given["passphrase"]), encoding="utf-8")
        yield Repository(config, ESCROW, password=password)
