"""What `verify.yml` makes of what hosts say: a sentence for each thing that is wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tests.ansible.running import OWN_PYTHON, needs_ansible, run

LIMITS = {"days": 7, "ca_days": 90, "free_percent": 10, "free_gib": 5, "clock_seconds": 2}
LIMITS |= {"lag_bytes": 16777216, "lag_seconds": 10}
PORTS = [
    {"to": "all", "port": 22, "from": ["operators"], "what": "SSH"},
    {"to": "all", "port": 9100, "from": ["monitoring"], "what": "exporter", "idle": True},
    {"to": "api", "port": 8443, "from": ["balancer"], "what": "API and UI"},
]
GROUPS = {"api": ["api1"], "balancer": ["balancer1"], "postgres": ["postgres1", "postgres2", "postgres3"]}
Said = dict[str, dict[str, Any]]

pytestmark = needs_ansible


def everywhere() -> dict[str, Any]:
    """What every healthy host says."""
    tls = "/etc/knowledge-assistant/tls"
    return {
        "certificates": [
            {"where": f"{tls}/ca.crt", "days": 3000.0},
            {"where": f"{tls}/host.crt", "days": 29.0},
        ],
        "disks": [{"mount": "/", "bytes": 20 * 2**30, "percent": 40.0, "files_percent": 90.0}],
        "listening": [{"protocol": "tcp", "address": "0.0.0.0", "port": 22, "program": "sshd"}],
        "firewall": {"lacking": [], "foreign": []},
        "release": "/nix/store/aaa-knowledge-assistant-1.0",
        "failed": [],
        "clock": 0.0,
    }


def healthy() -> Said:
    """What each host of a healthy fleet says: the parts by name, and the known questions."""
    said: Said = {name: {"parts": everywhere()} for hosts in GROUPS.values() for name in hosts}
    api = {"protocol": "tcp", "address": "0.0.0.0", "port": 8443, "program": "ka"}
    said["api1"]["parts"]["listening"].append(api)
    said["api1"]["parts"]["api"] = {"database": "ok", "chroma": "ok", "objects": "ok"}
    said["balancer1"]["parts"]["balancer"] = [{"name": "api1", "status": "UP", "why": ""}]
    said["balancer1"]["asked"] = {"right": 4, "slowest": 0.1, "problems": []}
    members = [
        {"name": "postgres1", "role": "leader", "state": "running", "timeline": 3},
        {"name": "postgres2", "role": "sync_standby", "state": "streaming", "timeline": 3, "lag": 0},
        {"name": "postgres3", "role": "replica", "state": "streaming", "timeline": 3, "lag": 0},
    ]
    for name in GROUPS["postgres"]:
        said[name]["parts"]["patroni"] = {"members": members, "paused": False, "standbys": None}
        etcd = {"healthy": True, "leader": "postgres1", "members": GROUPS["postgres"], "alarms": []}
        said[name]["parts"]["etcd"] = etcd
    standbys = [
        {"name": "postgres2", "state": "streaming", "sync": "sync", "bytes": 0, "seconds": 0.0},
        {"name": "postgres3", "state": "streaming", "sync": "async", "bytes": 0, "seconds": 0.0},
    ]
    said["postgres1"]["parts"]["patroni"] = {"members": members, "paused": False, "standbys": standbys}
    return copy.deepcopy(said)


def verdict(
    said: Said, folder: Path, unasked: tuple[str, ...] = (), mixed: bool = False, **limits: float
) -> Any:
    """Problems and facts."""
    hosts: dict[str, Any] = {}
    for name, one in said.items():
        parts = {part: {"found": found} for part, found in one.get("parts", {}).items()}
        parts |= {part: {"error": error} for part, error in one.get("errors", {}).items()}
        looked = {"parts": parts} if parts else {"unreachable": True, "msg": one["why"]}
        hosts[name] = {"health_looked": looked} | (
            {"questions_asked": one["asked"]} if "asked" in one else {}
        )
    inventory = {group: {"hosts": {name: hosts[name] for name in names}} for group, names in GROUPS.items()}
    arguments = {
        "hosts": list(hosts),
        "unasked": list(unasked),
        "groups": "{{ groups }}",
        "limits": LIMITS | limits,
        "ports": PORTS,
        "closure": "",
        "mixed": mixed,
    }
    tasks = [
        {"name": "v", "verdict": arguments, "register": "v"},
        {
            "name": "write",
            "ansible.builtin.copy": {
                "content": "{{ v | to_json }}",
                "dest": f"{folder}/verdict.json",
                "mode": "0600",
            },
            "delegate_to": "localhost",
        },
    ]
    play = {"name": "p", "hosts": "api1", "tasks": tasks}
    (folder / "hosts.yml").write_text(json.dumps(inventory), encoding="utf-8")
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    words = ["-i", str(folder / "hosts.yml"), str(folder / "play.yml")]
    done = run("ansible-playbook", *words, home=folder, folder=folder, **OWN_PYTHON)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "verdict.json").read_text(encoding="utf-8"))


def test_a_healthy_fleet_has_no_problem_and_says_the_facts(tmp_path: Path) -> None:
    found = verdict(healthy(), tmp_path)
    assert found["problems"] == []
    assert "questions: 4 of 4 right through balancer1, the slowest in 0.1 s" in found["facts"]
    assert "hosts: 5 of 5 answer; release /nix/store/aaa-knowledge-assistant-1.0" in found["facts"]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    said = healthy()
    said["postgres3"] = {"why": "Connection timed out."}
    api = said["api1"]["parts"]
    api["api"]["chroma"] = "no answer within 3 seconds"
    api["release"] = "/nix/store/bbb-knowledge-assistant-0.9"
    api["listening"].append({"protocol": "tcp", "address": "0.0.0.0", "port": 4444, "program": "nc"})
    api["failed"] = ["assistant-worker@1.service"]
    api["clock"] = -3.5
    api["firewall"]["foreign"] = ["tcp dport 4444 accept"]
    api["disks"][0] |= {"bytes": 2**30, "percent": 3.0}
    said["balancer1"]["parts"]["certificates"][1]["days"] = 3.0
    said["balancer1"]["asked"] = {"right": 3, "slowest": 0.1, "problems": ["“Why?” cites nothing, not a.md."]}
    said["balancer1"]["parts"]["balancer"] = [{"name": "api1", "status": "DOWN", "why": "L4TOUT"}]
    said["postgres1"]["parts"]["patroni"]["standbys"][0]["seconds"] = 60.0
    problems = "\n".join(verdict(said, tmp_path)["problems"])
    for sentence in (
        "postgres3 cannot be reached (Connection timed out): start it",
        "api1 is not wholly ready: chroma: no answer within 3 seconds.",
        "api1: release /nix/store/bbb-knowledge-assistant-0.9 runs, not /nix/store/aaa",
        "api1: nc listens on tcp port 4444 of 0.0.0.0, which ports.yml does not name.",
        "api1: assistant-worker@1.service has failed.",
        "api1's clock is 3.5 s behind the controller's",
        "api1's firewall has “tcp dport 4444 accept”.",
        "api1: / has 1.0 GiB, 3 % free; less than 5 GiB and 10 %.",
        "holds 3.0 days more; the limit is 7. Renew it: rotate.yml.",
        "balancer1: “Why?” cites nothing, not a.md.",
        "balancer1 sends no requests to api1, which is DOWN (L4TOUT).",
        "postgres2 is 0 bytes and 60.0 s behind postgres1",
    ):
        assert sentence in problems


def test_a_database_without_a_synchronous_standby_or_on_two_timelines_is_told(tmp_path: Path) -> None:
    said = healthy()
    for name in GROUPS["postgres"]:
        members = said[name]["parts"]["patroni"]["members"]
        members[1]["role"] = "replica"
        members[2]["timeline"] = 2
    problems = "\n".join(verdict(said, tmp_path)["problems"])
    assert "The database has no synchronous standby" in problems
    assert "postgres3's PostgreSQL is on timeline 2, not 3" in problems


def test_two_primaries_are_told(tmp_path: Path) -> None:
    said = healthy()
    said["postgres3"]["parts"]["patroni"]["members"][2]["role"] = "leader"
    problems = verdict(said, tmp_path)["problems"]
    assert any("The database has not one primary that all agree on" in problem for problem in problems)


def test_a_part_that_cannot_be_looked_at_and_a_service_that_is_away_are_told(tmp_path: Path) -> None:
    said = healthy()
    said["api1"]["errors"] = {"api": "ConnectionRefusedError"}
    said["api1"]["parts"]["listening"] = said["api1"]["parts"]["listening"][:1]
    del said["api1"]["parts"]["api"]
    problems = "\n".join(verdict(said, tmp_path)["problems"])
    assert "api1: its API does not answer (ConnectionRefusedError)." in problems
    assert "api1: nothing listens on port 8443 (API and UI)." in problems


def test_when_nobody_could_be_asked_that_is_a_problem(tmp_path: Path) -> None:
    said = healthy()
    del said["balancer1"]["asked"]
    assert (
        "No known question could be asked: nobody knows whether answers are right."
        in verdict(said, tmp_path)["problems"]
    )


def test_what_a_deploy_left_in_the_middle_does_not_keep_the_next_from_clearing_it_up(tmp_path: Path) -> None:
    said = healthy()
    said["api1"]["parts"] |= {
        "release": "/nix/store/bbb-knowledge-assistant-1.1",
        "failed": ["assistant-api.service"],
    }
    del said["api1"]["parts"]["api"]
    said["api1"]["errors"] = {"api": "Connection refused"}
    said["balancer1"]["parts"]["balancer"] = [{"name": "api1", "status": "DOWN", "why": "L7STS"}]
    assert len(verdict(said, tmp_path)["problems"]) == 4
    assert verdict(said, tmp_path, unasked=("api1",), mixed=True)["problems"] == []


def test_what_else_is_wrong_does_keep_it(tmp_path: Path) -> None:
    said = healthy()
    said["postgres1"]["parts"]["disks"][0] |= {"bytes": 2**30, "percent": 3.0}
    problems = verdict(said, tmp_path, unasked=("api1",), mixed=True)["problems"]
    assert len(problems) == 1
    assert problems[0].startswith("postgres1: / has 1.0 GiB, 3 % free")


def figure(name: str, value: float, **labels: str) -> dict[str, Any]:
    """One of those that programs of backups leave for node exporter."""
    return {"name": name, "labels": labels, "value": value}


def test_backups_that_are_well_are_facts(tmp_path: Path) -> None:
    said = healthy()
    said["api1"]["parts"]["figures"] = [
        figure("ka_backup_failed", 0.0, what="sets"),
        figure("ka_backup_set_good", 1.0, id="20261123T120000Z"),
        figure("ka_backup_set_timestamp_seconds", 1e9, id="20261123T120000Z"),
        figure("ka_drill_passed", 1.0),
        figure("ka_drill_rpo_seconds", 31.0),
        figure("ka_drill_rto_seconds", 12.0, until="database"),
        figure("ka_drill_rto_seconds", 40.0, until="answers"),
    ]
    found = verdict(said, tmp_path)
    assert found["problems"] == []
    assert "backup: the newest set that could be restored is 20261123T120000Z" in found["facts"]
    assert (
        "drill: the last one lost 31 s; it took 12 s to the database, 40 s to right answers" in found["facts"]
    )


def test_backups_that_fail_a_drill_and_a_damaged_repository_are_told(tmp_path: Path) -> None:
    said = healthy()
    said["api1"]["parts"]["figures"] = [
        figure("ka_backup_failed", 1.0, what="wal"),
        figure("ka_backup_set_good", 0.0, id="20261123T120000Z"),
        figure("ka_drill_passed", 0.0),
        figure("ka_repository_damaged", 2.0, repository="postgres1"),
    ]
    problems = verdict(said, tmp_path)["problems"]
    assert [problem.partition(". See")[0] for problem in problems] == [
        "api1: the backup of wal fails",
        "api1: the newest set, 20261123T120000Z, could not be restored",
        "api1: the last drill did not pass",
        "api1: 2 files of the repository postgres1 are damaged",
    ]
