"""Faults that are caused, told of, mended, and told to be over; how long that took is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack

from tests.fleet.fleet import FOLDER, Fleet
from tests.fleet.people import REST, People, Told, arrived
from tests.fleet.prometheus import wait
from tests.fleet.troubles import Together
from tests.fleet.used import used
from tests.support.rules import ALERTS

# one line for each alert: seconds from the fault to people, and from its end
RESULTS = FOLDER / "alerts.jsonl"
PAGES = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == "page"}


def note(what: str, came: Mapping[Told, float], went: Mapping[Told, float]) -> None:
    """Write the seconds down."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        for alert, host in came:
            seconds = {"came": round(came[alert, host]), "went": round(went[alert, host])}
            file.write(json.dumps({"what": what, "alert": alert, "host": host, **seconds}) + "\n")


def told_until_mended(fleet: Fleet, people: People, together: Together) -> None:
    """Cause the faults, hear of each, mend them, hear of that, and of nothing else that wakes people."""
    fleet.wait_whole(REST)
    struck: dict[Told, float] = {}
    mended: dict[Told, float] = {}

    def over(told: Told) -> None:
        mended[told] = time.monotonic()

    with used(fleet, together.rates) as (workload, _):
        aimed = [one.aim(fleet) for one in together.troubles]
        with ExitStack() as mending:
            for told, blow in aimed:
                mending.callback(over, told)
                mending.callback(blow.mend)
                blow.strike()
                struck[told] = time.monotonic()
            came = arrived(people.told, struck)
        if together.rates:
            # an index that was mended has to be made again, after up to a minute
            wait(lambda: not fleet.loop.run(workload.lacks()), REST)
            mended = dict.fromkeys(mended, time.monotonic())
        went = arrived(lambda: people.told("resolved"), mended)
    note(str(together), came, went)
    assert people.told(severity="page") == {told for told in struck if told[0] in PAGES}
