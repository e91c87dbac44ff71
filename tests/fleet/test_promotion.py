"""What has passed one fleet goes to another, and nothing else; what hosts keep of old releases."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.running import removable, results
from tests.fleet.fleet import Fleet
from tests.fleet.releases import Releases, refused, running
from tests.fleet.test_deploy import LEDGER

pytestmark = pytest.mark.usefixtures("from_base")
SECONDS = 900
AT_ONCE = ("-e", "rollout_watch=0")
FAIL = "systemd-run --quiet --unit=wrong false; until systemctl is-failed --quiet wrong; do sleep 0.1; done"


def last_line(fleet: Fleet) -> dict[str, Any]:
    """Of the record of changes on a host that is no API host."""
    found: dict[str, Any] = json.loads(fleet.output("objects1", f"tail -n 1 {LEDGER}"))
    return found


def kept(fleet: Fleet, host: str) -> set[str]:
    """The releases that a host can go back to or runs."""
    return set(fleet.output(host, "readlink -f /nix/var/nix/profiles/ka-*-link").split())


def wanting(key: str, fleet: Fleet) -> list[str]:
    """Options by which a deploy wants what has passed this fleet."""
    return ["-e", json.dumps({"promotion_keys": {fleet.lab.place.name: key}})]


def test_production_takes_what_passed_staging_and_nothing_else_unless_somebody_answers_for_it(
    fleet: Fleet, releases: Releases
) -> None:
    """One fleet is both here: what was recorded in it is wanted of it."""
    fleet.play("deploy", *releases.options("good"), *AT_ONCE)
    told = " ".join(fleet.play("promote").output.split())
    assert f"{releases.path('good')} has passed {fleet.lab.place.name}" in told
    key = re.search(r"promotion_keys: \{\S+: ([A-Za-z0-9+/]{43}=)\}", told)
    assert key
    wants = wanting(key[1], fleet)
    assert f"{releases.path('better')} has not passed" in refused(
        fleet, "deploy", *releases.options("better"), *wants
    )
    assert running(fleet) == {releases.path("good")}
    override = ["-e", json.dumps({"promotion_override": "the fire of Monday"})]
    fleet.play("deploy", *releases.options("better"), *AT_ONCE, *wants, *override)
    assert last_line(fleet)["override"] == "the fire of Monday"
    fleet.play("deploy", *releases.options("good"), *AT_ONCE, *wants)
    assert (last_line(fleet)["override"], last_line(fleet)["passed"]) == ("", [fleet.lab.place.name])


def test_a_release_that_was_built_anew_is_not_the_one_that_passed(
    fleet: Fleet, releases: Releases, tmp_path: Path
) -> None:
    """A signed line names other files than those that the hosts have got."""
    said = {"release": releases.path("good"), "fleet": fleet.lab.place.name, "contents": "0" * 64}
    line = {**said, "key": str(tmp_path / "key"), "facts": [], "note": "", "state": "recorded"}
    record = tmp_path / "passed.jsonl"
    public = results(tmp_path, {"promotion": {**line, "record": str(record)}})[0]["public"]
    removable(tmp_path)
    wants = [*wanting(public, fleet), "-e", f"promotion_record={record}"]
    reason = refused(fleet, "deploy", *releases.options("good"), *wants)
    assert "it was built anew" in reason
    assert running(fleet) == {releases.path("base")}


def test_a_fleet_in_which_something_is_wrong_is_not_changed(fleet: Fleet, releases: Releases) -> None:
    fleet.output("objects1", FAIL)
    try:
        assert "wrong.service has failed" in refused(fleet, "deploy", *releases.options("good"))
        assert running(fleet) == {releases.path("base")}
        fleet.play("deploy", *releases.options("good"), *AT_ONCE, "-e", "rollout_unhealthy=true")
        assert last_line(fleet)["unhealthy"] is True
    finally:
        fleet.output("objects1", "systemctl reset-failed wrong.service || :")


def test_old_releases_go_after_a_deploy_and_the_one_before_stays(fleet: Fleet, releases: Releases) -> None:
    fleet.play("deploy", *releases.options("good"), *AT_ONCE)
    fleet.play("deploy", *releases.options("better"), *AT_ONCE, "-e", "rollout_keep=1")
    for host in ("api1", "chroma1", "monitoring1"):
        assert kept(fleet, host) == {releases.path("good"), releases.path("better")}
        fleet.output(host, f"test ! -e {releases.path('base')}")
    fleet.play("rollback")
    assert running(fleet) == {releases.path("good")}
