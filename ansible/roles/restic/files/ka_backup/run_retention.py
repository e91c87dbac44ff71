"""Removes what is kept no longer: `backup retention`; with --thin, hourly, copies of the spool alone."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from ka_backup import keeping, metrics, sets
from ka_backup.config import ESCROW, Config
from ka_backup.errors import BackupError, Incomplete
from ka_backup.keep import NEW, SET, WHOLE, Held, Policy, forget, superseded
from ka_backup.restic import DAY, LONG, Repository
from ka_backup.run_restore_documents import KEY

AT_ONCE = 200  # snapshots in one command line


def main(config: Config, arguments: list[str]) -> int:
    """Every repository gets its turn, whatever becomes of another; raises BackupError in the end."""
    wanted = _parser().parse_args(arguments)
    policy = Policy(wanted.days, wanted.daily, wanted.weekly, wanted.wal_hours)
    with keeping.alone():
        problems = _thin(config, policy) if wanted.thin else _all(config, policy, wanted.repack)
    if not wanted.thin:
        _write(config, failed=bool(problems))
    keeping.fail(problems)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="backup retention", description=__doc__)
    parser.add_argument("--thin", action="store_true", help="only copies of the spool that newer ones hold")
    parser.add_argument("--days", type=int, default=Policy.days)
    parser.add_argument("--daily", type=int, default=Policy.daily)
    parser.add_argument("--weekly", type=int, default=Policy.weekly)
    parser.add_argument("--wal-hours", type=int, default=Policy.wal_hours)
    parser.add_argument("--repack", default="256M", help="the most that is written anew at once")
    return parser


def _thin(config: Config, policy: Policy) -> list[str]:
    found, problems = _gather(config)
    return problems + _forget(config, superseded(found, policy, datetime.now(UTC)))


def _all(config: Config, policy: Policy, repack: str) -> list[str]:
    """What cannot be read may be the oldest base, or a set, so nothing that these need goes then."""
    found, problems = _gather(config)
    now = datetime.now(UTC)
    gone = superseded(found, policy, now) if problems else forget(found, policy, now)
    try:
        gone = spared(config, found, gone)
    except BackupError as error:
        gone = [each for each in gone if not _documents(each)]
        problems.append(f"No snapshot of documents goes, since nobody knows what sets need: {error}")
    problems += _forget(config, gone)
    for name in keeping.names(config):
        try:
            # hosts wait while this goes on, so it never writes much anew
            Repository(config, name).run(
                "prune", "--max-unused=0", f"--max-repack-size={repack}", seconds=LONG
            )
        except BackupError as error:
            problems.append(str(error))
    return problems


def _gather(config: Config) -> tuple[list[Held], list[str]]:
    found: list[Held] = []
    problems: list[str] = []
    for name in keeping.names(config):
        repository = Repository(config, name)
        try:
            repository.run("unlock")  # what is left of somebody who is no more
            found += keeping.held(config, repository)
            problems += repository.damaged  # nobody knows what belongs to it
        except BackupError as error:
            problems.append(str(error))
    return found, problems


def spared(config: Config, found: list[Held], gone: list[Held]) -> list[Held]:
    """What goes, without the last snapshots that hold a document that a kept set names.

    Raises BackupError when a set or a snapshot cannot be read.
    """
    going = [each for each in gone if _documents(each)]
    if not going:
        return gone
    kept = [each for each in found if each not in set(gone)]
    wanted = _named(config, [each for each in kept if each.tagged(SET)])
    for each in _newest_first(each for each in kept if each.tagged(WHOLE)):
        if not wanted:
            break
        wanted -= _keys(config, each)
    # snapshots of new ones are many; they are listed only for what is at stake
    held = {each: wanted & _keys(config, each) for each in _newest_first(going) if wanted}
    last = set[str]().union(*held.values())
    for each in _newest_first(each for each in kept if each.tagged(NEW)):
        if not last:
            break
        last -= _keys(config, each)
    stay = set()
    for each, keys in held.items():
        if keys & last:
            stay.add(each)
            last -= keys
    return [each for each in gone if each not in stay]


def _documents(one: Held) -> bool:
    return one.tagged(WHOLE) or one.tagged(NEW)


def _newest_first(held: Iterable[Held]) -> list[Held]:
    return sorted(held, key=lambda each: each.snapshot.time, reverse=True)


def _named(config: Config, held: Iterable[Held]) -> set[str]:
    """Documents that sets name; what is no set, whoever wrote it, names none."""
    wanted: set[str] = set()
    for each in held:
        repository = Repository(config, each.repository, reader=True)
        with contextlib.suppress(Incomplete):
            wanted.update(sets.keys(repository, sets.read(repository, each.snapshot)))
    return wanted


def _keys(config: Config, one: Held) -> set[str]:
    entries = Repository(config, one.repository, reader=True).ls(one.snapshot.id)
    return {name for entry in entries if KEY.fullmatch(name := Path(entry.path).name)}


def _forget(config: Config, gone: list[Held]) -> list[str]:
    problems = []
    for name in sorted({each.repository for each in gone}):
        ids = [each.snapshot.id for each in gone if each.repository == name]
        try:
            for start in range(0, len(ids), AT_ONCE):
                Repository(config, name).run("forget", *ids[start : start + AT_ONCE], seconds=DAY)
        except BackupError as error:
            problems.append(str(error))
        else:
            sys.stdout.write(f"{name}: {len(ids)} snapshots gone\n")
    return problems


def _write(config: Config, *, failed: bool) -> None:
    """When it last succeeded is remembered, so that a failure does not hide it."""
    if not failed:
        keeping.remember("retention.json", {"at": time.time()})
    last = float(keeping.read("retention.json").get("at", 0))
    names = [*keeping.names(config), ESCROW]
    sizes = {name: keeping.size(config, name) for name in names}
    metrics.write(
        config.metrics,
        "retention",
        {
            "ka_repository_retention_timestamp_seconds": (
                "When what is kept no longer was last removed.",
                [({}, last)] if last else [],
            ),
            "ka_repository_retention_failed": (
                "Whether the last removal failed for a repository.",
                [({}, int(failed))],
            ),
            "ka_repository_bytes": (
                "Size of the repository on the disk.",
                [({"repository": name}, bytes_) for name, bytes_ in sizes.items() if bytes_ is not None],
            ),
        },
    )
