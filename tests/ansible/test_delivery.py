"""Alerts reach those who are set to get them: a real Alertmanager with the settings that the role writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded.ports import free_port
from tests.ansible.rendering import ROLES, rendered
from tests.ansible.running import needs_ansible
from tests.ansible.watching import SHARED, alert, amtool, served
from tests.support.receivers import HttpReceiver, MailReceiver
from tests.support.running import wait_until

yaml = pytest.importorskip("yaml")
pytestmark = needs_ansible
SECONDS = 20.0
PASSWORD = "a password"
FAILED = "alertmanager_notification_requests_failed_total"
QUIET = ROLES.parent.parent / "monitoring" / "quiet.yml"


@dataclass(frozen=True)
class Delivery:
    """An Alertmanager, and those whom it tells."""

    url: str
    http: HttpReceiver
    mail: MailReceiver

    def send(self, *alerts: dict[str, Any]) -> None:
        """Prometheus' part."""
        httpx.post(f"{self.url}/api/v2/alerts", json=alerts, trust_env=False).raise_for_status()

    def told(self, path: str = "/hook", status: str = "firing") -> list[tuple[str, str]]:
        """Name and host of each alert that a path was told of, in order."""
        return [
            (one["labels"]["alertname"], one["labels"].get("host", ""))
            for body in self.http.at(path)
            for one in body["alerts"]
            if one["status"] == status
        ]

    def wait_told(self, name: str, path: str = "/hook", status: str = "firing") -> None:
        """Until a path was told of an alert."""
        wait_until(lambda: name in dict(self.told(path, status)), SECONDS, f"{name} at {path}")

    def failed(self) -> dict[str, float]:
        """Tries that failed, by way and receiver, where there were any."""
        text = httpx.get(f"{self.url}/metrics", trust_env=False).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(FAILED)]
        return {name.removeprefix(FAILED): float(value) for name, value in lines if float(value)}

    def silences(self) -> list[dict[str, Any]]:
        """Those that are not over."""
        listed = httpx.get(f"{self.url}/api/v2/silences", trust_env=False).json()
        return [one for one in listed if one["status"]["state"] == "active"]


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    folder, port = tmp_path_factory.mktemp("delivery"), free_port()
    with HttpReceiver() as http, MailReceiver("me", PASSWORD) as mail:
        files = rendered(
            "alertmanager",
            folder,
            alertmanager_port=port,
            alertmanager_folder=str(folder / "data"),
            alertmanager_file=str(folder / "alertmanager" / "alertmanager.yml"),
            alertmanager_secrets=str(folder / "secret"),
            alertmanager_webhook=http.url,
            alertmanager_slack=http.url,
            alertmanager_pagerduty=f"{http.url}/pagerduty",
            alertmanager_switch=http.url,
            alertmanager_mail_to=["you@example.com", "her@example.com"],
            alertmanager_mail_from="me@example.com",
            alertmanager_mail_server=f"127.0.0.1:{mail.port}",
            alertmanager_mail_user="me",
            alertmanager_mail_encrypted=False,
        )
        secrets = {
            "webhook": f"{http.url}/hook",
            "slack": f"{http.url}/slack",
            "switch": f"{http.url}/switch",
        }
        for name, secret in {**secrets, "pagerduty": "a key", "mail": PASSWORD}.items():
            (folder / f"secret.{name}").write_text(secret)
        hurried(files["alertmanager.yml"], files["alertmanager.tmpl"])
        checked = amtool("check-config", str(files["alertmanager.yml"]))
        assert checked.returncode == 0, checked.stdout + checked.stderr
        unit = files["20-knowledge-assistant.conf"]
        with served("prometheus-alertmanager", unit, port, folder, *SHARED) as url:
            yield Delivery(url, http, mail)


def hurried(settings: Path, templates: Path) -> None:
    """Waits of a second, and the templates where they lie here."""
    text = settings.read_text()
    for old, new in {
        "group_wait: 10s": "group_wait: 1s",
        "group_interval: 30s": "group_interval: 1s",
        "/etc/knowledge-assistant/alertmanager.tmpl": str(templates),
    }.items():
        assert old in text
        text = text.replace(old, new)
    settings.write_text(text)


def test_where_no_way_is_set_the_settings_are_understood_and_name_none(tmp_path: Path) -> None:
    files = rendered("alertmanager", tmp_path, alertmanager_port=1, alertmanager_folder="/d")
    checked = amtool("check-config", str(files["alertmanager.yml"]))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    receivers = yaml.safe_load(files["alertmanager.yml"].read_text())["receivers"]
    assert receivers == [{"name": name} for name in ("nobody", "switch", "page", "warning")]


def test_a_page_arrives_by_every_way_with_its_sentence_and_what_to_do(delivery: Delivery) -> None:
    delivery.send(alert("DiskFull", "page", host="objects1"))
    delivery.wait_told("DiskFull")
    wait_until(lambda: delivery.mail.mails, SECONDS, "mail")
    mail = delivery.mail.mails[0]
    assert mail["to"] == "you@example.com, her@example.com"
    assert mail["subject"] == "PAGE: DiskFull on objects1 (test)"
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines()[:2] == [
        "This is DiskFull.",
        "What to do: monitoring/runbooks/DiskFull.md",
    ]
    wait_until(
        lambda: delivery.http.at("/slack") and delivery.http.at("/pagerduty"), SECONDS, "Slack and PagerDuty"
    )
    slack = delivery.http.at("/slack")[0]["attachments"][0]
    assert slack["title"] == mail["subject"]
    assert "This is DiskFull." in slack["text"]
    event = delivery.http.at("/pagerduty")[0]
    assert (event["routing_key"], event["event_action"]) == ("a key", "trigger")
    assert (event["payload"]["severity"], event["payload"]["summary"]) == ("critical", mail["subject"])
    assert "This is DiskFull." in event["payload"]["custom_details"]["text"]
    assert delivery.failed() == {}


def test_what_does_not_get_through_is_counted_and_tried_until_it_does(delivery: Delivery) -> None:
    way = '{integration="webhook",receiver_name="page"}'
    delivery.http.refusing = True
    try:
        delivery.send(alert("EtcdNoLeader", "page"))
        wait_until(lambda: way in delivery.failed(), SECONDS, "a try that fails")
    finally:
        delivery.http.refusing = False
    delivery.wait_told("EtcdNoLeader")


def test_the_end_of_an_alert_is_told(delivery: Delivery) -> None:
    delivery.send(alert("ClockOff", "page", host="objects1"))
    delivery.wait_told("ClockOff")
    delivery.send(alert("ClockOff", "page", over=True, host="objects1"))
    delivery.wait_told("ClockOff", status="resolved")
    wait_until(
        lambda: "OVER: ClockOff on objects1 (test)" in [one["subject"] for one in delivery.mail.mails],
        SECONDS,
    )


def test_a_warning_wakes_nobody_up(delivery: Delivery) -> None:
    delivery.send(alert("ReleasesDiffer", "warning"))
    delivery.wait_told("ReleasesDiffer")
    wait_until(
        lambda: "WARNING: ReleasesDiffer (test)" in [one["subject"] for one in delivery.mail.mails], SECONDS
    )
    assert not [
        one for one in delivery.http.at("/pagerduty") if "ReleasesDiffer" in one["payload"]["summary"]
    ]


def test_a_dead_host_silences_what_runs_on_it_and_nothing_else(delivery: Delivery) -> None:
    delivery.send(alert("HostDown", "page", host="api1"))
    delivery.wait_told("HostDown")
    delivery.send(
        alert("OneApiHostLeft", "page", host="api1"),
        alert("UnitNotRunning", "warning", host="api1"),
        alert("ExporterDown", "warning", host="chroma1"),
        alert("NoSyncStandby", "page"),
    )
    delivery.wait_told("ExporterDown")
    delivery.wait_told("NoSyncStandby")
    assert [name for name, host in delivery.told() if host == "api1"] == ["HostDown"]


def test_the_watchdog_goes_to_the_switch_alone(delivery: Delivery) -> None:
    delivery.send(alert("Watchdog", "none"))
    delivery.wait_told("Watchdog", "/switch")
    assert "Watchdog" not in dict(delivery.told())
    assert set(delivery.told("/switch")) == {("Watchdog", "")}


def work(delivery: Delivery, *wanted: dict[str, list[str]]) -> None:
    """What the role silence runs on the monitoring host, for a deploy that may take ten minutes."""
    script = (ROLES / "silence" / "files" / "silence.py").read_text()
    port = delivery.url.rpartition(":")[2]
    command = [sys.executable, "-", port, "deploy", "10", "0.5"]
    environment = {**os.environ, "WANTED": json.dumps(wanted)}
    done = subprocess.run(command, input=script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_planned_work_silences_what_it_brings_until_it_lifts_that(delivery: Delivery) -> None:
    planned = yaml.safe_load(QUIET.read_text())["planned"]["deploy"]
    work(delivery, {"alertname": planned}, {"host": ["chroma9"]})
    delivery.send(
        alert("ChromaDown", "page", host="chroma9"),
        alert("ObjectsDown", "page", host="objects9"),
        alert("QuestionsFail", "page"),
    )
    delivery.wait_told("QuestionsFail")
    assert not {"ChromaDown", "ObjectsDown"} & dict(delivery.told()).keys()
    work(delivery, {"alertname": planned})
    delivery.send(alert("ChromaDown", "page", host="chroma9"))
    wait_until(lambda: len(delivery.silences()) == 1, SECONDS, "the end of that about the host")
    work(delivery)
    delivery.wait_told("ObjectsDown")
    delivery.wait_told("ChromaDown")
    assert delivery.silences() == []


def test_a_silence_that_nobody_lifts_is_over_by_itself_and_of_its_own_work_alone(delivery: Delivery) -> None:
    own = {
        "matchers": [{"name": "host", "value": "x", "isRegex": False}],
        "createdBy": "me",
        "comment": "why",
    }
    span = {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
    made = httpx.post(f"{delivery.url}/api/v2/silences", json={**own, **span}, trust_env=False)
    work(delivery, {"alertname": ["OneApiHostLeft"]})
    found = {one["createdBy"]: one for one in delivery.silences()}
    assert found.keys() == {"me", "playbook deploy"}
    assert minutes(found["playbook deploy"]) == pytest.approx(10, abs=0.1)
    work(delivery, {"alertname": ["OneApiHostLeft"]})
    assert {one["id"] for one in delivery.silences()} == {one["id"] for one in found.values()}
    work(delivery)
    own_id = made.json()["silenceID"]
    wait_until(
        lambda: [one["id"] for one in delivery.silences()] == [own_id], SECONDS, "the end of the work's"
    )


def minutes(silence: dict[str, Any]) -> float:
    """How long it lasts from the moment it was set."""
    start, end = (datetime.fromisoformat(silence[name]) for name in ("startsAt", "endsAt"))
    return (end - start).total_seconds() / 60


def test_work_goes_on_where_alertmanager_is_away() -> None:
    script = (ROLES / "silence" / "files" / "silence.py").read_text()
    command = [sys.executable, "-", str(free_port()), "deploy", "10", "60"]
    environment = {**os.environ, "WANTED": "[]"}
    done = subprocess.run(command, input=script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Alertmanager cannot be asked: ")
    assert "Traceback" not in done.stderr
