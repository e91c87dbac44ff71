"""Errors that begin with a release are told as that."""

from __future__ import annotations

from tests.fleet.fleet import Fleet
from tests.fleet.people import People, people, receivers
from tests.fleet.releases import Releases, forget
from tests.fleet.telling import told_until_mended
from tests.fleet.troubles import AFTER_DEPLOY

__all__ = ["people", "receivers"]
SECONDS = 900


def test_errors_after_a_deploy_are_told_as_such_and_as_nothing_else(fleet: Fleet, people: People) -> None:
    releases = Releases()
    forget(fleet)
    # the firewall is as these have made it
    ways = ("-e", f"@{people.settings}")
    fleet.play("deploy", *releases.options("good"), "-e", "rollout_watch=0", *ways)
    try:
        told_until_mended(fleet, people, AFTER_DEPLOY)
    finally:
        fleet.play("rollback", *ways)
        forget(fleet)
