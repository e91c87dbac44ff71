"""What the runbooks of alerts tell to do, done once: it mends what they are about.

Verbs with tests of their own (deploy, rollback, scale, drain, patch, refresh, rotate) are not here again,
nor what a clock needs, which hosts of this lab have in common.
"""

from __future__ import annotations

import pytest

from tests.fleet.fleet import PATRONI, Fleet
from tests.fleet.prometheus import query, wait
from tests.fleet.troubles import PSQL, etcd_follower, hold_workers, replica

pytestmark = pytest.mark.usefixtures("green_afterwards")
SECONDS = 900
WHOLE = 180.0
# documents that nobody has read yet
WAITING = 'sum(ka:documents:count{state=~"queued|parsing|indexing"}) > 0'
PAUSED = "Maintenance mode: on"
# host, unit that somebody has stopped, and tags of site.yml, by the runbooks that name them
STOPPED = {
    "BalancerDown": ("balancer1", "haproxy", "balancer"),
    "EtcdMemberLost": ("postgres3", "etcd", "etcd"),
    "ExporterDown": ("api2", "prometheus-node-exporter", "exporters"),
    "FactsStale": ("api2", "metrics-facts.timer", "exporters"),
    "IndexUnusable, WorkersStuck": ("api1", "assistant-worker@1", "assistant"),
    "LogsMissing": ("chroma1", "systemd-journal-upload", "pki,firewall,journal"),
    "AlertsNotDelivered": ("monitoring1", "prometheus-alertmanager", "secrets,firewall,alertmanager"),
    "PrometheusFails": ("monitoring1", "prometheus", "prometheus"),
}
# all at once, which site.yml without tags starts again
EVERYTHING = {
    "chroma1": "chroma",
    "objects1": "objects",
    "api1": "assistant-api",
    "monitoring1": "prometheus",
}


@pytest.mark.parametrize(("host", "unit", "tags"), STOPPED.values(), ids=STOPPED)
def test_what_was_stopped_runs_after_the_part_of_site_that_the_runbook_names(
    fleet: Fleet, host: str, unit: str, tags: str
) -> None:
    fleet.output(host, f"systemctl stop {unit}")
    fleet.play("site", "--tags", tags)
    fleet.output(host, f"systemctl is-active {unit}")
    fleet.wait_whole(WHOLE)


def test_the_whole_of_site_starts_everything_that_was_stopped(fleet: Fleet) -> None:
    """ChromaDown, ObjectsDown, OneApiHostLeft, PostgresDown, UnitNotRunning, Watchdog."""
    stopped = {**EVERYTHING, replica(fleet): "patroni"}
    for host, unit in stopped.items():
        fleet.output(host, f"systemctl stop {unit}")
    fleet.play("site")
    for host, unit in stopped.items():
        fleet.output(host, f"systemctl is-active {unit}")
    fleet.wait_whole(WHOLE)


def test_a_member_of_etcd_without_its_data_is_taken_in_anew(fleet: Fleet) -> None:
    """EtcdMemberLost."""
    host = etcd_follower(fleet)
    fleet.output(host, "systemctl stop etcd; rm -r /data/etcd/member")
    fleet.play("site", "--tags", "etcd")
    fleet.wait_whole(WHOLE)


def test_a_failover_that_was_paused_is_resumed(fleet: Fleet) -> None:
    """FailoverPaused."""
    host = fleet.member("leader")
    fleet.output(host, f"{PATRONI} pause --wait")
    assert PAUSED in fleet.output(host, f"{PATRONI} list")
    fleet.output(host, f"{PATRONI} resume --wait")
    assert PAUSED not in fleet.output(host, f"{PATRONI} list")


def test_a_standby_is_copied_anew(fleet: Fleet) -> None:
    """PostgresDown, NoSyncStandby, ReplicaLagging, ReplicaNotStreaming, TimelineDiffers."""
    name, host = replica(fleet), fleet.member("leader")
    fleet.output(host, f"{PATRONI} reinit --force --wait knowledge-assistant {name}", timeout=200)
    fleet.wait_whole(WHOLE)


def test_a_standby_that_was_told_to_wait_goes_on(fleet: Fleet) -> None:
    """ReplicaLagging."""
    ask = f"runuser -u postgres -- {PSQL} -d postgres -c"
    host = replica(fleet)
    fleet.output(host, f"{ask} 'select pg_wal_replay_pause()'")
    fleet.output(host, f"{ask} 'select pg_wal_replay_resume()'")
    assert fleet.output(host, f"{ask} 'select pg_get_wal_replay_pause_state()'") == "not paused"


def test_workers_that_hang_go_on_with_what_they_were_reading_after_a_restart(fleet: Fleet) -> None:
    """WorkersStuck."""
    blow = hold_workers(fleet, "api1")
    blow.strike()
    try:
        wait(lambda: query(fleet, WAITING), WHOLE)
        for host in fleet.hosts("api"):
            fleet.output(host, "systemctl restart 'assistant-worker@*'", timeout=200)
        wait(lambda: not query(fleet, WAITING), WHOLE)
    finally:
        blow.mend()


def test_the_documents_of_known_questions_are_brought_back(fleet: Fleet) -> None:
    """OutsideCheckFails."""
    base = fleet.loop.run(fleet.client.request("DELETE", "/api/v1/knowledge-bases/known-questions"))
    assert base.status in {200, 204}, base.body
    fleet.play("site", "--tags", "questions")


def test_journals_are_made_smaller_by_the_command_of_the_runbook(fleet: Fleet) -> None:
    """DiskFull."""
    assert "Vacuuming done" in fleet.output("api2", "journalctl --vacuum-size=200M 2>&1")
