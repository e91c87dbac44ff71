"""restic's repositories of the fleet, one for each host that writes.

Exit codes and JSON: https://restic.readthedocs.io/en/v0.18.1/075_scripting.html
"""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ka_backup import process
from ka_backup.config import PASSWORD, Config, credential
from ka_backup.errors import (
    BackupError,
    Incomplete,
    NoRepository,
    RepositoryAway,
    RepositoryLocked,
    Unusable,
    WrongPassword,
)

PROGRAM = "restic"
# Seconds: a question, a file that is read or written, what nobody waits for.
SHORT, LONG, DAY = 120.0, 3600.0, 86400.0
ANSWERS = 5.0  # in which the repository has to take a connection
KEYS = {
    "AWS_ACCESS_KEY_ID": "ka.backup.s3_access_key",
    "AWS_SECRET_ACCESS_KEY": "ka.backup.s3_secret_key",
}
INCOMPLETE, LOCKED = 3, 11
FULL = "has no room left"
CODES: dict[int, tuple[type[BackupError], str]] = {
    10: (NoRepository, "There is no repository {where}; run site.yml --tags backup, which makes it."),
    LOCKED: (RepositoryLocked, "{where} is locked for longer than this waits ({said}); try again later."),
    12: (WrongPassword, "{where} has no key for this password; run rotate.yml --tags secrets to its end."),
    130: (BackupError, "restic was interrupted at {where}; run it again."),
    143: (BackupError, "restic was told to end at {where}; run it again."),
}
# What restic says of the way to the repository; the first that fits is told.
WAYS = {
    r"certificate has expired|expired certificate|x509|tls: |unknown authority": (
        "does not agree with this host about certificates; look at the clocks of both, "
        "then run rotate.yml --tags certificates"
    ),
    r"\b(401|403)\b|AccessDenied|SignatureDoesNotMatch|InvalidAccessKeyId": (
        "refuses this host; its certificate or its keys are not those that are let in there"
    ),
    r"\b507\b|no space left|Insufficient Storage|disk quota": (
        f"{FULL}; give it a larger disk, or keep less"
    ),
    (
        r"dial tcp|connection re(fused|set)|no such host|i/o timeout|no route|network is unreachable|\bEOF\b|"
        r"broken pipe|context deadline|TLS handshake timeout|\b50[0234]\b|stuck|retrying after"
    ): "does not answer; see whether its host runs and is reached",
}


@dataclass(frozen=True)
class Snapshot:
    """``id`` is the long one, ``time`` in UTC; ``summary`` is restic's, and may be empty."""

    id: str
    time: datetime
    tags: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    hostname: str = ""
    summary: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True)
class Entry:
    """A file of a snapshot, by its path there; ``size`` in bytes."""

    path: str
    size: int


class Repository:
    """One of them by its name. A ``reader`` leaves nothing behind there, not even a lock.

    Every method raises BackupError, mostly one of its kinds. ``password`` is a file with another one than the
    fleet's.
    """

    def __init__(self, config: Config, name: str, reader: bool = False, password: Path | None = None) -> None:
        self.config = config
        self.name = name
        self.reader = reader
        self.where = f"{config.url.rstrip('/')}/{name}"
        self._password = password
        self._said = ""
        self.damaged: list[str] = []

    def run(
        self,
        *args: str,
        input: str = "",  # noqa: A002 -- as subprocess calls it
        data: bytes = b"",
        seconds: float = SHORT,
        to: IO[bytes] | None = None,
        folder: str | Path | None = None,
    ) -> str:
        """What ``restic ARGS`` prints, given text or bytes to read; anything but success raises."""
        given = data or input.encode()
        until = time.monotonic() + seconds
        done = self._once(args, seconds, given=given, to=to, folder=folder)
        if done.code == LOCKED and not self.reader and not done.ended:
            # what a host has left behind that lost its power is no lock any more
            self._once(("unlock",), SHORT)
            done = self._once(args, max(ANSWERS, until - time.monotonic()), given=given, to=to, folder=folder)
        self._judge(done, seconds)
        self._said = done.error
        return done.out

    def init_if_missing(self) -> None:
        """Afterwards it is there, whoever made it; on the backup host, that alone may make one."""
        try:
            self.run("cat", "config")
        except NoRepository:
            if self.config.url.startswith("rest:"):
                raise
            try:
                self.run("init")
            except BackupError as error:
                if "already" not in str(error):
                    raise

    def blame(self, error: BackupError) -> None:
        """Return when only what was asked for is damaged; raise when nothing can be read here.

        restic tells a file that is cut short as it tells a network that is; so the repository is asked.
        """
        if isinstance(error, RepositoryAway) and FULL not in str(error):
            self.run("cat", "config")
        elif isinstance(error, (NoRepository, RepositoryAway, RepositoryLocked, Unusable, WrongPassword)):
            raise error

    def backup_folder(
        self, path: str | Path, tags: Sequence[str], seconds: float = LONG, exclude: Sequence[str] = ()
    ) -> str:
        """Id of a snapshot of the folder, by its whole path."""
        patterns = [f"--exclude={each}" for each in exclude]
        return self._backup([*patterns, "--", str(path)], tags, seconds)

    def backup_files(self, paths: Iterable[str | Path], tags: Sequence[str], seconds: float = LONG) -> str:
        """Id of a snapshot of these files alone, each by its whole path."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".list") as names:
            names.writelines(f"{path}\n" for path in paths)
            names.flush()
            return self._backup([f"--files-from-verbatim={names.name}", "--force"], tags, seconds)

    def backup_output(
        self, command: Sequence[str], filename: str, tags: Sequence[str], seconds: float = DAY
    ) -> str:
        """Id of a snapshot of what a command prints, as one file; there is none when the command fails."""
        what = ["--stdin-from-command", f"--stdin-filename={filename}", "--", *command]
        return self._backup(what, tags, seconds)

    def backup_text(self, files: dict[str, str], tags: Sequence[str], seconds: float = SHORT) -> str:
        """Id of a snapshot of these texts, by name; in it they are /NAME."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_text(content, encoding="utf-8")
            return self._backup(["--force", "--", *sorted(files)], tags, seconds, folder)

    def snapshots(self, tags: Sequence[str] | None = None) -> list[Snapshot]:
        """Those with all of these tags, or all; oldest first. ``damaged`` names what restic leaves out."""
        chosen = [f"--tag={','.join(tags)}"] if tags else []
        found = _json(self.run("snapshots", "--json", *chosen), self.where)
        ignored = re.findall(r'^Ignoring "([0-9a-f]{8})', self._said, re.MULTILINE)
        self.damaged = [f"{self.name}, {each}: This snapshot is damaged." for each in ignored]
        return sorted((decode(each) for each in found or []), key=lambda each: each.time)

    def dump(self, snapshot: str, path: str, to: str | Path | IO[bytes], seconds: float = DAY) -> None:
        """One file of a snapshot to a file here (which is whole or not there), or into what is open."""
        if not isinstance(to, (str, Path)):
            self.run("dump", snapshot, path, seconds=seconds, to=to)
            return
        new = Path(f"{to}.part")
        try:
            with new.open("wb") as file:
                self.run("dump", snapshot, path, seconds=seconds, to=file)
            new.replace(to)
        finally:
            new.unlink(missing_ok=True)

    def text(self, snapshot: str, path: str, seconds: float = SHORT) -> str:
        """One small file of a snapshot."""
        return self.run("dump", snapshot, path, seconds=seconds)

    def restore(
        self,
        snapshot: str,
        target: str | Path,
        include: Sequence[str] | None = None,
        seconds: float = DAY,
    ) -> None:
        """All of a snapshot, or what is named, below ``target``; SNAPSHOT:/FOLDER begins at a folder."""
        chosen = [f"--include={each}" for each in include or []]
        self.run("restore", snapshot, f"--target={target}", *chosen, seconds=seconds)

    def ls(self, snapshot: str, seconds: float = LONG) -> Iterator[Entry]:
        """Its files."""
        for line in self.run("ls", "--json", "--recursive", snapshot, seconds=seconds).splitlines():
            each = _json(line, self.where)
            if each.get("type") == "file":
                yield Entry(str(each["path"]), int(each.get("size", 0)))

    def check(self, subset: str = "", seconds: float = DAY) -> list[str]:
        """What is damaged, a line each; reads the data of a ``subset`` such as 3/7, or none.

        No lock is taken, so that hosts can go on writing; who calls sees to it that nothing is removed.
        """
        chosen = [f"--read-data-subset={subset}"] if subset else []
        done = self._once(("check", "--json", "--no-lock", *chosen), seconds)
        found = damage(done.out, done.error)
        named = any(each.startswith("pack ") for each in found)
        if done.code == 1 and found and not done.ended and (named or not _way(done.error)[1]):
            return found
        self._judge(done, seconds)
        return []

    def _backup(
        self, what: Sequence[str], tags: Sequence[str], seconds: float, folder: str | None = None
    ) -> str:
        words = ["backup", "--json", "--quiet", "--no-scan", f"--host={self.config.host}"]
        words += [f"--tag={tag}" for tag in tags]
        snapshot = _made(self.run(*words, *what, seconds=seconds, folder=folder))
        if not snapshot:
            raise BackupError(f"restic named no snapshot that it made in {self.where}; save again.")
        return snapshot

    def _once(
        self,
        args: Sequence[str],
        seconds: float,
        given: bytes = b"",
        to: IO[bytes] | None = None,
        folder: str | Path | None = None,
    ) -> process.Done:
        self._reach()
        command = [PROGRAM, "-r", self.where, "--stuck-request-timeout=30s", *self._options(seconds), *args]
        try:
            return process.run(command, self._environment(), seconds, given=given, to=to, folder=folder)
        except FileNotFoundError as error:
            raise BackupError(
                f"{error.filename or PROGRAM} is not there; restic is part of the hosts' image."
            ) from error

    def _options(self, seconds: float) -> list[str]:
        options = []
        if self.config.url.startswith("rest:https:") and self.config.certificate:
            options += [f"--tls-client-cert={self.config.certificate}"]
        if "https:" in self.config.url and self.config.ca:
            options += [f"--cacert={self.config.ca}"]
        options += ["--no-lock"] if self.reader else [f"--retry-lock={int(min(60, seconds / 3))}s"]
        return options if os.environ.get("CACHE_DIRECTORY") else [*options, "--no-cache"]

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RESTIC_", "AWS_"))}
        kept["RESTIC_PASSWORD_FILE"] = str(self._password or credential(PASSWORD))
        if "CACHE_DIRECTORY" in os.environ:
            kept["RESTIC_CACHE_DIR"] = os.environ["CACHE_DIRECTORY"].split(":")[0]
        if self.config.url.startswith("s3:"):
            kept |= {variable: credential(name).read_text().strip() for variable, name in KEYS.items()}
        return kept

    def _reach(self) -> None:
        """A repository that is away is known at once; restic would try for long."""
        if not self.config.url.startswith("rest:"):
            return
        place = urlsplit(self.config.url.removeprefix("rest:"))
        try:
            socket.create_connection((place.hostname or "", place.port or 443), ANSWERS).close()
        except OSError as error:
            why = WAYS[list(WAYS)[-1]]
            raise RepositoryAway(f"The repository {self.where} {why} ({error}).") from error

    def _judge(self, done: process.Done, seconds: float) -> None:
        """Raises for all but success."""
        said = _last(done.error)
        if done.ended == process.LOST:
            raise RepositoryAway(f"The repository {self.where} {_way(done.error)[0]} ({said}).")
        if done.ended:
            raise RepositoryAway(
                f"restic was not through with {self.where} in {seconds:.0f} s and was ended; "
                "see whether its host is reached and not busy."
            )
        if done.code == 0:
            return
        if done.code == INCOMPLETE:
            sentence = (
                f"Not all could be read for {self.where} ({said}); see to these files, then save again."
            )
            raise Incomplete(sentence, _made(done.out))
        if done.code in CODES:
            kind, why = CODES[done.code]
            raise kind(why.format(where=self.where, said=said))
        if done.code < 0:
            raise BackupError(f"restic was ended by a signal at {self.where}; run it again.")
        way, known = _way(done.error)
        if done.code == 1 and known:
            raise RepositoryAway(f"The repository {self.where} {way} ({said}).")
        raise BackupError(f"restic failed at {self.where} with {done.code}: {said or 'it says nothing'}.")


def decode(found: dict[str, Any]) -> Snapshot:
    """A snapshot as restic prints it."""
    return Snapshot(
        id=str(found["id"]),
        time=datetime.fromisoformat(str(found["time"])).astimezone(UTC),
        tags=tuple(found.get("tags") or ()),
        paths=tuple(found.get("paths") or ()),
        hostname=str(found.get("hostname", "")),
        summary=found.get("summary") or {},
    )


def damage(out: str, error: str) -> list[str]:
    """What a check says is damaged: packs by their names first, then its other words."""
    packs, words = set(), []
    for line in [*out.splitlines(), *error.splitlines()]:
        each = _maybe(line)
        packs |= {str(pack) for pack in each.get("broken_packs") or []}
        said = str(each.get("message", "")) if each else line.strip()
        packs |= set(re.findall(r"\b[Pp]ack (?:ID )?([0-9a-f]{64})\b", said))
        said = said.strip()
        if said.startswith(("restic ", "Damaged pack files")):
            continue  # advice
        if said and re.search(r"\berror\b|does not (exist|match)|missing|corrupt|damaged|not found", said):
            words.append(said)
    return [f"pack {pack}" for pack in sorted(packs)] + words


def _way(error: str) -> tuple[str, bool]:
    """What is wrong on the way to a repository, and whether that is known."""
    for pattern, why in WAYS.items():
        if re.search(pattern, error):
            return why, True
    return WAYS[list(WAYS)[-1]], False


def _made(out: str) -> str:
    summaries = (_maybe(line) for line in out.splitlines())
    return next((str(each["snapshot_id"]) for each in summaries if each.get("snapshot_id")), "")


def _last(error: str) -> str:
    """The last line that says something, as text."""
    lines = [str(_maybe(line).get("message") or line).strip() for line in error.splitlines()]
    fatal = [line for line in lines if line.startswith(("Fatal:", "panic:"))]
    said = (fatal or [line for line in lines if line] or [""])[-1]
    return said.removeprefix("Fatal: ").rstrip(".")[:500]


def _maybe(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line) if line.startswith("{") else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BackupError(f"restic's answer about {where} is no JSON; see its version.") from error
