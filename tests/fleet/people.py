"""Who is told of a fleet's alerts: servers on the lab's network that stand for theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.prometheus import firing, wait
from tests.fleet.vault import fleet_secrets, set_fleet_secrets
from tests.lab import network
from tests.support.receivers import HttpReceiver, MailReceiver

# from a fault to its message, from its end to the next: a reading and a look at the rules every 15 s each,
# a rule's own patience, and ten seconds until Alertmanager tells of it; half a minute of an end
SOON = 120.0
# until a fleet that was just mended is at rest
REST = 300.0
# what counts over hours, and so goes on when all is well again
LASTING = {"BudgetBurns"}
TAGS = "secrets,firewall,alertmanager"
PATHS = {"webhook": "hook", "slack": "slack", "switch": "switch"}
Told = tuple[str, str]


@dataclass(frozen=True)
class People:
    """Who is told; ``settings`` are those of site.yml by which they are."""

    http: HttpReceiver
    mail: MailReceiver
    settings: Path

    def told(self, status: str = "firing", **labels: str) -> set[Told]:
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
    with (
        HttpReceiver(gateway) as http,
        MailReceiver(address=gateway) as mail,
        network.let_in(fleet.lab.place.ident, http.port, mail.port),
    ):
        brought = {f"alerts.{name}": f"{http.url}/{path}" for name, path in PATHS.items()}
        set_fleet_secrets(fleet, {**fleet_secrets(fleet), **brought, "alerts.pagerduty": "a-key"})
        settings = tmp_path_factory.mktemp("receivers") / "settings.json"
        settings.write_text(json.dumps(_ways(http, mail)))
        try:
            fleet.play("site", "--tags", TAGS, "-e", f"@{settings}")
            yield People(http, mail, settings)
        finally:
            fleet.play("site", "--tags", TAGS)


@pytest.fixture
def people(fleet: Fleet, receivers: People) -> People:
    """They have heard nothing yet, and there is nothing to tell."""
    wait(lambda: firing(fleet) - LASTING == {"Watchdog"}, REST)
    receivers.http.told.clear()
    receivers.mail.mails.clear()
    return receivers


def arrived(heard: Callable[[], set[Told]], since: Mapping[Told, float]) -> dict[Told, float]:
    """Seconds after which each was heard of, counted from its moment on ``time.monotonic()``'s clock.

    Fails when one is not within ``SOON``, with the names of all that are missing.
    """
    found: dict[Told, float] = {}
    while True:
        names, now = heard(), time.monotonic()
        found |= {one: now - since[one] for one in since.keys() & names - found.keys()}
        missing = since.keys() - found.keys()
        if not missing:
            return found
        late = sorted(one for one in missing if now - since[one] > SOON)
        assert not late, f"{late} not heard of within {SOON:.0f} s, but {sorted(names)}"
        time.sleep(1)


def _ways(http: HttpReceiver, mail: MailReceiver) -> dict[str, Any]:
    """Settings of an operator who wants them all."""
    return {
        **{f"alertmanager_{name}": http.url for name in PATHS},
        "alertmanager_pagerduty": f"{http.url}/pagerduty",
        "alertmanager_mail_to": ["you@example.com"],
        "alertmanager_mail_from": "fleet@example.com",
        "alertmanager_mail_server": f"{mail.address}:{mail.port}",
        "alertmanager_mail_encrypted": False,
    }
