"""A new release under load, and nobody notices; a bad one, and nobody notices either."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.releases import MEMORY, Releases, forget, refused, running
from tests.fleet.test_balancer import visits
from tests.load.generator import Generator
from tests.load.outcome import Outcomes
from tests.load.workload import USUAL, Workload

SECONDS = 900
LEDGER = "/var/log/knowledge-assistant/audit.jsonl"
SERVERS = {"chroma1": "chroma.service", "objects1": "objects.service"}


@pytest.fixture(scope="module")
def releases(fleet: Fleet) -> Iterator[Releases]:
    """What can be deployed; whoever comes after this module finds the image's release again."""
    made = Releases()
    yield made
    to_base(fleet, made)


@pytest.fixture(autouse=True)
def from_base(fleet: Fleet, releases: Releases) -> Iterator[None]:
    """Each test begins with the image's release everywhere, and nothing remembered."""
    to_base(fleet, releases)
    yield
    forget(fleet)


def to_base(fleet: Fleet, releases: Releases) -> None:
    """The image's release on every host."""
    forget(fleet)
    if running(fleet) != {releases.path("base")}:
        fleet.play("deploy", *releases.options("base"), "-e", "rollout_watch=0")


@contextmanager
def load(fleet: Fleet) -> Iterator[Generator]:
    """Questions, uploads, streams and writes; every request is counted, and every write found again."""
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare())
    with fleet.loop.load(workload.acts(USUAL)) as generator:
        yield generator
    fleet.loop.run(workload.ledger.settle(fleet.client))
    audit = fleet.loop.run(workload.ledger.audit(fleet.client, patience=120))
    fleet.loop.run(workload.ledger.clear(fleet.client))
    assert audit.clean, audit
    outcomes = Outcomes(generator.outcomes)
    assert outcomes.share_ok() == 1, outcomes.troubles()


def pids(fleet: Fleet) -> list[str]:
    """Of the servers that run from the closure, but not from the application."""
    show = "systemctl show --property MainPID --value"
    return [fleet.output(host, f"{show} {unit}") for host, unit in SERVERS.items()]


def test_a_release_of_the_application_is_deployed_and_taken_back_under_load_and_nobody_notices(
    fleet: Fleet, releases: Releases
) -> None:
    before = pids(fleet)
    with load(fleet):
        deployed = fleet.play("deploy", *releases.options("good"))
        assert running(fleet) == {releases.path("good")}
        taken_back = fleet.play("rollback")
    assert running(fleet) == {releases.path("base")}
    assert pids(fleet) == before
    assert "to undo it: ansible-playbook playbooks/rollback.yml" in deployed.output
    assert releases.path("base") in taken_back.output
    lines = [json.loads(line) for line in fleet.output("chroma1", f"tail -n 2 {LEDGER}").splitlines()]
    assert [(line["verb"], line["outcome"]) for line in lines] == [("deploy", "done"), ("rollback", "done")]
    assert "a" in fleet.output("chroma1", f"lsattr {LEDGER}").split()[0]
    word = refused(fleet, "deploy", *releases.options("good"))
    assert "marked as bad" in word
    assert running(fleet) == {releases.path("base")}
    fleet.play("deploy", *releases.options("good"), "-e", "rollout_marked_bad=true", "-e", "rollout_watch=0")
    assert running(fleet) == {releases.path("good")}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("dead", "does not start"),
        ("wrong", "is answered wrongly"),
        ("slow", "is slow"),
        ("broken", "9001_broken"),
        ("taking", "9001_takes"),
        ("strange", "signature"),
    ],
)
def test_a_bad_release_is_not_taken_and_nobody_notices(
    fleet: Fleet, releases: Releases, name: str, word: str
) -> None:
    with visits(fleet, 50) as found:
        reason = refused(fleet, "deploy", *releases.options(name))
    assert word in reason
    assert running(fleet) == {releases.path("base")}
    outcomes = Outcomes(found.outcomes)
    assert outcomes.share_ok() == 1, outcomes.troubles()


def test_a_release_is_good_only_among_the_others(fleet: Fleet, releases: Releases) -> None:
    """The first host is out alone; the second one keeps the old release when the first is not good."""
    with visits(fleet, 20):
        refused(fleet, "deploy", *releases.options("wrong"))
    fleet.play("deploy", *releases.options("better"), "-e", "rollout_watch=5")
    assert running(fleet) == {releases.path("better")}
    assert not fleet.output("api1", f"ls {MEMORY}/bad 2> /dev/null || :")
