"""Console pages of a fleet that is broken."""

from __future__ import annotations

from tests.fleet.fleet import Fleet
from tests.fleet.pages import page
from tests.fleet.prometheus import firing, query, wait

SECONDS = 300
SOON = 120.0


def test_the_page_says_what_is_wrong_and_what_to_do_until_it_is_mended(fleet: Fleet) -> None:
    fleet.output("chroma1", "systemctl stop chroma")
    try:
        wait(lambda: "ChromaDown" in firing(fleet), SOON)
        told = page(fleet, "index.html", "lab-fault")
        assert "needs somebody now" in told or "need somebody now" in told
        assert "Chroma on chroma1 does not answer" in told
        assert "Something on it needs somebody now." in page(
            fleet, "host.html?host=chroma1", "lab-fault-chroma1"
        )
        runbook = fleet.output(
            "monitoring1", "curl -sSf http://127.0.0.1:9090/consoles/runbooks/ChromaDown.md"
        )
        assert runbook.startswith("# ChromaDown: ")
    finally:
        fleet.output("chroma1", "systemctl start chroma")
    wait(lambda: "ChromaDown" not in firing(fleet), SOON)
    wait(lambda: not query(fleet, 'ALERTS{severity="page"}'), SOON)
