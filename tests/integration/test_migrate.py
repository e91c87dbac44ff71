"""Steps of the schema, and releases that know more or less of them, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.stores import migrate as steps
from app.stores.database import Database
from app.stores.migrate import BrokenStep, Migration, NewerSchema, NotBeside, known, migrate, pending

OURS = list(steps._steps())
LAST = known()[-1]
ADDS = Migration("0090_adds", "CREATE TABLE added (id bigint)", LAST)
TAKES = Migration("0091_takes", "DROP TABLE added", "0090_adds")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, size=2)
    await database.open()
    await migrate(database)
    yield database
    await database.close()


def knows(monkeypatch: pytest.MonkeyPatch, *more: Migration) -> None:
    """From now on this is a release that knows these steps as well."""
    ours = [*OURS, *more]
    monkeypatch.setattr(steps, "_steps", lambda: iter(ours))


async def test_a_release_works_on_with_a_step_that_only_adds(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = known()
    knows(monkeypatch, ADDS)
    assert await pending(database, [before]) == ["0090_adds"]
    assert await migrate(database, [before]) == ["0090_adds"]
    knows(monkeypatch)
    assert await pending(database) == []
    assert await migrate(database) == []


async def test_what_takes_away_waits_until_no_release_needs_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest = known()
    knows(monkeypatch, ADDS)
    between = known()
    knows(monkeypatch, ADDS, TAKES)
    with pytest.raises(NotBeside, match="0091_takes"):
        await migrate(database, [between, oldest])
    assert await database.value("SELECT to_regclass('added')") is None
    assert await migrate(database, [between]) == ["0090_adds", "0091_takes"]
    knows(monkeypatch, ADDS)
    assert await pending(database) == []


async def test_a_release_refuses_a_schema_that_it_cannot_work_with(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, ADDS, TAKES)
    await migrate(database)
    knows(monkeypatch)
    for question in (pending, migrate):
        with pytest.raises(NewerSchema, match="0091_takes"):
            await question(database)


async def test_a_step_that_says_nothing_needs_itself(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = known()
    knows(monkeypatch, Migration("0090_silent", "SELECT 1", None))
    with pytest.raises(NotBeside, match="0090_silent"):
        await pending(database, [before])


async def test_a_step_that_fails_changes_nothing_and_is_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, ADDS, Migration("0091_broken", "ALTER TABLE nowhere ADD COLUMN a text", "0090_adds"))
    with pytest.raises(BrokenStep, match="0091_broken"):
        await migrate(database)
    assert await database.value("SELECT to_regclass('added')") is None
    knows(monkeypatch)
    assert await migrate(database) == []


async def test_a_step_gives_up_when_it_would_make_everybody_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LOCK_SECONDS", 1)
    knows(monkeypatch, Migration("0090_waits", "ALTER TABLE documents ADD COLUMN a text", LAST))
    async with database.transaction() as reader:
        await reader.execute("SELECT 1 FROM documents")
        with pytest.raises(BrokenStep, match="0090_waits"):
            await migrate(database)


def test_each_new_step_says_what_a_release_has_to_know_afterwards() -> None:
    own = [step for step in OURS if not step.name.startswith("queue/")]
    for step in own[4:]:
        assert step.needs in {one.name for one in own}, step.name
        assert step.needs <= step.name
