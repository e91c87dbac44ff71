"""Every service that our roles run is shut in."""

from __future__ import annotations

import pytest

from tests.fleet.fleet import Fleet

SECONDS = 300
MOST = 2.5  # of 10, by `systemd-analyze security`
# Debian's own, on every host; none of our roles runs them
BASE = "systemd-.*|user@.*|.*getty.*|ssh|dbus|cron|chrony|nix-daemon|unattended-upgrades|polkit|cloud-.*"
SCORES = f"""
systemctl list-units --type=service --state=running --plain --no-legend | cut -d ' ' -f 1 |
grep -vE '^({BASE})[.]service$' | while read -r unit; do
  score=$(systemd-analyze security --no-pager "$unit" | sed -n 's/.*Overall exposure level .*: //p')
  echo "$unit ${{score%% *}}"
done
"""
# with the group whose hosts run it
KNOWN = {
    "haproxy.service": "balancer",
    "assistant-api.service": "api",
    "assistant-worker@1.service": "api",
    "chroma.service": "chroma",
    "objects.service": "objects",
    "etcd.service": "postgres",
    "patroni.service": "postgres",
    "journal-collector.service": "monitoring",
    "journal-gate.service": "monitoring",
    "prometheus-alertmanager.service": "monitoring",
    "prometheus-blackbox-exporter.service": "monitoring",
}


def scores(fleet: Fleet, host: str) -> dict[str, float]:
    """The exposure of each service on a host."""
    lines = fleet.output(host, SCORES).splitlines()
    return {unit: float(score) for unit, score in (line.split() for line in lines)}


def test_every_service_of_ours_on_every_host_is_exposed_by_two_and_a_half_of_ten_at_most(
    fleet: Fleet,
) -> None:
    found = {host: scores(fleet, host) for host in fleet.lab.record().hosts}
    open_ones = [
        f"{host}: {unit}: {score}" for host, of in found.items() for unit, score in of.items() if score > MOST
    ]
    assert open_ones == []
    for unit, group in KNOWN.items():
        assert all(unit in found[host] for host in fleet.hosts(group)), (
            f"{unit} does not run on {group}: {found}"
        )


@pytest.mark.parametrize("path", ["/etc/shadow", "/root", "/data"])
def test_the_program_that_reads_documents_cannot_read_what_is_not_its_own(fleet: Fleet, path: str) -> None:
    host = fleet.hosts("api")[0]
    pid = fleet.output(host, "systemctl show --property MainPID --value assistant-worker@1.service")
    told = fleet.lab.run(
        host, f"nsenter --target {pid} --mount setpriv --reuid 970 --regid 970 --clear-groups ls {path}/"
    )
    assert told.returncode != 0, told.stdout
