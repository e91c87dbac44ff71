"""A new release under load, and nobody notices; a bad one, and nobody notices either."""

from __future__ import annotations

import json

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.releases import Releases, not_taken, refused, running
from tests.fleet.used import unnoticed

SECONDS = 900
LEDGER = "/var/log/knowledge-assistant/audit.jsonl"
SERVERS = {"chroma1": "chroma.service", "objects1": "objects.service"}


def pids(fleet: Fleet) -> list[str]:
    """Of the servers that run from the closure, but not from the application."""
    show = "systemctl show --property MainPID --value"
    return [fleet.output(host, f"{show} {unit}") for host, unit in SERVERS.items()]


def test_a_release_of_the_application_is_deployed_and_taken_back_under_load_and_nobody_notices(
    fleet: Fleet, releases: Releases, pair: tuple[str, str]
) -> None:
    old, new = pair
    before = pids(fleet)
    with unnoticed(fleet):
        deployed = fleet.play("deploy", *releases.options(new))
        assert running(fleet) == {releases.path(new)}
        taken_back = fleet.play("rollback")
    assert running(fleet) == {releases.path(old)}
    assert pids(fleet) == before
    assert "to undo it: ansible-playbook playbooks/rollback.yml" in deployed.output
    assert releases.path(old) in taken_back.output
    lines = [json.loads(line) for line in fleet.output("chroma1", f"tail -n 2 {LEDGER}").splitlines()]
    assert [(line["verb"], line["outcome"]) for line in lines] == [("deploy", "done"), ("rollback", "done")]
    assert "a" in fleet.output("chroma1", f"lsattr {LEDGER}").split()[0]
    assert "marked as bad" in refused(fleet, "deploy", *releases.options(new))
    assert running(fleet) == {releases.path(old)}


@pytest.mark.parametrize(
    ("name", "word"),
    [("dead", "does not start"), ("wrong", "is answered wrongly"), ("strange", "signature")],
)
@pytest.mark.usefixtures("pair")
def test_a_bad_release_is_not_taken_and_nobody_notices(
    fleet: Fleet, releases: Releases, name: str, word: str
) -> None:
    assert word in not_taken(fleet, releases, name)
