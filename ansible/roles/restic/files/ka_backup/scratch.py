"""PostgreSQL that is recovered from a set to a moment, reached through a Unix socket alone.

None of the settings that the base backup brings along counts: all stand in the command line, which comes
before every file (PostgreSQL's manual, "Setting Parameters"; on recovery: "Write Ahead Log").
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ka_backup import postgres, sets
from ka_backup.errors import BackupError, Incomplete, NoSet
from ka_backup.gather import Gathered

PROGRAMS = Path("/usr/lib/postgresql/17/bin")
LONGEST = 6 * 3600.0  # seconds of a recovery
FAREWELL = 120.0
END = "end"
_NAME = re.compile(r"[A-Za-z0-9 ._:-]{1,63}")
_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
_FATAL = re.compile(r" (?:FATAL|PANIC):  (.+)$", re.MULTILINE)
_ASKED = re.compile(r"starting up|shutting down|accepting connections")  # what it says to who asks too early
_LAST = re.compile(r"last completed transaction was at log time (\S+ [0-9:.]+)")
# A standby that can be asked needs at least what the primary had.
_CONTROL = re.compile(r"^(max_\w+|wal_level) setting:\s+(\S+)$", re.MULTILINE)
_CALLED = {
    "max_connections": ("max_connections", 100),
    "max_worker_processes": ("max_worker_processes", 8),
    "max_wal_senders": ("max_wal_senders", 10),
    "max_prepared_xacts": ("max_prepared_transactions", 0),
    "max_locks_per_xact": ("max_locks_per_transaction", 64),
}


@dataclass(frozen=True)
class Target:
    """Where recovery ends: ``kind`` is end, time, name or lsn; ``value`` as PostgreSQL takes it."""

    kind: str = END
    value: str = ""

    @classmethod
    def of(cls, text: str) -> Target:
        """``end``, a moment with its zone, ``name:POINT`` or ``lsn:X/Y``. Raises BackupError."""
        kind, _, value = text.partition(":")
        if text in ("", END):
            return cls()
        if kind == "name" and _NAME.fullmatch(value):
            return cls("name", value)
        if kind == "lsn" and _LSN.fullmatch(value):
            return cls("lsn", value)
        return cls.at(sets.moment(text))

    @classmethod
    def at(cls, moment: datetime) -> Target:
        """The last change that was committed by then."""
        return cls("time", moment.astimezone(UTC).isoformat(sep=" ", timespec="microseconds"))

    @property
    def moment(self) -> datetime | None:
        """Where it is a time."""
        return datetime.fromisoformat(self.value) if self.kind == "time" else None

    def __str__(self) -> str:
        return self.value or "the end of what is saved"


@dataclass(frozen=True)
class Server:
    """It runs, in the folder ``socket``; ``reached`` is the moment of its last change, if it has one."""

    socket: Path
    log: Path
    reached: datetime | None = None


@contextmanager
def recovered(
    gathered: Gathered,
    socket: Path,
    target: Target = Target(),
    *,
    adopt: bool = False,
    pause: bool = False,
    memory: str = "128MB",
    seconds: float = LONGEST,
    programs: Path = PROGRAMS,
) -> Iterator[Server]:
    """The database as it was, which can be asked while this lasts.

    Args:
        gathered: its data folder is used up by this.
        socket: a folder that is made, for this user alone.
        target: where to stop.
        adopt: the data folder stays, for another PostgreSQL to serve: it is safe on the disk, ends cleanly,
            and the files of the new timeline wait there to be archived. Otherwise a crash would leave
            it useless, and nothing is ever archived.
        pause: can only be read, and stays on its timeline.
        memory: shared buffers.
        seconds: for the recovery.
        programs: folder of PostgreSQL's programs.

    Raises:
        NoSet: the set is younger than the target.
        Incomplete: the WAL ends or breaks before it.
        BackupError: all else.
    """
    if gathered.chain.missing and target.kind == END:
        some = ", ".join(gathered.chain.missing[:3])
        raise Incomplete(
            f"The log after {gathered.found.set.id} lacks {some}. Take a moment before that, or a newer set. "
            + " ".join(gathered.said)
        )
    if target.moment and target.moment < gathered.found.set.made_at:
        # PostgreSQL itself would stop at a later moment, and say nothing
        raise NoSet(f"The set {gathered.found.set.id} was made after {target}. Take an older set.")
    data, log = gathered.data, gathered.folder / "postgres.log"
    socket.mkdir(mode=0o700, exist_ok=True)
    socket.chmod(0o700)  # the password of those who may connect
    (data / "standby.signal").unlink(missing_ok=True)
    (data / "recovery.signal").touch(mode=0o600)
    files = gathered.folder / "settings"
    files.mkdir(mode=0o700, exist_ok=True)
    for name, content in {"hba": "local all all trust\n", "ident": "", "empty": ""}.items():
        (files / name).write_text(content, encoding="ascii")
    wanted = settings(gathered, socket, target, adopt=adopt, pause=pause) | {"shared_buffers": memory}
    if pause:
        wanted |= at_least(_control(programs, data))
    command = [str(programs / "postgres"), "-D", str(data)]
    command += [word for name, value in wanted.items() for word in ("-c", f"{name}={value}")]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True
        ) as process,
    ):
        try:
            _wait(process, socket, log, target, seconds, pause=pause)
            yield Server(socket, log, reached(_text(log)))
            if adopt:
                _end(process, signal.SIGINT)
                _clean(process.returncode, log)
        finally:
            # what is thrown away need not be written
            _end(process, signal.SIGINT if adopt else signal.SIGQUIT)


def settings(gathered: Gathered, socket: Path, target: Target, *, adopt: bool, pause: bool) -> dict[str, str]:
    """All that the base backup's own files might say otherwise."""
    log, files = gathered.logs, gathered.folder / "settings"
    fetch = f'if [ -f "{log}/%f.gz" ]; then gzip -dc "{log}/%f.gz" > "%p" || exit 255; else exit 1; fi'
    same = gathered.chain.timeline == gathered.found.set.timeline
    wanted = {
        "config_file": str(files / "empty"),
        "hba_file": str(files / "hba"),
        "ident_file": str(files / "ident"),
        "external_pid_file": "",
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
        "ssl": "off",
        "shared_preload_libraries": "",
        "session_preload_libraries": "",
        "local_preload_libraries": "",
        "cluster_name": "scratch",
        "huge_pages": "off",
        "jit": "off",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_line_prefix": "%m [%p] ",
        "log_min_messages": "log",
        "lc_messages": "C",
        "log_timezone": "UTC",
        # nobody streams from it or to it, and no commit waits for a standby
        "primary_conninfo": "",
        "primary_slot_name": "",
        "synchronous_standby_names": "",
        "wal_level": "replica",
        "hot_standby": "on" if pause else "off",
        "max_wal_size": "2GB",
        "archive_cleanup_command": "",
        "recovery_end_command": "",
        # above 128 is an end with an error; 1 says that there is no such file
        "restore_command": fetch,
        "recovery_target": "",
        "recovery_target_action": "pause" if pause else "promote",
        "recovery_target_inclusive": "on",
        # its own needs no history, which may have been archived long before
        "recovery_target_timeline": "current" if same else str(gathered.chain.timeline),
        **{f"recovery_target_{kind}": "" for kind in ("time", "name", "lsn", "xid")},
    }
    if target.kind != END:
        # the last one counts: PostgreSQL refuses an empty one after that
        del wanted[f"recovery_target_{target.kind}"]
        wanted[f"recovery_target_{target.kind}"] = target.value
    if adopt:
        # with an archiver that takes nothing, whoever serves it next archives the new timeline's files
        return wanted | {"archive_mode": "on", "archive_library": "", "archive_command": "/bin/false",
                         "fsync": "on", "full_page_writes": "on"}  # fmt: skip
    return wanted | {"archive_mode": "off", "fsync": "off", "synchronous_commit": "off", "autovacuum": "off"}


def at_least(control: str) -> dict[str, str]:
    """What pg_controldata says that the primary had, or the usual where that is more."""
    found = dict(_CONTROL.findall(control))
    return {name: str(max(int(found.get(called, "0")), usual)) for called, (name, usual) in _CALLED.items()}


def reached(said: str) -> datetime | None:
    """The moment of the last change that was recovered, as the log tells it."""
    found = _LAST.findall(said)
    return datetime.fromisoformat(found[-1]).replace(tzinfo=UTC) if found else None


def why(said: str, target: Target) -> BackupError:
    """What made a recovery end, from the server's log."""
    reason = next(
        (line for line in _FATAL.findall(said) if not _ASKED.search(line)),
        (said.strip().splitlines() or ["it says nothing"])[-1],
    )
    last = reached(said)
    shown = f" (the last change in it is of {last:%Y-%m-%d %H:%M:%S} UTC)" if last else ""
    if "recovery ended before configured recovery target was reached" in reason:
        return Incomplete(f"What is saved ends before {target}{shown}. Take an earlier moment, or the end.")
    if "before consistent recovery point" in reason:
        return NoSet(f"This set was made after {target}. Take an older set.")
    if "is not a child of this server's history" in reason:
        return Incomplete(f"This set is of a timeline that was left: {reason}. Take another set.")
    return BackupError(f"PostgreSQL cannot recover to {target}: {reason}. Take another set or moment.")


def _wait(
    process: subprocess.Popen[bytes], socket: Path, log: Path, target: Target, seconds: float, *, pause: bool
) -> None:
    """Until it can be asked. Raises BackupError."""
    state = "pg_is_in_recovery()"
    if pause:  # at the end of all there is nothing to wait at, so it is promoted
        state = "pg_is_in_recovery() AND pg_get_wal_replay_pause_state() <> 'paused'"
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise why(_text(log), target)
        with contextlib.suppress(postgres.DatabaseAway):
            if postgres.ask(f"SELECT to_json({state})", socket=str(socket), seconds=5) is False:
                return
        time.sleep(0.2)
    last = (_text(log).strip().splitlines() or ["nothing"])[-1]
    raise BackupError(f"The recovery was not through in {seconds:.0f} s; it said last: {last}")


def _control(programs: Path, data: Path) -> str:
    command = [str(programs / "pg_controldata"), "-D", str(data)]
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _clean(code: int, log: Path) -> None:
    if code != 0:
        last = (_text(log).strip().splitlines() or ["nothing"])[-1]
        raise BackupError(f"The recovered server did not end cleanly ({last}). Run this again.")


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
