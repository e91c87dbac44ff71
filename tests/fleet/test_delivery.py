"""Alerts of a fleet reach people: by every way, once, by another when one is broken, not for planned work."""

from __future__ import annotations

import json

from tests.fleet.faults import FAULTS
from tests.fleet.fleet import Fleet
from tests.fleet.people import REST, SOON, TAGS, People, people, receivers
from tests.fleet.prometheus import query, wait

__all__ = ["people", "receivers"]
SECONDS = 900
# a message a minute, on a machine that is busy with ten hosts
SWITCH = 150.0
# that a silence lasts after the work, and somewhat more
GRACE = 90.0
SILENCES = "amtool silence query --output json"


def test_ways_to_people_are_set_by_one_run_of_site(fleet: Fleet, receivers: People) -> None:
    again = fleet.play("site", "--tags", TAGS, "-e", f"@{receivers.settings}")
    assert set(again.changed.values()) == {0}


def test_a_fault_reaches_people_by_every_way_and_so_does_its_end(fleet: Fleet, people: People) -> None:
    fleet.output("chroma1", "systemctl stop chroma")
    try:
        wait(lambda: ("ChromaDown", "chroma1") in people.told(), SOON)
        wait(lambda: "PAGE: ChromaDown on chroma1" in people.subjects())
        wait(lambda: bool(people.http.at("/slack") and people.http.at("/pagerduty")))
    finally:
        fleet.output("chroma1", "systemctl start chroma")
    wait(lambda: ("ChromaDown", "chroma1") in people.told("resolved"), SOON)
    wait(lambda: "OVER: ChromaDown on chroma1" in people.subjects())
    assert people.told(severity="page") == {("ChromaDown", "chroma1")}


def test_a_dead_host_is_told_once_and_nothing_of_what_ran_on_it(fleet: Fleet, people: People) -> None:
    blow = FAULTS["api"].aim(fleet)
    try:
        blow.strike()
        wait(lambda: ("HostDown", "api1") in people.told(), SOON)
        assert people.told(host="api1") == {("HostDown", "api1")}
    finally:
        blow.mend()
    wait(lambda: ("HostDown", "api1") in people.told("resolved"), SOON)
    assert people.told(severity="page") == {("HostDown", "api1")}


def test_people_hear_by_mail_that_another_way_does_not_work(fleet: Fleet, people: People) -> None:
    people.http.refusing = True
    fleet.output("objects1", "systemctl stop objects")
    try:
        # from the first message on that nobody took
        wait(lambda: people.http.refused > 0, SOON)
        wait(lambda: "PAGE: AlertsNotDelivered on monitoring1" in people.subjects(), SOON)
        wait(lambda: "PAGE: ObjectsDown on objects1" in people.subjects(), SOON)
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
