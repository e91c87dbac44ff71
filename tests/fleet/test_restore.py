"""What was lost comes back: the database, a table, a document, files; nothing newer is overwritten."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.lost import BUSY, LATEST, harm, lose_database, note
from tests.fleet.prometheus import query, wait
from tests.fleet.saved import (
    WATCHER,
    back_up,
    confirmed,
    good,
    holds_document,
    log_saved,
    moment,
    restored,
    sql,
)
from tests.fleet.trial import READY
from tests.fleet.used import used
from tests.fleet.verdicts import failing
from tests.load import api
from tests.load.ledger import Entry
from tests.load.workload import Workload

SECONDS = 1800
WHOLE = 180.0
DOCUMENTS = 500
BEFORE = 75.0  # seconds of writes before the loss: more than may be missing
SWEPT = 120.0  # until the file of a deleted document is gone
DRILL = 1200.0
OVERWRITE = ("-e", "restore_overwrite=yes")
PID = "head -n 1 /data/postgres/17/postmaster.pid"


@pytest.fixture(scope="module", autouse=True)
def made(fleet: Fleet) -> str:
    """Id of a set that is older than all that the tests do."""
    fleet.wait_whole(WHOLE)
    return str(back_up(fleet)["id"])


@pytest.fixture(autouse=True)
def at_rest(fleet: Fleet) -> Iterator[None]:
    """Before and after each test nothing is wrong."""
    fleet.wait_whole(WHOLE)
    yield
    fleet.wait_whole(WHOLE)


@pytest.fixture
def brought(fleet: Fleet) -> Iterator[Workload]:
    """Twenty documents that are ready; they go at the end."""
    with used(fleet, {}) as (workload, _):
        yield workload


def starts(fleet: Fleet) -> dict[str, str]:
    """Which PostgreSQL runs on each host."""
    return {name: fleet.output(name, PID) for name in fleet.hosts("postgres")}


def answered(fleet: Fleet, workload: Workload, entry: Entry) -> bool:
    """Whether a document's question is answered from it, with a citation."""
    response = fleet.loop.run(api.ask(fleet.client, workload.ledger.knowledge_base, entry.fact.question))
    if response.status != 200:
        return False
    name, data = api.last_event(response)
    return name == "done" and entry.fact.answered_by(data["text"], data["citations"])


def file_of(fleet: Fleet, sha256: str) -> str:
    """Where a raw document lies; empty for nowhere."""
    return fleet.output(fleet.hosts("objects")[0], f"find /data/objects -type f -name {sha256}")


def test_with_all_disks_of_the_database_lost_at_most_a_minute_of_acknowledged_writes_is_missing(
    fleet: Fleet,
) -> None:
    loss = lose_database(fleet, BUSY, BEFORE, documents=DOCUMENTS)
    note("database", loss.record())
    assert loss.acknowledged > DOCUMENTS
    assert not [age for age in loss.ages if age > LATEST], loss.record()
    assert not loss.later, loss.record()
    assert not harm(loss.audit), loss.record()
    back_up(fleet)  # what is there now has a set of its own


def test_a_dropped_table_is_back_as_it_was_the_second_before(fleet: Fleet, brought: Workload) -> None:
    target = moment(fleet)
    time.sleep(1)
    sql(fleet, fleet.member("leader"), "DROP TABLE chunks CASCADE")
    log_saved(fleet, 2 * LATEST)
    played = restored(fleet, "-e", f"restore_time={target}", *OVERWRITE)
    note("table", {"answers": round(played.seconds, 1)})
    fleet.wait_whole(WHOLE)
    audit = fleet.loop.run(brought.ledger.audit(fleet.client, patience=READY))
    assert audit.clean, audit


def test_a_document_that_was_deleted_comes_back_with_its_citations(fleet: Fleet, brought: Workload) -> None:
    entry = brought.ledger.entries[0]
    wait(lambda: holds_document(fleet, entry.sha256), 2 * LATEST, "the document to be saved")
    target = moment(fleet)
    deleted = fleet.loop.run(fleet.client.request("DELETE", f"/api/v1/documents/{entry.id}"))
    assert deleted.status == 204
    log_saved(fleet, 2 * LATEST)
    wait(lambda: not file_of(fleet, entry.sha256), SWEPT, "the file to be removed")
    assert not answered(fleet, brought, entry)
    which = {
        "return_knowledge_base": brought.ledger.knowledge_base,
        "return_document": entry.fact.name,
        "return_time": target,
    }
    played = fleet.play("return", "-e", json.dumps(which))
    note("document", {"answers": round(played.seconds, 1)})
    assert answered(fleet, brought, entry)
    there = fleet.loop.run(api.documents(fleet.client, brought.ledger.knowledge_base))
    assert sorted(one["name"] for one in there) == sorted(one.fact.name for one in brought.ledger.entries)


def test_files_that_are_missing_are_put_back_and_no_other_is_touched(fleet: Fleet, brought: Workload) -> None:
    entries = brought.ledger.entries
    wait(lambda: holds_document(fleet, entries[-1].sha256), 2 * LATEST, "the documents to be saved")
    store, kept = fleet.hosts("objects")[0], entries[-1]
    look = f"stat -c '%i %Y' {file_of(fleet, kept.sha256)}"
    before, running = fleet.output(store, look), starts(fleet)
    for entry in entries[: len(entries) // 2]:
        fleet.output(store, f"rm {file_of(fleet, entry.sha256)}")
    played = restored(fleet, "-e", "restore_only=documents")
    note("files", {"answers": round(played.seconds, 1)})
    assert fleet.output(store, look) == before
    assert starts(fleet) == running
    audit = fleet.loop.run(brought.ledger.audit(fleet.client, patience=READY))
    assert audit.clean, audit


def test_newer_data_is_not_overwritten_without_an_explicit_word(fleet: Fleet) -> None:
    target = moment(fleet)
    with used(fleet, {}) as (newer, _):
        log_saved(fleet, 2 * LATEST)
        running = starts(fleet)
        said = failing(fleet, "restore", *confirmed(fleet), "-e", f"restore_time={target}")
        assert "restore_overwrite=yes" in said
        assert starts(fleet) == running
        audit = fleet.loop.run(newer.ledger.audit(fleet.client, patience=READY))
        assert audit.clean, audit


def test_another_fleets_name_restores_nothing(fleet: Fleet) -> None:
    running = starts(fleet)
    said = failing(fleet, "restore", "-e", "restore_confirm=another", *OVERWRITE)
    assert fleet.lab.place.name in said
    assert starts(fleet) == running


def test_a_set_that_is_not_there_restores_nothing(fleet: Fleet) -> None:
    running = starts(fleet)
    said = failing(fleet, "restore", *confirmed(fleet), "-e", "restore_set=20010101T000000Z", *OVERWRITE)
    assert "20010101T000000Z" in said
    assert starts(fleet) == running


def test_check_mode_says_what_would_be_restored_and_changes_nothing(fleet: Fleet, brought: Workload) -> None:
    newest, running = good(fleet), starts(fleet)
    members = fleet.members()
    said = restored(fleet, "--check", *OVERWRITE).output
    assert newest in said
    assert starts(fleet) == running
    assert fleet.members() == members
    assert not fleet.trouble()
    audit = fleet.loop.run(brought.ledger.audit(fleet.client, patience=READY))
    assert audit.clean, audit


def test_the_drill_passes_leaves_nothing_and_its_figures_are_read(fleet: Fleet) -> None:
    begun, running = time.time(), starts(fleet)
    fill = "ls -A /data; systemctl list-units --no-legend --plain '*drill*.service' --state=active"
    before = fleet.output(WATCHER, fill)
    with used(fleet, BUSY):
        fleet.play("drill", timeout=DRILL)
    assert fleet.output(WATCHER, fill) == before
    assert starts(fleet) == running
    result = json.loads(fleet.output(WATCHER, "cat /var/lib/ka-drill/result.json"))
    note("drill", result)
    wait(lambda: query(fleet, "ka_drill_timestamp_seconds").get((), 0) > begun, what="the drill's figures")
    assert query(fleet, "ka_drill_passed") == {(): 1.0}
    # by a marker that is written once a minute, so up to a minute more than what would have been lost
    assert query(fleet, "ka_drill_rpo_seconds")[()] <= 2 * LATEST
    until = query(fleet, "ka_drill_rto_seconds", "until")
    assert 0 < until[("database",)] <= until[("answers",)]


def test_a_name_that_was_never_there_does_not_come_back(fleet: Fleet) -> None:
    name = f"never-{secrets.token_hex(4)}.txt"
    which = {"return_knowledge_base": "default", "return_document": name, "return_time": moment(fleet)}
    log_saved(fleet, 2 * LATEST)
    assert name in failing(fleet, "return", "-e", json.dumps(which))
