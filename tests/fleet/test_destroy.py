"""destroy.yml leaves nothing of a fleet, and its hosts become one again."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fleet.fleet import running_fleet
from tests.lab.fixtures import NewLab
from tests.lab.topology import FLEETS

SECONDS = 900
ALONE = ("-e", json.dumps({"fleet_external": ["monitoring", "backup"]}))
LEFT = (
    "ls -d /etc/knowledge-assistant/tls /etc/credstore.encrypted/ka.* 2> /dev/null; findmnt -n /data || true"
)
DATA = ("chroma1", "postgres1", "objects1")


def test_a_destroyed_fleet_keeps_no_data_and_its_hosts_become_a_new_one(
    new_lab: NewLab, tmp_path: Path
) -> None:
    lab = new_lab("small")
    with running_fleet(lab, tmp_path) as fleet:
        fleet.play("site", *ALONE)
        before = fleet.ca.read_bytes()
        fleet.play("destroy", *ALONE, "-e", f"fleet_destroy={lab.place.name}")
        for name in FLEETS["small"]:
            assert fleet.output(name, LEFT) == ""
        for name in DATA:
            assert fleet.output(name, f"wipefs --noheadings /dev/disk/by-id/virtio-{name}-data") == ""
        fleet.play("site", *ALONE)
        assert fleet.ca.read_bytes() == before
        fleet.play("verify", *ALONE)
