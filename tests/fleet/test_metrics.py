"""What Prometheus reads on a fleet: everything, only with its certificate, and right figures."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import time
from fnmatch import fnmatch
from typing import Any

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.plays import SAVED
from tests.fleet.prometheus import PATIENCE, ask, down, firing, query, total, wait
from tests.load import api
from tests.load.facts import Fact
from tests.load.http import Client
from tests.support.exported import scraped
from tests.support.promql import selectors
from tests.support.rules import RULES, name_of

SECONDS = 300
# there once an alert is sent somewhere; nobody is told of anything in a lab
UNSENT = ["alertmanager_notification_requests_failed_total", "alertmanager_notification_requests_total"]
# those of drills and checks once there was one, and all of backups where nothing is saved
UNSAVED = ["ka_drill_*", "ka_repository_*", *([] if SAVED else ["ka_backup_*"])]
# until every rule was used: some are once a minute
RULES_PATIENCE = 120.0
# what there is to read on a host of each group, beside the host itself
SERVICES = {
    "balancer": ["haproxy"],
    "api": ["assistant"],
    "chroma": ["haproxy"],
    "postgres": ["etcd", "patroni", "postgres"],
    "objects": ["haproxy", "objects"],
    "monitoring": ["alertmanager", "blackbox", "journal", "outside", "prometheus"],
    "backup": ["repository"] if SAVED else [],
}
TLS = "/etc/knowledge-assistant/tls"
FORBIDDEN, NOT_FOUND = 403, 404


def read(fleet: Fleet, asking: str, asked: str, *options: str) -> int:
    """The status by which a host answers another that asks for its figures; 0 if none comes."""
    url = f"https://{asked}:9100/node"
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "5", "--cacert", f"{TLS}/ca.crt"]
    return int(fleet.lab.run(asking, shlex.join([*words, *options, url])).stdout or 0)


def own(folder: str = TLS) -> list[str]:
    """Options of curl to show the host's certificate."""
    return ["--cert", f"{folder}/host.crt", "--key", f"{folder}/host.key"]


def test_every_host_and_service_of_the_inventory_is_read(fleet: Fleet) -> None:
    wanted = {("node", name) for name in fleet.lab.record().hosts}
    for group, jobs in SERVICES.items():
        wanted |= {(job, name) for job in jobs for name in fleet.hosts(group)}
    wait(lambda: not down(fleet))
    assert set(query(fleet, "up == 1", "job", "host")) == wanted
    assert set(query(fleet, "pg_up == 1", "host")) == {(name,) for name in fleet.hosts("postgres")}


@pytest.mark.parametrize(
    ("host", "job", "unit"),
    [
        ("api1", "node", "prometheus-node-exporter"),
        ("postgres2", "postgres", "prometheus-postgres-exporter"),
    ],
)
def test_an_exporter_that_is_stopped_is_down_alone_and_named(
    fleet: Fleet, host: str, job: str, unit: str
) -> None:
    wait(lambda: not down(fleet))
    fleet.output(host, f"systemctl stop {unit}")
    try:
        wait(lambda: bool(down(fleet)))
        assert down(fleet) == {(job, host)}
    finally:
        fleet.output(host, f"systemctl start {unit}")
    wait(lambda: not down(fleet))


def test_figures_are_for_the_monitoring_hosts_certificate_alone(fleet: Fleet) -> None:
    assert read(fleet, "monitoring1", "api1", *own(f"{TLS}/prometheus")) == 200
    assert read(fleet, "monitoring1", "api1") == 0, "without a certificate there is no connection"
    # a host reaches itself in spite of the firewall, and is of another group
    assert read(fleet, "api1", "api1", *own()) == FORBIDDEN
    assert read(fleet, "api2", "api1", *own()) == 0, "the firewall lets in the monitoring host alone"
    assert fleet.loop.run(fleet.client.get("/metrics")).status == NOT_FOUND


def test_questions_and_documents_are_counted_where_they_were_worked_on(fleet: Fleet) -> None:
    answers, read_documents = "sum(ka_answers_total)", 'sum(ka_ingest_stage_seconds_count{stage="embed"})'
    before = total(fleet, answers), total(fleet, read_documents)
    fleet.loop.run(use(fleet.client, f"counted-{secrets.token_hex(3)}"))
    wait(lambda: total(fleet, answers) > before[0])
    wait(lambda: total(fleet, read_documents) > before[1])


async def use(client: Client, knowledge_base: str) -> None:
    """Have one document read, then ask about it."""
    fact = Fact(secrets.token_hex(4))
    assert (await client.post(api.ROOT, {"name": knowledge_base})).status == 201
    assert (await api.upload(client, knowledge_base, fact)).status in (200, 201, 202)
    until = time.monotonic() + PATIENCE
    while {one["state"] for one in await api.documents(client, knowledge_base)} != {"ready"}:
        assert time.monotonic() < until, "the document was not read"
        await asyncio.sleep(0.5)
    assert (await api.ask(client, knowledge_base, fact.question)).status == 200


def test_facts_of_each_host_are_known(fleet: Fleet) -> None:
    hosts = {(name,) for name in fleet.lab.record().hosts}
    assert set(query(fleet, "ka_reboot_pending == 0", "host")) == hosts
    assert len(query(fleet, "count by (closure) (ka_release_info)", "closure")) == 1
    days = query(fleet, '(ka_certificate_end_timestamp_seconds{certificate="host"} - time()) / 86400', "host")
    assert set(days) == hosts
    assert all(0 < left <= 30 for left in days.values())
    states = query(fleet, 'haproxy_server_status{proxy="watch", state="UP"}', "host")
    assert states == {("chroma1",): 1, ("objects1",): 1}


def rules(fleet: Fleet) -> list[dict[str, Any]]:
    """Prometheus' rules, each with its health."""
    return [rule for group in ask(fleet, "rules")["groups"] for rule in group["rules"]]


def test_every_rule_of_the_repository_is_in_use(fleet: Fleet) -> None:
    wait(lambda: {rule["health"] for rule in rules(fleet)} == {"ok"}, RULES_PATIENCE)
    assert sorted(rule["name"] for rule in rules(fleet)) == sorted(map(name_of, RULES))


def test_what_rules_read_of_exporters_is_there_to_be_read(fleet: Fleet) -> None:
    read = {name for rule in RULES for name, _ in selectors(rule["expr"])} & scraped().keys()
    wanted = {name for name in read if not any(fnmatch(name, out) for out in [*UNSENT, *UNSAVED])}
    assert len(wanted) > 20
    wait(lambda: not wanted - set(ask(fleet, "label/__name__/values")))


def test_nothing_fires_on_a_fleet_at_rest_but_the_alert_that_says_so(fleet: Fleet) -> None:
    wait(lambda: firing(fleet) == {"Watchdog"}, RULES_PATIENCE)
