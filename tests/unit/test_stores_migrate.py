"""Which steps of the schema are due, by what the database has and what others know."""

from __future__ import annotations

import pytest

from app.stores import migrate as steps
from app.stores.migrate import Migration, NewerSchema

PRE, POST = "queue/90.00.00_01_pre_change", "queue/90.00.00_50_post_change"
OLD = [step for step in steps._steps() if not step.name.startswith("queue/9")]
NEW = [*OLD, Migration(PRE, "", None), Migration(POST, "", None)]
MADE: dict[str, str | None] = {step.name: step.needs for step in OLD}


def names(release: list[Migration]) -> list[str]:
    return [step.name for step in release]


def runs(monkeypatch: pytest.MonkeyPatch, release: list[Migration]) -> None:
    monkeypatch.setattr(steps, "_steps", lambda: iter(release))


def due(made: dict[str, str | None], beside: steps.Beside) -> list[str]:
    return [step.name for step in steps._missing(made, beside)]


def test_a_post_step_of_the_queue_waits_for_the_deploy_after_the_one_that_brought_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs(monkeypatch, NEW)
    assert due(MADE, [names(OLD)]) == [PRE]
    assert due({**MADE, PRE: None}, [names(OLD), names(NEW)]) == []
    assert due({**MADE, PRE: None}, [names(NEW)]) == [POST]


def test_until_then_the_release_before_can_be_gone_back_to_and_not_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs(monkeypatch, OLD)
    assert due({**MADE, PRE: None}, ()) == []
    with pytest.raises(NewerSchema, match="post_change"):
        due({**MADE, PRE: None, POST: None}, ())


def test_a_service_that_does_not_know_who_else_runs_leaves_it_and_one_that_is_alone_makes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs(monkeypatch, NEW)
    assert due(MADE, None) == [PRE]
    assert due(MADE, ()) == [PRE, POST]


def test_a_fresh_database_gets_all_of_the_queue_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, NEW)
    assert due({}, None) == names(NEW)


def test_old_steps_that_the_queue_has_dropped_are_no_newer_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, NEW)
    made = {**MADE, PRE: None, POST: None, "queue/00.00.01_50_post_of_the_past": None}
    assert due(made, None) == []
