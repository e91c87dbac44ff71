"""Numbered migrations, applied once each, in order, by one process at a time.

Our own files lie in ``app/stores/migrations``; the job queue brings its own and is treated the same way. Each
runs in a transaction together with the row that records it.

A release is deployed while the one before it runs, and may be taken back after it has changed the schema.
So a file says in its first line, ``-- needs: STEP``, the newest step that a release has to know in order to
work once this one was made. What only adds needs a step of the past; what takes away needs the one that came
in its place. The line is kept in the database, where older releases read it.

The queue's own rule is that its steps called "pre" come before, those called "post" after all processes run
its new version. So a "post" step waits until every release that runs knows it: until the deploy after the one
that brought it, and whoever deployed that one may still go back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import psycopg
from procrastinate.schema import SchemaManager

from app.errors import AssistantError
from app.stores.database import Connection, Database

# Any number will do, as long as every release takes the same one.
ADVISORY_LOCK = 4_702_111_234
LOCK_SECONDS = 10  # a step that waits longer for a table gives up: whoever comes after it waits as well
NEEDS = re.compile(r"-- needs: (\w+)$")
POST = re.compile(r"queue/\d.*_post_")
# what each release knows that runs at the same time; None: nobody can say
Beside = Collection[Collection[str]] | None
# what a step does wrong, not what happens to the connection
FAILURES = (
    psycopg.ProgrammingError,
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.errors.LockNotAvailable,
)
# the table may be of a time when it had no such column
READ = "SELECT name, to_jsonb(migrations) ->> 'needs' AS needs FROM migrations"


class NewerSchema(AssistantError):
    """The database was made by a newer release: it has the migration {name}."""

    advice = "Run that release, or restore a backup that this one wrote."


class NotBeside(AssistantError):
    """The step {name} of the schema would break a release that still runs and does not know {needs}."""

    advice = "Deploy a release between the two first."


class BrokenStep(AssistantError):
    """The step {name} of the schema failed, and nothing was changed: {why}."""

    advice = "The release needs a correction."


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; ``sql`` may hold several statements, ``needs`` is what a release has to know afterwards.

    Without it none but releases that know this very step can work afterwards.
    """

    name: str
    sql: str
    needs: str | None


async def migrate(database: Database, beside: Beside = ()) -> list[str]:
    """Bring the schema up to date and return the names of the steps that were applied.

    ``beside`` has what each release knows that goes on running meanwhile (its :func:`known`); None when there
    may be others of which nothing is known.

    Raises :class:`NewerSchema` when the database has a step that this release cannot work with,
    :class:`NotBeside` and :class:`BrokenStep` as they say.
    """
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await connection.execute("ALTER TABLE migrations ADD COLUMN IF NOT EXISTS needs text")
        made = {row["name"]: row["needs"] async for row in await connection.execute(READ)}
        return await _apply(connection, made, beside)


async def pending(database: Database, beside: Beside = ()) -> list[str]:
    """Names of the steps that :func:`migrate` would apply; raises as it does."""
    if await database.value("SELECT to_regclass('migrations')") is None:
        return known()
    made = {row["name"]: row["needs"] for row in await database.rows(READ)}
    return [step.name for step in _missing(made, beside)]


def known() -> list[str]:
    """Names of all steps that this release knows."""
    return [step.name for step in _steps()]


async def _apply(connection: Connection, made: Mapping[str, str | None], beside: Beside) -> list[str]:
    missing = _missing(made, beside)
    fresh = _is_fresh(made)
    if missing:
        await connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_SECONDS}s",))
    for step in missing:
        try:
            # The queue's whole schema holds all of its migrations, so a fresh database only records them.
            if not (fresh and step.name.startswith("queue/") and step.name != "queue/schema"):
                # the text is a file of this package or of the queue's, never anybody's input
                await connection.execute(step.sql)
        except FAILURES as error:
            raise BrokenStep(name=step.name, why=str(error).partition("\n")[0]) from error
        await connection.execute(
            "INSERT INTO migrations (name, needs) VALUES (%s, %s)", (step.name, step.needs)
        )
    return [step.name for step in missing]


def _missing(made: Mapping[str, str | None], beside: Beside) -> list[Migration]:
    """The steps that are due and not made yet, none of which hurts a release that runs beside this one."""
    steps = list(_steps())
    ours = {step.name for step in steps}
    for name in sorted(made.keys() - ours):
        if not _is_borne(name, made[name], ours):
            raise NewerSchema(name=name)
    missing = [step for step in steps if step.name not in made and (_is_fresh(made) or _is_due(step, beside))]
    for step in missing:
        if not all(_bears(release, step) for release in beside or ()):
            raise NotBeside(name=step.name, needs=step.needs or step.name)
    return missing


def _is_borne(name: str, needs: str | None, ours: Collection[str]) -> bool:
    """Whether a release that knows ``ours`` works on with a step that it does not know."""
    if not name.startswith("queue/"):
        return needs in ours
    # the queue may drop old steps of its own from a later release
    return not POST.match(name) or name < max(filter(POST.match, ours), default="")


def _is_fresh(made: Mapping[str, str | None]) -> bool:
    """Whether the queue has no tables yet: then its whole schema is made at once."""
    return not any(name.startswith("queue/") for name in made)


def _is_due(step: Migration, beside: Beside) -> bool:
    """Whether a step need not wait until others know it as well."""
    if not POST.match(step.name):
        return True
    return beside is not None and all(step.name in release for release in beside)


def _bears(release: Collection[str], step: Migration) -> bool:
    """Whether a release works on once the step was made."""
    return step.name.startswith("queue/") or (step.needs or step.name) in release


def _steps() -> Iterator[Migration]:
    yield Migration("queue/schema", SchemaManager.get_schema(), None)
    for file in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")):
        yield Migration(f"queue/{file.stem}", file.read_text(encoding="utf-8"), None)
    folder = resources.files("app.stores") / "migrations"
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql")):
        sql = (folder / name).read_text(encoding="utf-8")
        needs = NEEDS.match(sql.partition("\n")[0])
        yield Migration(name.removesuffix(".sql"), sql, needs[1] if needs else None)
