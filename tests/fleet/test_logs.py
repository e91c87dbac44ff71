"""Logs of all hosts in one place: found by a request's id, complete, and silent about what people write."""

from __future__ import annotations

import json
import os
import secrets
import time
from functools import partial
from typing import Any

import httpx

from tests.fleet.fleet import Fleet
from tests.fleet.prometheus import query, wait
from tests.fleet.used import visits

# seconds without a collector; KA_AWAY says otherwise
AWAY = float(os.environ.get("KA_AWAY", "60"))
SECONDS = 600 + round(AWAY)
SOON = 60.0  # until what was logged has to be there; a sender waits up to ten seconds between two tries
MONITORING = "monitoring1"
FOLDER = "/data/journal"
DOCUMENTS = "/api/v1/knowledge-bases/default/documents"
ASK = "/api/v1/knowledge-bases/default/ask"


def collected(fleet: Fleet, *asked: str) -> list[dict[str, Any]]:
    """What ``ka-logs`` finds on the monitoring host; exit code 1 says nothing."""
    done = fleet.lab.run(MONITORING, f"ka-logs --json {' '.join(asked)}", timeout=120)
    assert done.returncode in {0, 1}, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def requests(texts: list[str]) -> set[str]:
    """Ids in lines of the balancer."""
    return {json.loads(text)["request"] for text in texts if text.startswith('{"time"')}


def test_one_id_leads_to_the_lines_of_balancer_api_and_worker(fleet: Fleet, browser: httpx.Client) -> None:
    content = f"The lamp number {secrets.token_hex(4)} is lit at dusk."
    answer = browser.post(DOCUMENTS, files={"file": (f"{secrets.token_hex(4)}.txt", content.encode())})
    assert answer.status_code == 202
    name = answer.headers["x-request-id"]
    wanted = {"haproxy.service", "assistant-api.service", "assistant-worker@1.service"}

    def units() -> set[str]:
        return {line["unit"] for line in collected(fleet, "--request", name)}

    wait(lambda: wanted <= units(), SOON, f"lines of {', '.join(wanted)}")
    found = collected(fleet, "--request", name)
    assert {line["host"] for line in found} >= {"balancer1"}
    assert all(isinstance(line["message"], dict) for line in found if line["unit"] in wanted)
    ready = [line for line in found if line["unit"] == "assistant-worker@1.service"]
    assert any("is ready" in line["message"]["message"] for line in ready)


def test_an_error_that_a_user_quotes_leads_to_its_cause(fleet: Fleet, browser: httpx.Client) -> None:
    answer = browser.get("/api/v1/knowledge-bases/there-is-none/documents")
    name = answer.json()["request"]
    assert name == answer.headers["x-request-id"]
    wait(lambda: collected(fleet, "--request", name, "--unit", "haproxy"), SOON, "the balancer's line")
    (line,) = collected(fleet, "--request", name, "--unit", "haproxy")
    assert line["message"]["status"] == 404


def test_nothing_is_missing_after_the_collector_was_away_under_load(fleet: Fleet) -> None:
    begun = time.time()
    with visits(fleet, rate=20):
        fleet.output(
            MONITORING, "systemctl kill --signal=KILL journal-collector; systemctl stop journal-collector"
        )
        try:
            time.sleep(AWAY)
        finally:
            fleet.output(MONITORING, "systemctl start journal-collector")
        time.sleep(5)
    ended = time.time()
    span = f"--since=@{begun:.0f} --until=@{ended:.0f}"
    own = fleet.output("balancer1", f"journalctl -u haproxy -o cat --no-pager {span}", timeout=120)
    logged = requests(own.splitlines())
    assert len(logged) > AWAY * 10

    def missing() -> set[str]:
        asked = f"--unit=haproxy --host=balancer1 --last=0 {span}"
        return logged - requests([json.dumps(line["message"]) for line in collected(fleet, asked)])

    wait(lambda: not missing(), 2 * SOON, "all lines")


def test_what_people_write_is_in_no_log_and_the_search_would_find_it(
    fleet: Fleet, browser: httpx.Client
) -> None:
    planted, control = f"planted{secrets.token_hex(8)}", f"control{secrets.token_hex(8)}"
    sent = {"file": (f"{secrets.token_hex(4)}.txt", f"The word {planted} stands here.".encode())}
    assert browser.post(DOCUMENTS, files=sent).status_code == 202
    broken = {"file": (f"{secrets.token_hex(4)}.pdf", f"%PDF-1.7 {planted}".encode())}
    assert browser.post(DOCUMENTS, files=broken).status_code == 202
    assert browser.post(ASK, json={"question": f"Where does {planted} stand?"}).status_code == 200
    assert browser.post(ASK, json={"question": planted * 5000}).status_code >= 400
    for host in fleet.lab.record().hosts:
        fleet.output(host, f"logger {control}-{host}")

    def count(text: str) -> int:
        search = f"journalctl --directory={FOLDER} --no-pager -o export -a | grep -caF {text} || :"
        return int(fleet.output(MONITORING, search, timeout=120))

    for host in fleet.lab.record().hosts:
        wait(partial(count, f"{control}-{host}"), SOON, f"the control of {host}")
    assert count(planted) == 0


def test_only_hosts_of_the_fleet_may_send_logs(fleet: Fleet) -> None:
    send = (
        f"curl -sS -o /dev/null -w '%{{http_code}}' --max-time 10 -X POST https://{MONITORING}:19532/upload"
    )
    tls = "/etc/knowledge-assistant/tls"
    stranger = fleet.lab.run("api1", f"{send} --cacert {tls}/ca.crt")
    assert stranger.returncode != 0
    known = f"--cacert {tls}/ca.crt --cert {tls}/host.crt --key {tls}/host.key"
    assert fleet.output("api1", f"{send.replace('/upload', '/other')} {known}") == "404"


def test_what_each_host_sends_is_counted_so_that_its_silence_is_noticed(fleet: Fleet) -> None:
    taken = 'haproxy_server_http_responses_total{proxy="collector", code="2xx"} > 0'
    hosts = {(name,) for name in fleet.lab.record().hosts}
    wait(lambda: query(fleet, taken, "server").keys() == hosts, SOON, "figures of every host")


def test_logs_are_removed_by_age_and_size(fleet: Fleet) -> None:
    assert fleet.output(MONITORING, "systemctl is-active journal-retention.timer") == "active"
    fleet.output(MONITORING, "systemctl start journal-retention.service")
    files = fleet.output(MONITORING, f"ls {FOLDER}").splitlines()
    assert len(files) >= len(fleet.lab.record().hosts)
