"""WAL as files: names, what is missing between positions over timelines, and the spool that it is kept in.

Names and histories: PostgreSQL's manual, "Continuous Archiving", and src/include/access/xlog_internal.h;
segments have 16 MiB. In the spool each file is packed: NAME.gz.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SEGMENT = 16 * 2**20  # bytes
PER_LOG = 2**32 // SEGMENT
CURRENT, CLOSED, STANDBY, WANTED, NOW, DROPPED, LOCK, IDENTITY = (
    "current",
    "closed-",
    "standby",
    "wanted",
    "base-now",
    "dropped",
    "lock",
    "identity",
)
STAMP = "%Y%m%dT%H%M%S.%fZ"

_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")

# By timeline: those that it comes from, oldest first, each with the position at which it was left.
Histories = Mapping[int, list[tuple[int, int]]]


def number(lsn: str) -> int:
    """A position, such as 0/3000148, in bytes; raises ValueError."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def shown(position: int) -> str:
    """The same the other way."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def segment(timeline: int, index: int) -> str:
    """Name of a timeline's segment; ``index`` counts segments from position 0."""
    return f"{timeline:08X}{index // PER_LOG:08X}{index % PER_LOG:08X}"


def parse(name: str) -> tuple[int, int] | None:
    """Timeline and index of a whole segment, packed or not; None for every other file."""
    found = _SEGMENT.fullmatch(name.removesuffix(".gz"))
    if not found:
        return None
    timeline, log, part = (int(text, 16) for text in found.groups())
    return (timeline, log * PER_LOG + part) if part < PER_LOG and timeline else None


def history_of(name: str) -> int | None:
    """The timeline whose history a file is; None for every other file."""
    found = _HISTORY.fullmatch(name.removesuffix(".gz"))
    return int(found[1], 16) if found else None


def parse_history(text: str) -> list[tuple[int, int]]:
    """Earlier timelines, each with the position at which it was left; raises ValueError."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [(int(words[0]), number(words[1])) for words in lines if words]


@dataclass(frozen=True)
class Chain:
    """What can be recovered from a position on.

    ``timeline`` is the newest that can be reached; ``missing`` are names of segments up to its newest one
    that nobody has; ``last`` is the newest segment before the first of those, ``end`` the position after it.
    """

    timeline: int
    missing: list[str]
    last: str
    end: int


def chain(names: Iterable[str], histories: Histories, timeline: int, start: str, stop: str = "") -> Chain:
    """How far the files ``names`` lead on from ``start`` on ``timeline``.

    Segments from ``start`` to ``stop`` are in the base backup itself, and may be absent.
    """
    there = {found for found in map(parse, names) if found}
    begin = number(start)
    first = begin // SEGMENT
    held = number(stop) if stop else begin
    target = _target(there, histories, timeline, held)
    # where each timeline on the way begins; a segment is read from the newest that has begun by then
    begins = [(timeline, first)]
    path = [*histories.get(target, []), (target, 0)] if target != timeline else []
    for (old, left), (new, _) in itertools.pairwise(path):
        if old >= timeline:
            begins.append((new, left // SEGMENT))
    newest = max([index for line, index in there if line == target], default=-1)
    missing: list[str] = []
    last, end = "", max(held, begin)
    in_base = range(first, held // SEGMENT + 1) if stop else range(0)
    for index in range(first, newest + 1):
        line = max(new for new, since in begins if since <= index)
        if (line, index) in there:
            if not missing:
                last, end = segment(line, index), (index + 1) * SEGMENT
        elif index not in in_base or line != timeline:
            missing.append(segment(line, index))
    return Chain(target, missing, last, end)


def _target(there: set[tuple[int, int]], histories: Histories, timeline: int, held: int) -> int:
    """The newest timeline that leaves ``timeline`` at or after ``held``, by a history that is there."""
    fit = [timeline]
    for new, before in histories.items():
        left = dict(before).get(timeline)
        if new > timeline and left is not None and left >= held:
            fit.append(new)
    return max(fit, key=lambda line: (line == timeline or _begun(there, line), line))


def _begun(there: set[tuple[int, int]], timeline: int) -> bool:
    return any(line == timeline for line, _ in there)


def spool_tag(spool: Path) -> str:
    """Tells this spool from one that a lost disk took along, whose last state nothing else holds."""
    path = spool / IDENTITY
    if not path.exists():
        new = path.with_name(f"{IDENTITY}.part")
        new.write_text(secrets.token_hex(8), encoding="ascii")
        new.replace(path)
        _sync(spool)
    return f"spool-{path.read_text(encoding='ascii')}"


def spool_of(tags: Iterable[str]) -> str:
    """The spool that a snapshot is of; empty where that is not told."""
    return next((tag for tag in tags if tag.startswith("spool-")), "")


def size(spool: Path) -> int:
    """Bytes of all that waits there."""
    return sum(path.stat().st_size for path in spool.rglob("*") if path.is_file())


def state(spool: Path) -> frozenset[tuple[str, int]]:
    """What lies there, by path and bytes; what is still being written is left out."""
    files = (path for folder in _folders(spool) for path in folder.glob("*.gz"))
    return frozenset((str(path.relative_to(spool)), path.stat().st_size) for path in files)


def _folders(spool: Path) -> list[Path]:
    return [spool / CURRENT, *closed(spool)]


def closed(spool: Path) -> list[Path]:
    """Folders in which nothing is written any more, oldest first."""
    return sorted(path for path in spool.glob(f"{CLOSED}*") if path.is_dir())


def due(spool: Path, now: float, seconds: float, most: int) -> bool:
    """Whether what is in `current` waits for so long, or is so much, that it is to be closed."""
    stats = [path.stat() for path in (spool / CURRENT).glob("*.gz")]
    if not stats:
        return False
    return min(one.st_mtime for one in stats) <= now - seconds or sum(one.st_size for one in stats) >= most


def close(spool: Path, now: datetime) -> Path | None:
    """Rename `current`, so that it can be saved and removed as a whole; None when nothing is in it.

    The lock keeps wal-keep out, so that each file is wholly in the one folder or in the other.
    """
    with locked(spool):
        current = spool / CURRENT
        if not any(current.glob("*.gz")):
            return None
        folder = spool / f"{CLOSED}{now.astimezone(UTC).strftime(STAMP)}"
        current.rename(folder)
        current.mkdir(mode=0o700)
        _sync(folder)
        _sync(spool)
        return folder


def remove(folder: Path) -> None:
    """A closed folder that is saved; refuses every other one (ValueError)."""
    if not folder.name.startswith(CLOSED):
        raise ValueError(f"{folder} is not closed, so it stays.")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def thin(spool: Path, now: float, seconds: float, most: int) -> int:
    """Remove from a standby's `current` what is too old, or too much, oldest first; how many files.

    The primary keeps and saves the same; a standby only needs the newest, for the case that it takes over.
    """
    with locked(spool):
        found = sorted((path.stat().st_mtime, path) for path in (spool / CURRENT).glob("*.gz"))
        left = sum(path.stat().st_size for _, path in found)
        gone = 0
        for written, path in found:
            # without the histories no timeline could be followed
            if (written > now - seconds and left <= most) or history_of(path.name):
                continue
            left -= path.stat().st_size
            path.unlink()
            gone += 1
        return gone


def dropped(spool: Path) -> int:
    """How many files a full spool has not taken, ever."""
    try:
        return (spool / DROPPED).read_text(encoding="ascii", errors="replace").count("\n")
    except FileNotFoundError:
        return 0


@contextmanager
def locked(spool: Path) -> Iterator[None]:
    """While wal-keep writes nothing there."""
    with (spool / LOCK).open("a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
