"""Backups in trouble: none succeeds in silence, no older set is harmed, and the primary serves on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import pytest

from tests.fleet.damage import Harm, damaged, removed, reported, truncated
from tests.fleet.fleet import Fleet
from tests.fleet.prometheus import firing, query, wait
from tests.fleet.releases import Releases, begun, log_of, running
from tests.fleet.saved import (
    KEEPER,
    SAVED,
    Record,
    back_up,
    escrow,
    figure,
    good,
    holds_document,
    holds_log,
    log_saved,
    packs,
    restored,
    sets,
    sql,
    whole,
    written,
)
from tests.fleet.trial import READY
from tests.fleet.used import unnoticed, used
from tests.fleet.verdicts import failing
from tests.lab.errors import LabError
from tests.load import api
from tests.load.facts import Fact
from tests.load.ledger import Entry, Ledger

SECONDS = 1800
WHOLE = 180.0
TOLD = 180.0  # until a program's figures say what has happened
AWAY = 120.0  # longer than a minute, so that what is saved has to wait
ENDED = 300.0  # until a backup without its repository gives up
DRILL = 1200.0
WANTED = "/data/postgres/spool/wanted"
CREDENTIAL = "/etc/credstore.encrypted/ka.backup.password"
KEPT = "/root/kept-password"
EXPIRED = ("--tags", "pki", "-e", "pki_renew=true")
OVERWRITE = ("-e", "restore_overwrite=yes")
ROOM = 2 * 2**20  # bytes of a spool that is soon full
WRITE = """
SELECT pg_logical_emit_message(true, 'fleet-test',
  (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 40000)));
SELECT pg_switch_wal();
"""
# a base backup that is in the middle until somebody lets it go on
HOLD = """
systemctl start --no-block backup-base.service
for _ in $(seq 1500); do pkill -STOP -x pg_basebackup && exit; sleep 0.02; done
systemctl status --no-pager backup-base.service; exit 1
"""
LET_GO = "pkill -CONT -x pg_basebackup || true"


@pytest.fixture(autouse=True)
def older(fleet: Fleet) -> Iterator[Record]:
    """A good set of before the test; afterwards it is as it was, and a new one is good, too."""
    fleet.wait_whole(WHOLE)
    newest = good(fleet)
    before = next((one for one in sets(fleet) if one["id"] == newest), None) or back_up(fleet)
    yield before
    fleet.wait_whole(WHOLE)
    unharmed(fleet, before)
    made = back_up(fleet)
    assert good(fleet) == made["id"]
    unharmed(fleet, made)


def unharmed(fleet: Fleet, one: Record) -> None:
    """A set is there, and all of its base backup can be read."""
    assert one in sets(fleet)
    assert whole(fleet, one)


def says(fleet: Fleet, host: str, what: str, failed: bool) -> None:
    """Wait until a host's figures say that saving this fails, or does not."""
    wanted = 1.0 if failed else 0.0
    wait(lambda: figure(fleet, host, "ka_backup_failed", what=what) == wanted, TOLD, f"{what}: {wanted:.0f}")


def base_maker(fleet: Fleet) -> str:
    """The standby that makes the base backup: the first by name."""
    return min(member.name for member in fleet.members() if member.role != "leader")


def result(fleet: Fleet, host: str, unit: str) -> str:
    """How a unit's last run ended, once it has."""
    state = f"systemctl show -P ActiveState {unit}"
    wait(lambda: fleet.output(host, state) in {"inactive", "failed"}, ENDED, f"the end of {unit}")
    return fleet.output(host, f"systemctl show -P Result {unit}")


def since(fleet: Fleet, host: str, unit: str, begun: str) -> str:
    """What a unit has said since a moment of ``date +%s``."""
    return fleet.output(host, f"journalctl -o cat --no-pager -u {unit} --since=@{begun}")


def one_more(fleet: Fleet, ledger: Ledger) -> Entry:
    """Upload a document."""
    fact = Fact(f"one-{secrets.token_hex(4)}")
    sent = fleet.loop.run(api.upload(fleet.client, ledger.knowledge_base, fact))
    assert sent.status == 202, sent
    ledger.acknowledged(fact, sent.json()["document"])
    return ledger.entries[-1]


def file_of(fleet: Fleet, entry: Entry) -> str:
    """Where a raw document lies."""
    return fleet.output(fleet.hosts("objects")[0], f"find /data/objects -type f -name {entry.sha256}")


def test_while_the_repository_is_away_nothing_stops_and_all_is_saved_when_it_is_back(fleet: Fleet) -> None:
    leader = fleet.member("leader")
    with unnoticed(fleet):
        fleet.lab.cut(KEEPER)
        try:
            time.sleep(AWAY)
            says(fleet, leader, "wal", failed=True)
            host, segment = written(fleet)
            waits = f"ls /data/postgres/spool/*/{segment}.gz"
            wait(lambda: fleet.lab.run(host, waits).returncode == 0, SAVED, "the log in the spool")
        finally:
            fleet.lab.heal(KEEPER)
        wait(lambda: holds_log(fleet, host, segment), TOLD, f"{segment} to be saved")
    says(fleet, leader, "wal", failed=False)
    assert fleet.member("leader") == leader
    assert fleet.lab.run(leader, f"test -e {WANTED}").returncode != 0


def test_a_power_cut_in_the_middle_of_a_base_backup_leaves_no_set(fleet: Fleet, older: Record) -> None:
    maker, before = base_maker(fleet), sets(fleet)
    fleet.output(maker, HOLD)
    fleet.lab.kill(maker)
    fleet.lab.start(maker)
    fleet.wait_whole(WHOLE)
    assert sets(fleet) == before
    unharmed(fleet, older)


def test_a_network_cut_in_the_middle_of_a_base_backup_fails_it(fleet: Fleet) -> None:
    maker, before = base_maker(fleet), sets(fleet)
    fleet.output(maker, HOLD)
    fleet.lab.cut(KEEPER)
    try:
        fleet.output(maker, LET_GO)
        assert result(fleet, maker, "backup-base.service") != "success"
        says(fleet, maker, "base", failed=True)
    finally:
        fleet.output(maker, LET_GO)
        fleet.lab.heal(KEEPER)
    assert sets(fleet) == before


def test_a_dump_that_fails_fails_the_backup(fleet: Fleet) -> None:
    maker, before = base_maker(fleet), sets(fleet)
    fleet.output(maker, HOLD)
    fleet.output(maker, "pkill -KILL -x pg_basebackup")
    assert result(fleet, maker, "backup-base.service") != "success"
    says(fleet, maker, "base", failed=True)
    assert sets(fleet) == before


def test_a_full_spool_stops_no_write_and_is_told_of_and_a_new_base_ends_it(fleet: Fleet) -> None:
    leader = fleet.member("leader")
    fleet.play("site", "--tags", "archive", "-e", f"archive_spool={ROOM}")
    try:
        fleet.lab.cut(KEEPER)
        try:
            with unnoticed(fleet):
                for _ in range(6):
                    sql(fleet, leader, WRITE)
                wait(lambda: fleet.lab.run(leader, f"test -e {WANTED}").returncode == 0, TOLD, WANTED)
            wait(lambda: (figure(fleet, leader, "ka_backup_dropped_total") or 0) > 0, TOLD, "the count")
            wait(lambda: "WalDropped" in firing(fleet), TOLD, "the alert")
        finally:
            fleet.lab.heal(KEEPER)
    finally:
        fleet.play("site", "--tags", "archive")
    back_up(fleet)
    wait(lambda: fleet.lab.run(leader, f"test -e {WANTED}").returncode != 0, TOLD, "nothing to be wanted")


def test_a_wrong_password_is_told_of_and_nothing_is_lost_meanwhile(fleet: Fleet) -> None:
    leader, start = fleet.member("leader"), "systemctl restart backup-wal.service || true"
    began = fleet.output(leader, "date +%s")
    wrong = f"printf wrong | systemd-creds encrypt --name=ka.backup.password - {CREDENTIAL}"
    fleet.output(leader, f"cp -a {CREDENTIAL} {KEPT} && rm {CREDENTIAL} && {wrong} && {start}")
    try:
        host, segment = written(fleet)
        says(fleet, leader, "wal", failed=True)
        assert "password" in since(fleet, leader, "backup-wal", began)
    finally:
        fleet.output(leader, f"mv {KEPT} {CREDENTIAL} && {start}")
    says(fleet, leader, "wal", failed=False)
    wait(lambda: holds_log(fleet, host, segment), TOLD, f"{segment} to be saved")


def test_an_expired_certificate_is_told_of_and_a_new_one_ends_it(fleet: Fleet) -> None:
    store = fleet.hosts("objects")[0]
    began = fleet.output(store, "date +%s")
    with used(fleet, {}) as (workload, _):
        fleet.output(store, "systemctl stop backup-objects.service")
        entry = one_more(fleet, workload.ledger)
        try:
            fleet.play("site", *EXPIRED, "--limit", store, "-e", "pki_days=0.0007")
            time.sleep(70)
            fleet.output(store, "systemctl start backup-objects.service || true")
            says(fleet, store, "objects", failed=True)
            assert "certificate" in since(fleet, store, "backup-objects", began)
            assert not holds_document(fleet, entry.sha256)
        finally:
            fleet.play("site", *EXPIRED, "--limit", store)
            fleet.output(store, "systemctl restart backup-objects.service")
        says(fleet, store, "objects", failed=False)
        wait(lambda: holds_document(fleet, entry.sha256), TOLD, "the document to be saved")


def test_two_backups_at_once_make_good_sets_or_say_why_not(fleet: Fleet) -> None:
    before, told = {str(one["id"]) for one in sets(fleet)}, ""
    with begun(fleet, "backup", *escrow(fleet)) as other:
        try:
            fleet.play("backup", *escrow(fleet))
            mine = 0
        except LabError as error:
            mine, told = 1, str(error)
        theirs = other.wait(ENDED)
    told += log_of(fleet, "backup")
    assert 0 in {mine, theirs}, told
    assert "Traceback" not in told
    new = [one for one in sets(fleet) if one["id"] not in before]
    assert new
    assert good(fleet) == new[-1]["id"]
    for one in new:
        unharmed(fleet, one)


@pytest.mark.parametrize("harm", [truncated, removed])
def test_a_damaged_pack_is_named_and_told_of_until_it_is_mended(fleet: Fleet, harm: Harm) -> None:
    store = fleet.hosts("objects")[0]
    pack = packs(fleet, store)[-1]
    with damaged(fleet, store, [pack], harm):
        assert pack[:8] in reported(fleet, store)
        wait(lambda: "RepositoryDamaged" in firing(fleet), TOLD, "the alert")
    assert not reported(fleet, store)


def test_of_a_damaged_repository_all_that_is_whole_is_restored_and_the_rest_is_named(fleet: Fleet) -> None:
    store = fleet.hosts("objects")[0]
    with used(fleet, {}) as (workload, _):
        first = list(workload.ledger.entries)
        wait(lambda: holds_document(fleet, first[-1].sha256), 2 * SAVED, "the first to be saved")
        held = set(packs(fleet, store))
        last = one_more(fleet, workload.ledger)
        wait(lambda: holds_document(fleet, last.sha256), 2 * SAVED, "the last to be saved")
        later = sorted(set(packs(fleet, store)) - held)
        for entry in (first[0], last):
            fleet.output(store, f"rm {file_of(fleet, entry)}")
        with damaged(fleet, store, later, removed):
            said = failing(fleet, "restore", *OVERWRITE, *_only_documents(fleet))
            assert last.sha256 in said
            assert first[0].sha256 not in said
            assert file_of(fleet, first[0])
            assert not file_of(fleet, last)
        restored(fleet, "-e", "restore_only=documents")
        audit = fleet.loop.run(workload.ledger.audit(fleet.client, patience=READY))
        assert audit.clean, audit


def test_a_drill_without_its_repository_fails_and_says_so(fleet: Fleet) -> None:
    fleet.output(KEEPER, "systemctl stop repository-gate.service")
    try:
        said = failing(fleet, "drill")
        assert "Traceback" not in said
        wait(lambda: query(fleet, "ka_drill_passed") == {(): 0.0}, what="the drill's figures")
        wait(lambda: "DrillFailed" in firing(fleet), TOLD, "the alert")
    finally:
        fleet.output(KEEPER, "systemctl start repository-gate.service")
    fleet.play("drill", timeout=DRILL)
    wait(lambda: query(fleet, "ka_drill_passed") == {(): 1.0}, what="the drill's figures")


def test_a_power_cut_in_the_middle_of_a_restore_harms_no_set_and_the_next_one_succeeds(
    fleet: Fleet, older: Record
) -> None:
    with used(fleet, {}) as (workload, _):
        log_saved(fleet, 2 * SAVED)
        confirmed = ("-e", f"restore_confirm={fleet.lab.place.name}", *OVERWRITE)
        with begun(fleet, "restore", *confirmed) as playing:
            wait(lambda: _recovers(fleet) or playing.poll() is not None, ENDED, "recovery to begin")
            assert playing.poll() is None, log_of(fleet, "restore")
            fleet.lab.kill(*fleet.hosts("postgres"))
        fleet.lab.start(*fleet.hosts("postgres"))
        unharmed(fleet, older)
        restored(fleet, *OVERWRITE)
        fleet.wait_whole(WHOLE)
        audit = fleet.loop.run(workload.ledger.audit(fleet.client, patience=READY))
        assert audit.clean, audit


def test_a_set_of_the_previous_release_is_restored_under_the_present_one(
    fleet: Fleet, releases: Releases, from_base: None
) -> None:
    with used(fleet, {}) as (workload, _):
        log_saved(fleet, 2 * SAVED)
        old = back_up(fleet)
        assert old["release"] in {"", releases.path("base")}
        fleet.play("deploy", *releases.options("good"), "-e", "rollout_watch=0")
        try:
            restored(fleet, "-e", f"restore_set={old['id']}", *OVERWRITE)
            fleet.wait_whole(WHOLE)
            assert running(fleet) == {releases.path("good")}
            leader = fleet.member("leader")
            assert sql(fleet, leader, "SELECT count(remark) FROM documents") == "0"
            audit = fleet.loop.run(workload.ledger.audit(fleet.client, patience=READY))
            assert audit.clean, audit
        finally:
            releases.everywhere(fleet, "base")


def _only_documents(fleet: Fleet) -> tuple[str, ...]:
    return ("-e", f"restore_confirm={fleet.lab.place.name}", "-e", "restore_only=documents")


def _recovers(fleet: Fleet) -> bool:
    """Whether a database server is fetching what it is restored from."""
    look = "pgrep -f '[b]ackup restore-recover' > /dev/null"
    return any(not fleet.lab.run(name, look).returncode for name in fleet.hosts("postgres"))
