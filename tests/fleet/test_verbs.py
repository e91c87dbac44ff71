"""verify.yml, switchover.yml and destroy.yml on a running fleet: what they find, do and leave alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.fleet.fleet import Fleet
from tests.fleet.verdicts import failing

SECONDS = 600
HEALED = 120


def test_verify_names_everything_that_is_broken_at_once(fleet: Fleet, tmp_path: Path) -> None:
    report = tmp_path / "health.json"
    lost = fleet.member("replica")
    limits = ("-e", "health_days=1000", "-e", "health_free_percent=101", "-e", "health_free_gib=100000")
    fleet.output("api1", "systemd-run -q --unit=intruder python3 -m http.server 4444")
    fleet.lab.kill(lost)
    try:
        said = failing(fleet, "verify", "-e", f"health_report={report}", *limits)
    finally:
        fleet.lab.start(lost)
        fleet.output("api1", "systemctl stop intruder")
    fleet.wait_whole(HEALED)
    assert f"{lost} cannot be reached" in said
    assert "api1: python3 listens on tcp port 4444 of 0.0.0.0, which ports.yml does not name." in said
    assert "balancer1: the certificate at /etc/knowledge-assistant/tls/host.crt holds" in said
    assert re.search(r"chroma1: /data has [\d.]+ GiB, \d+ % free; less than 100000 GiB and 101 %.", said)
    found = json.loads(report.read_text())
    assert any(lost in problem for problem in found["problems"])
    assert found["hosts"]["api2"]["api"]["database"] == "ok"


def test_switchover_says_where_to_and_how_long_nothing_was_written(fleet: Fleet) -> None:
    fleet.wait_whole(HEALED)
    before, standby = fleet.member("leader"), fleet.member("sync_standby")
    planned = fleet.play("switchover", "--check")
    assert f"It would go from {before} to {standby}" in " ".join(planned.output.split())
    assert fleet.member("leader") == before
    said = " ".join(fleet.play("switchover").output.split())
    assert re.search(rf"From {before} to {standby}; nothing could be written for [\d.]+ s", said), said
    assert fleet.member("leader") == standby
    assert not fleet.trouble()


def test_switchover_refuses_a_server_that_might_lack_a_write(fleet: Fleet) -> None:
    fleet.wait_whole(HEALED)
    before = fleet.members()
    replica = fleet.member("replica")
    said = failing(fleet, "switchover", "-e", f"postgres_to={replica}")
    assert f"{replica} is not synchronous now, and might lack a write; nothing was changed." in said
    assert fleet.members() == before


def test_a_wrong_name_destroys_nothing(fleet: Fleet) -> None:
    fleet.wait_whole(HEALED)
    said = failing(fleet, "destroy", "-e", "fleet_destroy=another")
    assert f"This fleet is called {fleet.lab.place.name}, not “another”. Nothing was touched." in said
    assert not any(fleet.play("verify").changed.values())


def test_check_mode_of_destroy_says_what_would_be_lost_and_touches_nothing(fleet: Fleet) -> None:
    fleet.wait_whole(HEALED)
    said = fleet.play("destroy", "--check").output
    for lost in ("patroni.service stopped", "chroma1-data) wiped", "/etc/knowledge-assistant/tls removed"):
        assert lost in said
    assert not any(fleet.play("verify").changed.values())
