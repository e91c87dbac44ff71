"""A deploy tells nobody a secret; the search that says so finds one that was put there."""

from __future__ import annotations

import secrets

from tests.fleet.fleet import Fleet
from tests.fleet.releases import DRAINED, Releases, begun, log_of, wait_for_file
from tests.fleet.search import KNOWN, finds
from tests.fleet.vault import fleet_secrets

SECONDS = 900


def test_a_deploy_and_a_rollback_tell_no_secret(
    fleet: Fleet, releases: Releases, pair: tuple[str, str]
) -> None:
    """Neither to who reads their output, nor in journals, records, the store or lists of processes."""
    known = list(fleet_secrets(fleet).values())
    control = f"control-{secrets.token_hex(16)}"
    fleet.output("chroma1", f"logger {control}; echo {control} > /etc/control; journalctl --sync")
    try:
        with begun(fleet, "deploy", "-vvv", *releases.options(pair[1])) as process:
            wait_for_file(fleet, "api1", f"{DRAINED}/rollout", 120)
            found = finds(fleet, [*known, control])
            assert process.wait(400) == 0
        assert found == KNOWN | {"chroma1": ["/etc/control", *_journal_files(found), "journal"]}
        assert finds(fleet, known) == KNOWN
    finally:
        fleet.output("chroma1", "rm -f /etc/control")
    told = log_of(fleet, "deploy") + fleet.play("rollback", "-vvv").output
    assert "invocation" in told
    assert not [value for value in known if value in told]


def _journal_files(found: dict[str, list[str]]) -> list[str]:
    """The journal's own files, in which the control stands too."""
    return [place for place in found["chroma1"] if place.startswith("/var/log/journal/")]
