"""A repository for each host that writes, opened by the fleet's password alone: `backup keys`.

Hosts themselves can make neither repositories nor keys. While the password is replaced there are two. Prints
what was changed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from ka_backup import keeping
from ka_backup.config import PASSWORD, Config, credential
from ka_backup.errors import NoRepository, WrongPassword
from ka_backup.restic import Repository


def main(config: Config, arguments: list[str]) -> int:
    """Raises BackupError."""
    del arguments
    passwords = [credential(PASSWORD)]
    other = Path(os.environ["CREDENTIALS_DIRECTORY"]) / f"{PASSWORD}.other"
    if other.is_file():
        passwords.append(other)
    names = sorted({*config.repositories, *keeping.names(config)})
    for line in (line for name in names for line in _one(config, name, passwords)):
        sys.stdout.write(f"{line}\n")
    return 0


def _one(config: Config, name: str, passwords: list[Path]) -> list[str]:
    """What was changed of one repository."""
    own = _opened(config, name, passwords)
    if own is None:
        Repository(config, name, password=passwords[0]).init_if_missing()
        _one(config, name, passwords)
        return [f"{name} made"]
    if not own:
        raise WrongPassword(
            f"{name} is opened by none of the fleet's passwords; restore the fleet's secrets, "
            "or move its folder away and run site.yml --tags repository for a new one."
        )
    known = Repository(config, name, password=next(iter(own)))
    lacking = [password for password in passwords if password not in own]
    foreign = [each for each in _keys(known) if not _is_one(each, own.values())]
    for password in lacking:
        known.run("key", "add", f"--new-password-file={password}")
    for each in foreign:
        known.run("key", "remove", each)
    return [f"{name} takes another password"] * bool(lacking) + [f"{name} takes a password no more"] * bool(
        foreign
    )


def _opened(config: Config, name: str, passwords: list[Path]) -> dict[Path, str] | None:
    """By password the key that it opens; None where there is no repository."""
    own = {}
    for password in passwords:
        try:
            found = json.loads(Repository(config, name, password=password).run("key", "list", "--json"))
        except NoRepository:
            return None
        except WrongPassword:
            continue
        own[password] = next(str(each["id"]) for each in found if each.get("current"))
    return own


def _keys(repository: Repository) -> list[str]:
    return [str(each["id"]) for each in json.loads(repository.run("key", "list", "--json"))]


def _is_one(key: str, known: Iterable[str]) -> bool:
    """restic may shorten a name."""
    return any(key.startswith(each) or each.startswith(key) for each in known)
