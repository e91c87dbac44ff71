"""What Prometheus is told to read follows from the inventory; no host is contacted."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.ansible.rendering import rendered
from tests.ansible.running import EXAMPLE, needs_ansible, run
from tests.support.promtool import fetched

yaml = pytest.importorskip("yaml")
RENDERED = "msg={{ lookup('ansible.builtin.template', 'roles/prometheus/templates/targets.json.j2') }}"

pytestmark = needs_ansible


def targets(inventory: Path, home: Path) -> dict[str, list[str]]:
    """Hosts of each job, as the role prometheus makes them from an inventory."""
    ask = ["monitoring", "-i", str(inventory), "-m", "ansible.builtin.debug", "-a", RENDERED]
    known = ["-e", "@wiring.yml", "-e", "@roles/prometheus/defaults/main.yml"]
    done = run("ansible", *ask, *known, home=home)
    found = re.search(r"\[\{.*\}\]", done.stdout)
    assert found, done.stdout + done.stderr
    jobs: dict[str, list[str]] = {}
    for target in json.loads(found[0]):
        jobs.setdefault(target["job"], []).append(target["host"])
    return jobs


def test_every_host_is_read_and_each_service_where_it_runs(tmp_path: Path) -> None:
    hosts = [
        name for group in yaml.safe_load(EXAMPLE.read_text()).values() for name in group.get("hosts", {})
    ]
    found = targets(EXAMPLE, tmp_path)
    assert sorted(found["node"]) == sorted(hosts)
    assert found["assistant"] == ["api1", "api2"]
    assert found["haproxy"] == ["balancer1", "chroma1", "objects1"]
    assert found["etcd"] == found["patroni"] == found["postgres"] == ["postgres1", "postgres2", "postgres3"]
    assert found["objects"] == ["objects1"]
    assert found["prometheus"] == found["alertmanager"] == found["blackbox"] == ["monitoring1"]


def test_a_host_that_is_added_is_read_too(tmp_path: Path) -> None:
    inventory = yaml.safe_load(EXAMPLE.read_text())
    inventory["api"]["hosts"]["api3"] = {"ansible_host": "192.0.2.13"}
    file = tmp_path / "hosts.yml"
    file.write_text(yaml.safe_dump(inventory))
    found = targets(file, tmp_path)
    assert found["assistant"] == ["api1", "api2", "api3"]
    assert "api3" in found["node"]


def test_prometheus_understands_what_it_is_told(tmp_path: Path) -> None:
    settings = {
        "prometheus_by_group": {"all": {"node": {"port": 1}}},
        "prometheus_groups": {"api": ["api1"]},
        "prometheus_fleet": "test",
        "prometheus_tls": "/tls",
        "prometheus_folder": "/data",
        "prometheus_gate": 9100,
        "prometheus_port": 9090,
        "prometheus_alertmanager": 9093,
        "prometheus_outside": {"hosts": ["balancer1"], "port": 9115, "checks": {"page": "/"}},
    }
    file = rendered("prometheus", tmp_path, **settings)["prometheus.yml"]
    check = [fetched("promtool"), "check", "config", "--syntax-only", str(file)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = yaml.safe_load(file.read_text())
    assert told["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["127.0.0.1:9093"]}]
    (outside,) = (job["static_configs"] for job in told["scrape_configs"] if job["job_name"] == "outside")
    labels = outside[0]["labels"]
    assert (labels["__param_target"], labels["__param_module"]) == ("https://balancer1/", "page")
    assert labels["host"] != "balancer1", "the exporter is up whether that host is or not"
