"""Alerts of a fleet reach people: servers on the lab's network that stand for theirs, and real faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fleet.faults import FAULTS
from tests.fleet.fleet import Fleet
from tests.fleet.prometheus import firing, query, wait
from tests.fleet.vault import fleet_secrets, set_fleet_secrets
from tests.support.receivers import HttpReceiver, MailReceiver

SECONDS = 900
# from a fault to its message, and from its end to the next
SOON = 120.0
# until a fleet that was just mended is at rest
REST = 300.0
# a message a minute, on a machine that is busy with ten hosts
SWITCH = 150.0
PATHS = {"webhook": "hook", "slack": "slack", "switch": "switch"}
# that a silence lasts after the work, and somewhat more
GRACE = 90.0
TAGS = "secrets,firewall,alertmanager"
SILENCES = "amtool silence query --output json"


@dataclass(frozen=True)
class People:
    """Who is told."""

    http: HttpReceiver
    mail: MailReceiver

    def told(self, status: str = "firing", **labels: str) -> set[tuple[str, str]]:
        """Name and host of every alert with these labels that came by the webhook."""
        return {
            (one["labels"]["alertname"], one["labels"].get("host", ""))
            for body in self.http.at("/hook")
            for one in body["alerts"]
            if one["status"] == status and labels.items() <= one["labels"].items()
        }

    def subjects(self) -> set[str]:
        """Those of all mail."""
        return {str(mail["subject"]).partition(" (")[0] for mail in self.mail.mails}


@pytest.fixture(scope="module")
def receivers(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """Every way is set; none at the end."""
    gateway = str(fleet.lab.record().gateway)
    with HttpReceiver(gateway) as http, MailReceiver(address=gateway) as mail:
        brought = {f"alerts.{name}": f"{http.url}/{path}" for name, path in PATHS.items()}
        set_fleet_secrets(fleet, {**fleet_secrets(fleet), **brought, "alerts.pagerduty": "a-key"})
        settings = tmp_path_factory.mktemp("receivers") / "settings.json"
        settings.write_text(json.dumps(ways(http, mail)))
        fleet.play("site", "--tags", TAGS, "-e", f"@{settings}")
        try:
            again = fleet.play("site", "--tags", TAGS, "-e", f"@{settings}")
            assert set(again.changed.values()) == {0}
            yield People(http, mail)
        finally:
            fleet.play("site", "--tags", TAGS)


def ways(http: HttpReceiver, mail: MailReceiver) -> dict[str, Any]:
    """Settings of an operator who wants them all."""
    return {
        **{f"alertmanager_{name}": http.url for name in PATHS},
        "alertmanager_pagerduty": f"{http.url}/pagerduty",
        "alertmanager_mail_to": ["you@example.com"],
        "alertmanager_mail_from": "fleet@example.com",
        "alertmanager_mail_server": f"{mail.address}:{mail.port}",
        "alertmanager_mail_encrypted": False,
    }


@pytest.fixture
def people(fleet: Fleet, receivers: People) -> People:
    """They have heard nothing yet, and there is nothing to tell."""
    wait(lambda: firing(fleet) == {"Watchdog"}, REST)
    receivers.http.told.clear()
    receivers.mail.mails.clear()
    return receivers


def test_a_fault_reaches_people_by_every_way_and_so_does_its_end(fleet: Fleet, people: People) -> None:
    fleet.output("chroma1", "systemctl stop chroma")
    try:
        wait(lambda: ("ChromaDown", "chroma1") in people.told(), SOON)
        wait(lambda: "PAGE: ChromaDown on chroma1" in people.subjects())
        wait(lambda: bool(people.http.at("/slack") and people.http.at("/pagerduty")))
        assert people.told(severity="page") == {("ChromaDown", "chroma1")}
    finally:
        fleet.output("chroma1", "systemctl start chroma")
    wait(lambda: ("ChromaDown", "chroma1") in people.told("resolved"), SOON)
    wait(lambda: "OVER: ChromaDown on chroma1" in people.subjects())


def test_a_dead_host_is_told_once_and_nothing_of_what_ran_on_it(fleet: Fleet, people: People) -> None:
    blow = FAULTS["api"].aim(fleet)
    try:
        blow.strike()
        wait(lambda: ("HostDown", "api1") in people.told(), SOON)
        assert people.told(host="api1") == people.told(severity="page") == {("HostDown", "api1")}
    finally:
        blow.mend()
    wait(lambda: ("HostDown", "api1") in people.told("resolved"), SOON)


def test_people_hear_by_mail_that_another_way_does_not_work(fleet: Fleet, people: People) -> None:
    people.http.refusing = True
    fleet.output("objects1", "systemctl stop objects")
    try:
        wait(lambda: "PAGE: ObjectsDown on objects1" in people.subjects(), SOON)
        wait(lambda: "PAGE: AlertsNotDelivered on monitoring1" in people.subjects(), SOON)
    finally:
        people.http.refusing = False
        fleet.output("objects1", "systemctl start objects")
    wait(lambda: "OVER: AlertsNotDelivered on monitoring1" in people.subjects(), SOON)


def test_the_switch_hears_again_and_again(people: People) -> None:
    wait(lambda: len(people.http.at("/switch")) > 1, SWITCH)


def test_planned_work_is_not_told_and_leaves_no_silence(fleet: Fleet, people: People) -> None:
    fleet.play("switchover")
    wait(lambda: json.loads(fleet.output("monitoring1", SILENCES)) == [], GRACE)
    fleet.wait_whole(REST)
    assert people.told(severity="page") == set()


def test_questions_asked_from_outside_are_right(fleet: Fleet) -> None:
    wanted = {("page",): 1.0, ("ready",): 1.0, ("question",): 1.0}
    wait(lambda: query(fleet, "probe_success", "check") == wanted)
