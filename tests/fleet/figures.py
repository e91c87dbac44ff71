"""How long the fleet takes for what one does with it; each in seconds."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Mapping

from tests.fleet.fleet import Fleet, bring_up, running_fleet
from tests.lab import creation
from tests.lab.errors import LabError
from tests.load import api
from tests.load.http import Broken
from tests.load.workload import Workload

BOOT = 120.0


def site() -> dict[str, float]:
    """site.yml on ten fresh hosts, and once more. Makes a lab of its own, and clears it away."""
    lab, home = bring_up(f"site-{secrets.token_hex(3)}")
    try:
        with running_fleet(lab, home) as fleet:
            fresh, second = fleet.play("site"), fleet.play("site")
        if any(second.changed.values()):
            raise LabError(f"The second run changed something: {second.changed}")
        return {"site-fresh": fresh.seconds, "site-second": second.seconds}
    finally:
        creation.down(lab.place, wipe=True, grace=0)
        shutil.rmtree(home, ignore_errors=True)


def api_boot(fleet: Fleet) -> dict[str, float]:
    """From switching on the only API host that is left until the first right answer."""
    workload = Workload(fleet.client, secrets.token_hex(4))
    fleet.loop.run(workload.prepare(1))
    fact = workload.ledger.entries[0].fact
    fleet.lab.stop("api1", "api2")
    begun = time.monotonic()
    fleet.lab.start("api1")
    try:
        while not fleet.loop.run(_answers(fleet, workload)):
            if time.monotonic() - begun > BOOT:
                raise LabError(f"'{fact.question}' was not answered within {BOOT:.0f} s of the start.")
            time.sleep(0.05)
        return {"api-boot": time.monotonic() - begun}
    finally:
        fleet.lab.start("api2")
        fleet.loop.run(workload.ledger.clear(fleet.client))


async def _answers(fleet: Fleet, workload: Workload) -> bool:
    fact = workload.ledger.entries[0].fact
    try:
        response = await api.ask(fleet.client, workload.ledger.knowledge_base, fact.question)
        name, data = api.last_event(response)
    except Broken:
        return False
    return name == "done" and fact.answered_by(data["text"], data["citations"])


TITLES: Mapping[str, str] = {
    "site-fresh": "site.yml on 10 fresh hosts",
    "site-second": "site.yml again, nothing changed",
    "api-boot": "boot of a stopped API host until its first right answer",
}
ALONE: Mapping[str, Callable[[], dict[str, float]]] = {"site": site}
ON_A_FLEET: Mapping[str, Callable[[Fleet], dict[str, float]]] = {"boot": api_boot}
