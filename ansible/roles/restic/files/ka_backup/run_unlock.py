"""Gives back locks of programs that are no more: `backup unlock`; hosts would wait for half an hour."""

from __future__ import annotations

from ka_backup import keeping
from ka_backup.config import Config
from ka_backup.errors import BackupError
from ka_backup.restic import Repository


def main(config: Config, arguments: list[str]) -> int:
    """Raises BackupError for those that are not reached."""
    del arguments
    problems = []
    for name in keeping.names(config):
        try:
            Repository(config, name).run("unlock")
        except BackupError as error:
            problems.append(str(error))
    keeping.fail(problems)
    return 0
