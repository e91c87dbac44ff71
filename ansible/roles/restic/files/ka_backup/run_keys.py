"""A repository for each host that writes, opened by the fleet's password and by no other: `backup keys [--look]`.

Hosts can make neither repositories nor keys themselves. While the password is replaced there are two. Prints what
was, or would be, changed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ka_backup import keeping
from ka_backup.config import PASSWORD, Config, credential
from ka_backup.errors import NoRepository, WrongPassword
from ka_backup.restic import Repository


def main(config: Config, arguments: list[str]) -> int:
    """Raises BackupError."""
    make = "--look" not in arguments
    passwords = [credential(PASSWORD)]
    other = Path(os.environ["CREDENTIALS_DIRECTORY"]) / f"{PASSWORD}.other"
    if other.is_file():
        passwords.append(other)
    names = sorted({*config.repositories, *keeping.names(config)})
    for line in (line for name in names for line in _one(config, name, passwords, make=make)):
        sys.stdout.write(f"{line}\n")
    return 0


def _one(config: Config, name: str, passwords: list[Path], *, make: bool) -> list[str]:
    """What was changed of one repository."""
    changed = []
    own: dict[Path, str] = {}
    for password in passwords:
        try:
            own[password] = _current(Repository(config, name, password=password))
        except NoRepository:
            if not make:
                return [f"{name} made"]
            Repository(config, name, password=password).init_if_missing()
            own[password] = _current(Repository(config, name, password=password))
            changed.append(f"{name} made")
        except WrongPassword:
            continue
    if not own:
        raise WrongPassword(
            f"{name} is opened by none of the fleet's passwords; restore the fleet's secrets, "
            "or move the folder away and run site.yml --tags repository for a new one."
        )
    known = Repository(config, name, password=next(iter(own)))
    for password in passwords:
        if password in own:
            continue
        changed.append(f"{name} takes another password")
        if make:
            known.run("key", "add", f"--new-password-file={password}")
            own[password] = _current(Repository(config, name, password=password))
    for each in json.loads(known.run("key", "list", "--json")):
        if not any(
            str(each["id"]).startswith(mine) or mine.startswith(str(each["id"])) for mine in own.values()
        ):
            changed.append(f"{name} takes a password no more")
            if make:
                known.run("key", "remove", str(each["id"]))
    return changed


def _current(repository: Repository) -> str:
    """Id of the key that the password opens."""
    keys = json.loads(repository.run("key", "list", "--json"))
    return next(str(each["id"]) for each in keys if each.get("current"))
