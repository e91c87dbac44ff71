"""Sets: what was saved together, as a manifest, and which of them leads to a wanted moment.

A set is a snapshot tagged ``set`` with two files: ``set.json`` (the manifest) and ``objects.txt`` (the keys
of all raw documents, a line each, sorted). It is written after its base backup has ended, so that ``made_at``
is a moment to which the database can be recovered. Manifests come out of a repository into which another host
writes: they are read as if somebody hostile had written them.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ka_backup.errors import BackupError, Incomplete, NoRepository, NoSet

if TYPE_CHECKING:
    from ka_backup.config import Config
    from ka_backup.restic import Repository, Snapshot

TAG = "set"
MANIFEST = "set.json"
OBJECTS = "objects.txt"
LARGEST = 65_536  # bytes of a manifest
ID = "%Y%m%dT%H%M%SZ"
NEAR = timedelta(hours=2)  # how far clocks of hosts may differ
ROWS = ("documents", "pages", "chunks", "knowledge_bases")

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SNAPSHOT = re.compile(r"[0-9a-f]{8,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SYSTEM = re.compile(r"[0-9]{1,20}")
_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
_RELEASE = re.compile(r"(/nix/store/[0-9A-Za-z+._?=-]{1,200})?")
_OPTIONAL_SHA256 = re.compile(r"([0-9a-f]{64})?")
_WHOLE = 2**63


@dataclass(frozen=True, slots=True)
class Base:
    """The base backup: a snapshot of one file, ``base.tar``, and the tar's size in bytes."""

    repository: str
    snapshot: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Objects:
    """How many raw documents there were, and the SHA-256 of ``objects.txt``."""

    count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Set:
    """One set. ``system`` is PostgreSQL's system identifier, ``seconds`` what the base backup took."""

    id: str
    made_at: datetime
    host: str
    system: str
    timeline: int
    start_lsn: str
    stop_lsn: str
    base: Base
    rows: dict[str, int]
    objects: Objects
    release: str = ""
    inventory: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """A set, and where its manifest is."""

    set: Set
    repository: str
    snapshot: str
    objects_path: str = field(default="/" + OBJECTS)


def encode(one: Set) -> str:
    """The manifest of a set, as JSON with a line's end."""
    plain = asdict(one) | {"made_at": one.made_at.astimezone(UTC).isoformat(timespec="seconds")}
    return json.dumps(plain, indent=1, sort_keys=True) + "\n"


def decode(text: str) -> Set:
    """A manifest as a set; what it holds beyond that is left for later releases.

    Raises :class:`Incomplete` with the field that is not as it should be.
    """
    if len(text) > LARGEST:
        raise Incomplete(f"This is no set: {MANIFEST} is longer than {LARGEST} bytes. Take another set.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Incomplete(f"This is no set: {MANIFEST} is not JSON. Take another set.") from None
    top = _Fields(found, "")
    base, objects, rows = top.inner("base"), top.inner("objects"), top.inner("rows")
    return Set(
        id=top.text("id", _ID),
        made_at=top.moment("made_at"),
        host=top.text("host", _HOST),
        system=top.text("system", _SYSTEM),
        timeline=top.number("timeline", least=1, most=2**32 - 1),
        start_lsn=top.text("start_lsn", _LSN),
        stop_lsn=top.text("stop_lsn", _LSN),
        base=Base(base.text("repository", _HOST), base.text("snapshot", _SNAPSHOT), base.number("bytes")),
        rows={name: rows.number(name) for name in ROWS},
        objects=Objects(objects.number("count"), objects.text("sha256", _SHA256)),
        release=top.text("release", _RELEASE),
        inventory=top.text("inventory", _OPTIONAL_SHA256),
        seconds=top.seconds("seconds"),
    )


class _Fields:
    """A JSON object whose fields are taken by name and kind."""

    def __init__(self, value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(name or MANIFEST, "an object")
        self._value: dict[str, Any] = value
        self._name = name

    def _take(self, name: str) -> tuple[Any, str]:
        return self._value.get(name), f"{self._name}.{name}" if self._name else name

    def inner(self, name: str) -> _Fields:
        return _Fields(*self._take(name))

    def text(self, name: str, form: re.Pattern[str]) -> str:
        value, shown = self._take(name)
        if not isinstance(value, str) or not form.fullmatch(value):
            raise _wrong(shown, f"text like {form.pattern}")
        return value

    def number(self, name: str, least: int = 0, most: int = _WHOLE) -> int:
        value, shown = self._take(name)
        if type(value) is not int or not least <= value <= most:  # true is no number
            raise _wrong(shown, f"a whole number from {least}")
        return value

    def seconds(self, name: str) -> float:
        value, shown = self._take(name)
        if type(value) not in (int, float) or not 0 <= value < _WHOLE:
            raise _wrong(shown, "a number of seconds")
        return float(value)

    def moment(self, name: str) -> datetime:
        value, shown = self._take(name)
        try:
            return moment(value if isinstance(value, str) else "")
        except BackupError:
            raise _wrong(shown, "a moment with its zone, as 2026-11-23T21:00:00Z") from None


def _wrong(name: str, wanted: str) -> Incomplete:
    return Incomplete(f"This is no set: {name} should be {wanted}. Take another set.")


def moment(text: str) -> datetime:
    """A moment as people write it (RFC 3339, zone required), in UTC. Raises :class:`BackupError`."""
    try:
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BackupError(f"'{text[:40]}' is no moment. Write it with its zone, as 2026-11-23T21:00:00Z.")


def lsn(text: str) -> int:
    """A position in the WAL as bytes from its beginning."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def encode_objects(keys: Iterable[str]) -> tuple[str, Objects]:
    """``objects.txt`` of these keys, and what the manifest says of it."""
    lines = sorted(set(keys))
    text = "".join(f"{key}\n" for key in lines)
    return text, Objects(len(lines), hashlib.sha256(text.encode()).hexdigest())


def decode_objects(content: bytes, wanted: Objects) -> list[str]:
    """The keys in ``objects.txt``. Raises :class:`Incomplete` when it is not what the manifest says."""
    keys = content.decode("ascii", errors="replace").splitlines()
    same = hashlib.sha256(content).hexdigest() == wanted.sha256 and len(keys) == wanted.count
    if not same or not all(map(_SHA256.fullmatch, keys)):
        raise Incomplete(
            f"{OBJECTS} is not what {MANIFEST} says ({len(keys)} keys, not {wanted.count}). Take another set."
        )
    return keys


def choose(sets: Iterable[Found], wanted: datetime | None = None, system: str = "") -> Found:
    """The set to begin with on the way to a moment: the newest made by then; None: the newest of all.

    Args:
        sets: in any order.
        wanted: where recovery is to end.
        system: only those of this database; empty takes the one that the newest set is of.

    Raises:
        NoSet: none is old enough, or there is none.
    """
    by_age = sorted(sets, key=lambda one: (one.set.made_at, one.set.id), reverse=True)
    system = system or (by_age[0].set.system if by_age else "")
    ours = [one for one in by_age if one.set.system == system]
    if not ours:
        raise NoSet("There is no set yet. Make one with backup.yml.")
    fit = [one for one in ours if wanted is None or one.set.made_at <= wanted]
    if not fit:
        raise NoSet(
            f"No set is as old as {wanted:%Y-%m-%d %H:%M:%S} UTC. "
            f"The oldest is {ours[-1].set.id}: take a later moment."
        )
    return fit[0]


def newest_good(
    sets: Iterable[Found], good: Callable[[Found], str], wanted: datetime | None = None
) -> tuple[Found, list[str]]:
    """The newest good set made by the wanted moment, and what was said of newer ones.

    ``good`` returns the empty text, or a sentence why a set is not to be used. Raises :class:`NoSet`.
    """
    left, system = list(sets), ""
    said: list[str] = []
    while True:
        try:
            one = choose(left, wanted, system)
        except NoSet:
            if not said:
                raise
            raise NoSet("No set is good. " + " ".join(said)) from None
        system = one.set.system
        why = good(one)
        if not why:
            return one, said
        said.append(f"{one.set.id}: {why}")
        left.remove(one)


def by_id(sets: Iterable[Found], wanted: str) -> Found:
    """The set of this id. Raises :class:`NoSet` with the newest ones that there are."""
    known = sorted(sets, key=lambda one: one.set.id, reverse=True)
    for one in known:
        if one.set.id == wanted:
            return one
    names = ", ".join(one.set.id for one in known[:5]) or "none"
    raise NoSet(f"There is no set '{wanted[:40]}'. The newest are: {names}.")


def _meant(set_id: str) -> datetime:
    try:
        return datetime.strptime(set_id, ID).replace(tzinfo=UTC)
    except ValueError:
        raise NoSet(f"'{set_id[:40]}' names no set; one is named as 20261123T210000Z is.") from None


def read(repository: Repository, snapshot: Snapshot) -> Found:
    """The set in a snapshot. Raises :class:`Incomplete`, and what the repository raises."""
    paths = {Path(entry.path).name: entry for entry in repository.ls(snapshot.id)}
    if MANIFEST not in paths or paths[MANIFEST].size > LARGEST:
        raise Incomplete(
            f"Snapshot {snapshot.id[:8]} is tagged '{TAG}' and has no {MANIFEST}. Take another set."
        )
    text = dumped(repository, snapshot.id, paths[MANIFEST].path).decode("utf-8", errors="replace")
    objects = paths[OBJECTS].path if OBJECTS in paths else "/" + OBJECTS
    return Found(decode(text), repository.name, snapshot.id, objects)


def keys(repository: Repository, found: Found) -> list[str]:
    """The keys of a set's raw documents. Raises :class:`Incomplete`."""
    return decode_objects(dumped(repository, found.snapshot, found.objects_path), found.set.objects)


def dumped(repository: Repository, snapshot: str, path: str) -> bytes:
    """A small file of a snapshot."""
    with tempfile.TemporaryFile() as file:
        repository.dump(snapshot, path, file)
        file.seek(0)
        return file.read()


def listed(config: Config) -> tuple[list[tuple[Repository, Snapshot]], list[str]]:
    """All snapshots of sets, newest first, unread; and a sentence for each repository that cannot be asked,
    and each snapshot there that is damaged.

    Raises what a repository raises, when none can be asked.
    """
    from ka_backup.restic import Repository

    found: list[tuple[Repository, Snapshot]] = []
    away: list[BackupError] = []
    said: list[str] = []
    for name in config.databases:
        repository = Repository(config, name, reader=True)
        try:
            found += [(repository, snapshot) for snapshot in repository.snapshots(tags=[TAG])]
            said += repository.damaged
        except NoRepository:  # a host that never was the one to write
            continue
        except BackupError as error:
            away.append(error)
    if away and not found:
        raise away[0]
    return sorted(found, key=lambda one: one[1].time, reverse=True), [*map(str, away), *said]


def every(config: Config, newest: int | None = None) -> tuple[list[Found], list[str]]:
    """Sets, newest first, at most so many; and a sentence for each that cannot be read."""
    snapshots, said = listed(config)
    found = []
    for repository, snapshot in snapshots[:newest]:
        try:
            found.append(read(repository, snapshot))
        except BackupError as error:
            repository.blame(error)
            said.append(f"{repository.name}, {snapshot.id[:8]}: {error}")
    return found, said


def find(
    config: Config,
    wanted: datetime | None = None,
    set_id: str = "",
    lacks: Callable[[Found], str] = lambda _: "",
) -> tuple[Found, list[str]]:
    """The set of this id, or that for this moment, or the newest; reads as few manifests as it can.

    ``lacks`` says why a set cannot be used, or nothing. The next older one is tried then; one that was asked
    for by its id is refused. Also returns a sentence for each set that was passed over, and for each set or
    repository that could not be read. Raises :class:`NoSet`.
    """
    snapshots, said = listed(config)
    if set_id:
        # a manifest is saved within minutes of the moment that is its id
        meant = _meant(set_id)
        snapshots.sort(key=lambda one: abs(one[1].time - meant))
    elif wanted:
        snapshots = [one for one in snapshots if one[1].time <= wanted + NEAR] or snapshots[-1:]
    found: list[Found] = []
    left: list[Found] = []
    for repository, snapshot in snapshots:
        try:
            one = read(repository, snapshot)
        except BackupError as error:
            repository.blame(error)
            said.append(f"{repository.name}, {snapshot.id[:8]}: {error}")
            continue
        found.append(one)
        same = one.set.system == found[0].set.system
        if one.set.id != set_id if set_id else not same or (wanted and one.set.made_at > wanted):
            left.append(one)
            continue
        why = lacks(one)
        if not why:
            return one, said
        if set_id:
            raise NoSet(f"The set {set_id} cannot be restored. {why} Name another set, or none.")
        said.append(f"{one.set.id} was passed over. {why}")
    try:
        if set_id:
            return by_id(left, set_id), said
        return choose(left, wanted, found[0].set.system if found else ""), said
    except NoSet as error:
        why = "No set is good." if len(left) < len(found) else str(error)
        raise NoSet(" ".join([why, *said])) from None
