"""The plan for disasters, followed by its own words: a class of loss each, on a fleet that goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.lost import LATEST, harm, lose_disks, note
from tests.fleet.prometheus import wait
from tests.fleet.saved import (
    FOLDER,
    KEEPER,
    WATCHER,
    back_up,
    escrow,
    good,
    holds_document,
    log_saved,
    moment,
    passphrase,
    restored,
    sets,
)
from tests.fleet.trial import READY
from tests.fleet.used import used
from tests.load import api
from tests.load.workload import Workload

SECONDS = 1800
WHOLE = 300.0
SITE = 900.0


@pytest.fixture(scope="module", autouse=True)
def made(fleet: Fleet) -> None:
    """There is a set that is older than all that the tests do."""
    fleet.wait_whole(WHOLE)
    back_up(fleet)


@pytest.fixture
def brought(fleet: Fleet) -> Iterator[Workload]:
    """Twenty documents, ready and saved; they go at the end."""
    fleet.wait_whole(WHOLE)
    with used(fleet, {}) as (workload, _):
        newest = workload.ledger.entries[-1]
        wait(lambda: holds_document(fleet, newest.sha256), 2 * LATEST, "the documents to be saved")
        yield workload
    fleet.wait_whole(WHOLE)


def all_there(fleet: Fleet, workload: Workload) -> None:
    """Every document is whole and answers, with a citation."""
    audit = fleet.loop.run(workload.ledger.audit(fleet.client, patience=READY))
    assert not harm(audit)
    assert not audit.lost


def replaced(fleet: Fleet, *names: str) -> None:
    """New hosts with new disks, made ready as the plan says."""
    lose_disks(fleet, *names)
    fleet.lab.replace(*names)
    fleet.play("site", "--limit", ",".join(names), timeout=SITE)


def test_a_knowledge_base_that_was_deleted(fleet: Fleet, brought: Workload) -> None:
    target, name = moment(fleet), brought.ledger.knowledge_base
    deleted = fleet.loop.run(fleet.client.request("DELETE", f"{api.ROOT}/{name}"))
    assert deleted.status == 204
    log_saved(fleet, 2 * LATEST)
    which = {"return_knowledge_base": name, "return_time": target}
    played = fleet.play("return", "-e", json.dumps(which), timeout=900)
    note("knowledge base", {"answers": round(played.seconds, 1)})
    there = fleet.loop.run(api.documents(fleet.client, name))
    assert {one["sha256"]: one["state"] for one in there} == {
        entry.sha256: "ready" for entry in brought.ledger.entries
    }
    for entry in brought.ledger.entries:
        response = fleet.loop.run(api.ask(fleet.client, name, entry.fact.question))
        _, data = api.last_event(response)
        assert entry.fact.answered_by(data["text"], data["citations"])


def test_what_is_in_files_of_documents(fleet: Fleet, brought: Workload) -> None:
    entry, store = brought.ledger.entries[0], fleet.hosts("objects")[0]
    place = fleet.output(store, f"find /data/objects -type f -name {entry.sha256}")
    fleet.output(store, f"printf x | dd of={place} bs=1 seek=4 conv=notrunc status=none")
    restored(fleet, "-e", "restore_only=documents", "-e", "restore_hashed=yes")
    all_there(fleet, brought)


def test_the_disk_of_the_objects_host(fleet: Fleet, brought: Workload) -> None:
    replaced(fleet, *fleet.hosts("objects"))
    played = restored(fleet, "-e", "restore_only=documents")
    note("disk of objects", {"answers": round(played.seconds, 1)})
    all_there(fleet, brought)
    assert back_up(fleet)["id"] == good(fleet)


def test_a_disk_of_one_database_server(fleet: Fleet, brought: Workload) -> None:
    replaced(fleet, fleet.member("sync_standby"))
    fleet.wait_whole(WHOLE)
    all_there(fleet, brought)


def test_the_disk_of_the_monitoring_host(fleet: Fleet, brought: Workload) -> None:
    replaced(fleet, WATCHER)
    all_there(fleet, brought)
    assert good(fleet)


def test_the_disk_of_the_backup_host(fleet: Fleet, brought: Workload) -> None:
    replaced(fleet, KEEPER)
    assert sets(fleet) == []
    made = back_up(fleet)
    wait(lambda: made["id"] == good(fleet), 2 * LATEST, "a good set in the new repository")
    log_saved(fleet, 2 * LATEST)
    all_there(fleet, brought)


def test_the_passphrase_of_the_escrow(fleet: Fleet) -> None:
    passphrase(fleet).unlink()  # the next that is asked for is another
    fleet.play("backup", *escrow(fleet), "-e", "escrow_replace=yes")
    look = f"restic -r {FOLDER}/escrow --no-lock --no-cache dump latest /escrow.tar | tar -t"
    assert "fleet/ca.crt" in fleet.output(KEEPER, f"echo {passphrase(fleet).read_text().strip()} | {look}")
