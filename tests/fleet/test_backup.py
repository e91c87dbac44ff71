"""A set is made, found good by another host, and harmed or read by nobody who should not."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator, Mapping

import pytest

from tests.fleet.damage import damaged, flipped, reported
from tests.fleet.fleet import Fleet
from tests.fleet.prometheus import firing, wait
from tests.fleet.saved import (
    FOLDER,
    KEEPER,
    SAVED,
    WATCHER,
    back_up,
    escrow,
    figure,
    good,
    holds_document,
    log_saved,
    packs,
    passphrase,
    restic,
    settings,
    snapshots,
    sql,
    whole,
)
from tests.fleet.search import finds
from tests.fleet.used import used
from tests.fleet.vault import fleet_secrets
from tests.load.workload import USUAL

SECONDS = 1200
WHOLE = 180.0
TOLD = 120.0  # until people are
REFUSED = {"401", "403", "404", "405"}
ROWS = ("documents", "pages", "chunks", "knowledge_bases")
KNOCK = (
    "curl -sS -o /dev/null -w '%{{http_code}}' --max-time 20 --cacert {ca} --cert {certificate} -X {method}"
    " {options} {url}/{path}"
)
WRONG_PASSWORD = 12


@pytest.fixture(autouse=True)
def at_rest(fleet: Fleet) -> Iterator[None]:
    """Before and after each test nothing is wrong."""
    fleet.wait_whole(WHOLE)
    yield
    fleet.wait_whole(WHOLE)


def knock(fleet: Fleet, host: str, method: str, path: str, options: str = "") -> str:
    """Status with which the repository's host answers this one; 000 for no answer."""
    known = settings(fleet, host)
    url = str(known["url"]).removeprefix("rest:").rstrip("/")
    script = KNOCK.format(
        ca=known["ca"], certificate=known["certificate"], method=method, options=options, url=url, path=path
    )
    return fleet.lab.run(host, script).stdout.strip()[-3:]


def read_by(fleet: Fleet, place: str, host: str, values: list[str]) -> list[str]:
    """Files below a folder in which one of the values stands, as it is or in base64."""
    coded = [base64.b64encode(value.encode()).decode().rstrip("=") for value in values]
    wanted = base64.b64encode("\n".join([*values, *coded]).encode()).decode()
    look = f"echo {wanted} | base64 -d > /run/pattern; grep -rlaFf /run/pattern {place}; rm /run/pattern"
    return fleet.output(host, look, timeout=300).split()


def test_a_standby_makes_a_set_and_another_host_finds_it_good(fleet: Fleet) -> None:
    running = {name: fleet.member(name) for name in ("leader", "sync_standby")}
    counts = {name: int(sql(fleet, running["leader"], f"SELECT count(*) FROM {name}")) for name in ROWS}
    standbys = sorted(set(fleet.hosts("postgres")) - {running["leader"]})
    made = back_up(fleet)
    assert made["host"] == standbys[0]
    assert made["rows"] == counts
    held = {one["id"] for one in snapshots(fleet, made["base"]["repository"], "base")}
    assert made["base"]["snapshot"] in held
    assert made["base"]["bytes"] > 0
    assert made["id"] == good(fleet)
    assert whole(fleet, made)
    assert figure(fleet, WATCHER, "ka_backup_set_good", id=made["id"]) == 1
    assert {name: fleet.member(name) for name in running} == running


def test_backup_in_check_mode_saves_nothing(fleet: Fleet) -> None:
    before = {host: len(snapshots(fleet, host, "base")) for host in fleet.hosts("postgres")}
    fleet.play("backup", "--check", *escrow(fleet))
    assert {host: len(snapshots(fleet, host, "base")) for host in before} == before


@pytest.mark.parametrize("rates", [{}, USUAL], ids=["idle", "busy"])
def test_a_write_is_in_the_repository_within_a_minute(fleet: Fleet, rates: Mapping[str, float]) -> None:
    with used(fleet, rates):
        for _ in range(3):  # at any moment of what comes in rounds
            assert log_saved(fleet) <= SAVED
            time.sleep(secrets.randbelow(10))


def test_a_document_is_in_the_repository_within_a_minute(fleet: Fleet) -> None:
    with used(fleet, {}) as (workload, _):
        newest = workload.ledger.entries[-1]
        wait(lambda: holds_document(fleet, newest.sha256), newest.at + SAVED - time.monotonic())


def test_a_host_reads_no_other_hosts_repository_and_removes_and_replaces_nothing(fleet: Fleet) -> None:
    host, other = fleet.hosts("objects")[0], fleet.member("leader")
    log_saved(fleet)
    mine, theirs = (
        snapshots(fleet, name, tag)[-1]["id"] for name, tag in ((host, "objects"), (other, "wal"))
    )
    assert knock(fleet, host, "GET", f"{host}/config") == "200"
    assert knock(fleet, other, "GET", f"{other}/snapshots/{theirs}") == "200"
    for path in (f"{other}/config", f"{other}/snapshots/{theirs}", f"{other}/data/", "escrow/config"):
        assert knock(fleet, host, "GET", path) in REFUSED, path
    for path in (f"{host}/snapshots/{mine}", f"{host}/config", f"{other}/snapshots/{theirs}"):
        assert knock(fleet, host, "DELETE", path) in REFUSED, path
    body = "--data-binary nothing"
    for path in (
        f"{host}/snapshots/{mine}",
        f"{host}/config",
        f"{other}/data/{64 * '0'}",
        f"{other}/?create=true",
    ):
        assert knock(fleet, host, "POST", path, body) in REFUSED, path
    # a way round by how a path is written
    for path in (f"{host}/../{other}/config", f"{host}/%2e%2e/{other}/config", f"/{other}/config"):
        assert knock(fleet, host, "GET", path, "--path-as-is") not in {"200", "000"}, path
    for one, name in ((host, mine), (other, theirs)):
        assert fleet.output(KEEPER, f"sha256sum < {FOLDER}/{one}/snapshots/{name}").split()[0] == name


def test_who_watches_reads_every_repository_and_writes_to_none(fleet: Fleet) -> None:
    for name in (*fleet.hosts("postgres")[:1], *fleet.hosts("objects")):
        assert knock(fleet, WATCHER, "GET", f"{name}/config") == "200"
        body = "--data-binary nothing"
        assert knock(fleet, WATCHER, "POST", f"{name}/data/{64 * '0'}", body) in REFUSED
        assert knock(fleet, WATCHER, "DELETE", f"{name}/config") in REFUSED


def test_without_a_certificate_nobody_is_answered(fleet: Fleet) -> None:
    host = fleet.hosts("objects")[0]
    known = settings(fleet, host)
    url = str(known["url"]).removeprefix("rest:").rstrip("/")
    ask = f"curl -sS -o /dev/null --max-time 20 --cacert {known['ca']} {url}/{host}/config"
    assert fleet.lab.run(host, ask).returncode != 0
    # beside the gate: the server itself answers its own host alone
    assert fleet.lab.run(host, f"curl -sS --max-time 5 http://{KEEPER}:18000/").returncode != 0


def test_nothing_that_is_saved_can_be_read_without_a_password(fleet: Fleet) -> None:
    back_up(fleet)
    phrase, known = passphrase(fleet).read_text().strip(), fleet_secrets(fleet)
    with used(fleet, {}) as (workload, _):
        entry = workload.ledger.entries[-1]
        wait(lambda: holds_document(fleet, entry.sha256), 2 * SAVED)
        values = [*known.values(), phrase, entry.fact.code]
        assert read_by(fleet, "/data/objects", fleet.hosts("objects")[0], values) != []
        assert read_by(fleet, FOLDER, KEEPER, values) == []
    assert finds(fleet, [phrase]) == {}


def test_the_escrow_opens_with_the_passphrase_alone(fleet: Fleet) -> None:
    back_up(fleet)
    look = f"restic -r {FOLDER}/escrow --no-lock --no-cache dump latest /escrow.tar"
    opened = fleet.output(KEEPER, f"echo {passphrase(fleet).read_text().strip()} | {look} | tar -t")
    for name in ("secrets.yml", "ca.crt", "inventory"):
        assert name in opened
    for wrong in ("wrong", fleet_secrets(fleet)["backup.password"]):
        done = fleet.lab.run(KEEPER, f"echo {wrong} | {look}")
        assert done.returncode == WRONG_PASSWORD, done
        assert not done.stdout


def test_a_flipped_byte_is_found_named_and_told_of_until_it_is_mended(fleet: Fleet) -> None:
    store = fleet.hosts("objects")[0]
    pack = packs(fleet, store)[0]
    with damaged(fleet, store, [pack], flipped):
        assert pack[:8] in reported(fleet, store)
        wait(lambda: "RepositoryDamaged" in firing(fleet), TOLD, "the alert")
    assert not reported(fleet, store)
    wait(lambda: "RepositoryDamaged" not in firing(fleet), TOLD, "the alert's end")
    assert "no errors" in restic(fleet, store, "check", "--read-data", timeout=300)
