"""What a restore would take: restore-choose [TIME|SET|newest], on a host that may read all repositories."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ka_backup import gather, sets, watch
from ka_backup.config import Config
from ka_backup.errors import BackupError, NoRepository, NoSet, Unusable
from ka_backup.restic import Repository

NEWEST = "newest"
WAL = ("wal", "wal-closed")


def main(config: Config, arguments: list[str]) -> int:
    """Prints it as JSON, see :func:`plan`."""
    if len(arguments) > 1:
        raise Unusable("Say a moment, a set's id, or nothing for the newest.")
    wanted, name = target(arguments[0] if arguments else NEWEST)
    kept = watch.Kept()
    end = not wanted and not name
    found, said = sets.find(config, wanted, name, lambda one: lacks(config, one.set, kept, end=end))
    saved = until(config, found.set.system)
    sys.stdout.write(json.dumps(plan(found, wanted, bool(name), saved) | {"said": said + kept.said}) + "\n")
    return 0


def lacks(config: Config, one: sets.Set, kept: watch.Kept, *, end: bool) -> str:
    """Why a set leads to no database, in a sentence, or nothing. Raises BackupError: a repository is away.

    Its base backup is read to the last byte: nothing that serves has been stopped by now. The log counts
    where all of it is wanted, to the ``end``.
    """
    if end:
        since = one.made_at - timedelta(seconds=one.seconds)
        _, files = watch.logs(config, kept, one.system, since)
        if why := watch.gap(one, files, watch.histories(kept.histories, files)):
            return f"{why} A restore can go to a moment before that: restore_time."
    name = f"{one.base.snapshot[:8]} of {one.base.repository}"
    if one.base.repository not in config.databases:
        return f"Its base backup, {name}, is on no database server."
    repository = Repository(config, one.base.repository, reader=True)
    try:
        with Path("/dev/null").open("wb") as nowhere:
            repository.dump(one.base.snapshot, gather.TAR, nowhere)
    except BackupError as error:
        repository.blame(error)
        return f"Its base backup, {name}, is missing or damaged: {error}"
    return ""


def target(word: str) -> tuple[datetime | None, str]:
    """The moment or the set that is meant; neither for the newest there is."""
    if word in ("", NEWEST):
        return None, ""
    try:
        datetime.strptime(word, sets.ID)  # noqa: DTZ007 -- only its form counts
    except ValueError:
        return sets.moment(word), ""
    return None, word


def plan(found: sets.Found, wanted: datetime | None, alone: bool, saved: datetime | None) -> dict[str, Any]:
    """What is to be done, for those who do it.

    ``target`` is what recovery is told: a moment, or ``end``. ``until`` is the moment from which on changes
    are lost. A set ``alone`` is recovered up to the moment at which it was made.

    Raises NoSet: nothing is saved up to the wanted moment.
    """
    one = found.set
    if alone:
        wanted = one.made_at
    reached = max(filter(None, [saved, one.made_at]))
    if wanted and wanted > reached:
        raise NoSet(
            f"{_text(wanted)} is later than what is saved ({_text(reached)}). "
            "Take an earlier moment, or none for all that is saved."
        )
    return {
        "set": one.id,
        "target": _text(wanted) if wanted else "end",
        "until": _text(wanted or reached),
        "system": one.system,
        "bytes": one.base.bytes,
        "rows": one.rows,
        "release": one.release,
    }


def until(config: Config, system: str) -> datetime | None:
    """When WAL was saved last, of a database by its system identifier; where that is not told, of any."""
    times: list[datetime] = []
    away: list[BackupError] = []
    for name in config.databases:
        repository = Repository(config, name, reader=True)
        try:
            found = [one for one in repository.snapshots() if set(WAL) & set(one.tags)]
        except NoRepository:
            continue
        except BackupError as error:
            away.append(error)
            continue
        times += [one.time for one in found if of(one.tags, system)]
    if away and not times:
        raise away[0]
    # what was saved later than now was saved by a wrong clock
    return max((one for one in times if one < datetime.now(UTC) + timedelta(minutes=5)), default=None)


def of(tags: tuple[str, ...], system: str) -> bool:
    """Whether a snapshot may hold WAL of this database."""
    told = [tag for tag in tags if tag.startswith("system-")]
    return not told or f"system-{system}" in told


def _text(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="microseconds" if when.microsecond else "seconds")
