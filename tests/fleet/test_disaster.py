"""All is lost but the repository and what people know: one command, and questions are answered rightly."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ansible.running import removable
from tests.fleet.fleet import Fleet, running_fleet
from tests.fleet.lost import BUSY, LATEST, harm, judged, lose_disks, missing, note
from tests.fleet.saved import KEEPER, back_up, good, passphrase
from tests.fleet.trial import READY
from tests.fleet.vault import fleet_secrets, key_file
from tests.fleet.verdicts import failing
from tests.lab.fixtures import temporary_lab
from tests.load.workload import Workload

SECONDS = 3600
WHOLE = 300.0
BEFORE = 75.0
DOCUMENTS = 100
COMMAND = 2400.0


@pytest.fixture(scope="module")
def fleet(machine_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet of its own, with a set."""
    home = tmp_path_factory.mktemp("operator")
    try:
        with temporary_lab(["full"]) as lab, running_fleet(lab, home) as found:
            found.play("site", timeout=SECONDS)
            found.wait_whole(WHOLE)
            back_up(found)
            yield found
    finally:
        removable(home)


@pytest.fixture
def elsewhere(fleet: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    """The same hosts, and an operator whose home is empty."""
    with running_fleet(fleet.lab, tmp_path) as found:
        yield found
    removable(tmp_path)


def options(fleet: Fleet, file: Path) -> tuple[str, ...]:
    """What disaster.yml is told."""
    return ("-e", f"disaster_confirm={fleet.lab.place.name}", "-e", f"escrow_passphrase_file={file}")


def starts(fleet: Fleet) -> dict[str, str]:
    """Which PostgreSQL runs on each host."""
    pid = "head -n 1 /data/postgres/17/postmaster.pid"
    return {name: fleet.output(name, pid) for name in fleet.hosts("postgres")}


def test_a_wrong_passphrase_opens_nothing_and_touches_no_host(
    fleet: Fleet, elsewhere: Fleet, tmp_path: Path
) -> None:
    running, wrong = starts(fleet), tmp_path / "wrong"
    wrong.write_text("wrong\n")
    said = failing(elsewhere, "disaster", *options(fleet, wrong), "-e", "restore_overwrite=yes")
    assert "does not open the escrow" in said
    assert "Traceback" not in said
    assert not elsewhere.ca.exists()
    assert not key_file(elsewhere).exists()
    assert starts(fleet) == running


def test_another_fleets_authority_on_the_controller_is_not_overwritten(
    fleet: Fleet, elsewhere: Fleet
) -> None:
    running = starts(fleet)
    elsewhere.ca.parent.mkdir(parents=True)
    elsewhere.ca.write_text("another\n")
    said = failing(elsewhere, "disaster", *options(fleet, passphrase(fleet)), "-e", "restore_overwrite=yes")
    assert "another authority" in said
    assert elsewhere.ca.read_text() == "another\n"
    assert starts(fleet) == running


def test_a_lost_controller_is_replaced_while_the_fleet_serves(fleet: Fleet, elsewhere: Fleet) -> None:
    running = starts(fleet)
    played = elsewhere.play(
        "disaster", *options(fleet, passphrase(fleet)), "-e", "disaster_only=controller", timeout=COMMAND
    )
    note("controller", {"answers": round(played.seconds, 1)})
    assert elsewhere.ca.read_bytes() == fleet.ca.read_bytes()
    assert fleet_secrets(elsewhere) == fleet_secrets(fleet)
    assert starts(fleet) == running
    elsewhere.play("verify")


def test_from_the_repository_and_the_passphrase_one_command_leads_to_right_answers_on_new_hosts(
    fleet: Fleet, elsewhere: Fleet, tmp_path: Path
) -> None:
    fleet.wait_whole(WHOLE)
    file = tmp_path / "known-to-people"
    shutil.copy(passphrase(fleet), file)
    known, names = fleet_secrets(fleet), fleet.names
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare(DOCUMENTS, patience=READY + DOCUMENTS))
    with fleet.loop.load(workload.acts(BUSY)):
        time.sleep(BEFORE)
        lose_disks(fleet, *(name for name in names if name != KEEPER))
        lost = time.monotonic()
    fleet.lab.replace(*names)  # the backup host, too: its disk alone is left

    played = elsewhere.play("disaster", *options(fleet, file), timeout=COMMAND)
    elsewhere.wait_whole(WHOLE)
    audit = judged(elsewhere, workload.ledger)
    ages, later = missing(workload.ledger, audit, lost)
    found = {"seconds": round(played.seconds, 1), "missing": len(ages), "oldest": max(ages, default=0.0)}
    note("disaster", found)
    assert not [age for age in ages if age > LATEST], found
    assert not later
    assert not harm(audit)
    assert fleet_secrets(elsewhere) == known
    elsewhere.play("verify")
    assert back_up(elsewhere)["id"] == good(elsewhere)
