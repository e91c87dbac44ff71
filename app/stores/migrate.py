"""Numbered migrations, applied once each, in order, by one process at a time.

Our own files lie in ``app/stores/migrations``; the job queue brings its own and is treated the same way. Each
runs in a transaction together with the row that records it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from procrastinate.schema import SchemaManager

from app.errors import AssistantError
from app.stores.database import Connection, Database

# Any number will do, as long as every release takes the same one.
ADVISORY_LOCK = 4_702_111_234


class NewerSchema(AssistantError):
    """The database was made by a newer release: it has the migration {name}."""

    advice = "Run that release, or restore a backup that this one wrote."


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; ``sql`` may hold several statements."""

    name: str
    sql: str


async def migrate(database: Database) -> list[str]:
    """Bring the schema up to date and return the names of the steps that were applied.

    Raises :class:`NewerSchema` when the database knows a step that this release does not.
    """
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        known = {row["name"] async for row in await connection.execute("SELECT name FROM migrations")}
        return await _apply(connection, known)


async def pending(database: Database) -> list[str]:
    """Names of the steps that :func:`migrate` would apply; raises :class:`NewerSchema` as it does."""
    if await database.value("SELECT to_regclass('migrations')") is None:
        return [step.name for step in _steps()]
    known = {row["name"] for row in await database.rows("SELECT name FROM migrations")}
    _refuse_newer(known)
    return [step.name for step in _steps() if step.name not in known]


async def _apply(connection: Connection, known: set[str]) -> list[str]:
    _refuse_newer(known)
    fresh = not any(name.startswith("queue/") for name in known)
    applied = []
    for step in _steps():
        if step.name in known:
            continue
        # The queue's whole schema holds all of its migrations, so a fresh database only records them.
        if not (fresh and step.name.startswith("queue/") and step.name != "queue/schema"):
            # the text is a file of this package or of the queue's, never anybody's input
            await connection.execute(step.sql)
        await connection.execute("INSERT INTO migrations (name) VALUES (%s)", (step.name,))
        applied.append(step.name)
    return applied


def _refuse_newer(known: set[str]) -> None:
    ours = {step.name for step in _steps()}
    # the queue may drop old migrations of its own from a later release
    if newer := sorted(name for name in known - ours if not name.startswith("queue/")):
        raise NewerSchema(name=newer[-1])


def _steps() -> Iterator[Migration]:
    yield Migration("queue/schema", SchemaManager.get_schema())
    for file in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")):
        yield Migration(f"queue/{file.stem}", file.read_text(encoding="utf-8"))
    folder = resources.files("app.stores") / "migrations"
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql")):
        yield Migration(name.removesuffix(".sql"), (folder / name).read_text(encoding="utf-8"))
