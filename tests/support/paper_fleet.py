"""Figures of a fleet that does not exist, as its exporters would give them, quiet or with faults."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

GROUPS = {
    "balancer": ["balancer1"],
    "api": ["api1", "api2"],
    "chroma": ["chroma1"],
    "postgres": ["postgres1", "postgres2", "postgres3"],
    "objects": ["objects1"],
    "monitoring": ["monitoring1"],
}
SERVICES = {
    "balancer": ["haproxy"],
    "api": ["assistant"],
    "chroma": ["haproxy"],
    "objects": ["haproxy"],
    "postgres": ["postgres", "patroni", "etcd"],
    "monitoring": ["prometheus", "outside"],
}
UNITS = {
    "balancer": ["haproxy"],
    "api": ["assistant-api", "assistant-worker@1"],
    "chroma": ["chroma", "haproxy"],
    "objects": ["objects", "haproxy"],
    "postgres": ["patroni", "etcd", "prometheus-postgres-exporter"],
    "monitoring": ["prometheus"],
}
GIB, DAY = 2**30, 86400
STARTED = time.time()
# exported by nothing else in a fleet that asks nothing, so that a page has it to show
PRIMARY = "postgres1"


@dataclass(frozen=True)
class Faults:
    """What is wrong with the fleet."""

    away: set[str] = field(default_factory=set)  # hosts
    stopped: set[tuple[str, str]] = field(default_factory=set)  # job, host
    disk_used: dict[str, float] = field(default_factory=dict)  # by host, of one
    failing: float = 0.0  # share of the questions
    restart: set[str] = field(default_factory=set)  # hosts that wait for one


QUIET = Faults()
BROKEN = Faults(
    away={"postgres3"},
    stopped={("etcd", "postgres2"), ("node", "api2")},
    disk_used={"objects1": 0.97},
    failing=0.4,
    restart={"balancer1"},
)


def exposition(job: str, host: str, faults: Faults) -> str:
    """What a service of a host has to be read, in Prometheus' text format."""
    group = next(name for name, hosts in GROUPS.items() if host in hosts)
    seconds = time.time() - STARTED + 600
    return "".join(f"{line}\n" for line in _LINES[job](host, group, seconds, faults))


def _node(host: str, group: str, seconds: float, faults: Faults) -> Iterator[str]:
    now = time.time()
    for mode, share in {"idle": 0.82, "user": 0.14, "system": 0.04}.items():
        yield f'node_cpu_seconds_total{{cpu="0",mode="{mode}"}} {seconds * share}'
    yield f"node_time_seconds {now}"
    yield f"node_boot_time_seconds {now - 3.4 * DAY}"
    yield f"node_load1 {0.21 + len(host) / 20}"
    yield f"node_memory_MemTotal_bytes {4 * GIB}"
    yield f"node_memory_MemAvailable_bytes {2.6 * GIB}"
    yield f"node_pressure_io_waiting_seconds_total {seconds * 0.01}"
    yield 'node_uname_info{release="6.12.48+deb13-cloud-amd64"} 1'
    for mount, used in {"/": 0.31, "/data": faults.disk_used.get(host, 0.44)}.items():
        yield f'node_filesystem_size_bytes{{mountpoint="{mount}"}} {40 * GIB}'
        yield f'node_filesystem_avail_bytes{{mountpoint="{mount}"}} {40 * GIB * (1 - used)}'
        yield f'node_filesystem_files{{mountpoint="{mount}"}} 2600000'
        yield f'node_filesystem_files_free{{mountpoint="{mount}"}} 2300000'
    for way in ("receive", "transmit"):
        yield f'node_network_{way}_bytes_total{{device="host0"}} {seconds * 21000}'
    for unit in [*UNITS[group], "metrics", "prometheus-node-exporter"]:
        for state in ("active", "failed"):
            yield f'node_systemd_unit_state{{name="{unit}.service",state="{state}"}} {int(state == "active")}'
    yield f'node_textfile_mtime_seconds{{file="knowledge-assistant.prom"}} {now - 240}'
    yield 'ka_release_info{closure="/nix/store/7c3l0x9kq4vd-knowledge-assistant-0.1.0"} 1'
    yield f'ka_certificate_end_timestamp_seconds{{certificate="host"}} {now + 23.4 * DAY}'
    yield f'ka_certificate_end_timestamp_seconds{{certificate="ca"}} {now + 3200 * DAY}'
    yield f"ka_reboot_pending {int(host in faults.restart)}"


def _haproxy(host: str, group: str, seconds: float, faults: Faults) -> Iterator[str]:
    proxy = "assistant" if group == "balancer" else "fleet"
    failed = seconds * 4 * faults.failing
    yield f'haproxy_frontend_http_requests_total{{proxy="{proxy}"}} {seconds * 4}'
    yield f'haproxy_frontend_http_responses_total{{proxy="{proxy}",code="5xx"}} {failed}'
    yield f'haproxy_frontend_http_responses_total{{proxy="{proxy}",code="2xx"}} {seconds * 4 - failed}'
    if group == "balancer":
        ready = [name for name in GROUPS["api"] if name not in faults.away]
        yield f'haproxy_backend_active_servers{{proxy="api"}} {len(ready)}'
        for name in GROUPS["api"]:
            yield f'haproxy_server_status{{proxy="api",server="{name}",state="UP"}} {int(name in ready)}'
    else:
        yield 'haproxy_server_status{proxy="watch",server="local",state="UP"} 1'


def _assistant(host: str, group: str, seconds: float, faults: Faults) -> Iterator[str]:
    route, failed = "/api/v1/knowledge-bases/{name}/ask", seconds * faults.failing
    for status, count in {"200": seconds - failed, "503": failed}.items():
        yield f'ka_http_requests_total{{method="POST",route="{route}",status="{status}"}} {count}'
    for le, share in {"0.1": 0.2, "0.5": 0.91, "1.0": 0.98, "5.0": 1, "+Inf": 1}.items():
        yield f'ka_first_token_seconds_bucket{{le="{le}"}} {seconds * share}'
    yield f"ka_first_token_seconds_count {seconds}"
    yield f'ka_answers_total{{kind="extract"}} {seconds}'
    yield f"ka_refusals_total {seconds * 0.03}"
    yield f'ka_degraded_answers_total{{cause="uncited"}} {seconds * 0.02}'
    for state, count in {"ready": 1840, "queued": 3, "failed": 1}.items():
        yield f'ka_documents{{state="{state}"}} {count}'
    yield "ka_queue_oldest_seconds 4"
    yield f'ka_ingest_stage_seconds_count{{stage="embed"}} {seconds * 0.4}'


def _postgres(host: str, group: str, seconds: float, faults: Faults) -> Iterator[str]:
    yield "pg_up 1"
    yield f"pg_replication_lag_seconds {0 if host == PRIMARY else 0.2}"
    yield f'pg_stat_database_xact_commit{{datname="knowledge"}} {seconds * 31}'
    yield f'pg_database_size_bytes{{datname="knowledge"}} {0.7 * GIB}'
    yield 'pg_stat_activity_count{state="idle"} 14'
    if host == PRIMARY:
        for name in GROUPS["postgres"][1:]:
            if name not in faults.away:
                yield f'pg_stat_replication_pg_wal_lsn_diff{{application_name="{name}"}} 92000'


def _patroni(host: str, group: str, seconds: float, faults: Faults) -> Iterator[str]:
    facts = {
        "postgres_running": True,
        "primary": host == PRIMARY,
        "replica": host != PRIMARY,
        "sync_standby": host == "postgres2",
        "postgres_streaming": host != PRIMARY,
        "is_paused": False,
    }
    for name, true in facts.items():
        yield f'patroni_{name}{{scope="ka"}} {int(true)}'
    yield 'patroni_postgres_timeline{scope="ka"} 7'


def _etcd(host: str, group: str, seconds: float, faults: Faults) -> Iterator[str]:
    yield "etcd_server_has_leader 1"
    yield f"etcd_server_is_leader {int(host == PRIMARY)}"
    for le, share in {"0.001": 0.4, "0.008": 0.96, "0.032": 1, "+Inf": 1}.items():
        yield f'etcd_disk_wal_fsync_duration_seconds_bucket{{le="{le}"}} {seconds * 9 * share}'


def _prometheus(host: str, group: str, seconds: float, faults: Faults) -> Iterator[str]:
    yield "prometheus_tsdb_head_series 14870"
    yield f"prometheus_tsdb_storage_blocks_bytes {0.4 * GIB}"
    yield f"process_resident_memory_bytes {0.19 * GIB}"
    yield "prometheus_config_last_reload_successful 1"
    yield "prometheus_notifications_alertmanagers_discovered 1"
    yield 'prometheus_rule_evaluation_failures_total{rule_group="host"} 0'


def _outside(host: str, group: str, seconds: float, faults: Faults) -> Iterator[str]:
    for check in ("page", "ready", "question"):
        right = check != "question" or not faults.failing
        yield f'probe_success{{balancer="balancer1",check="{check}"}} {int(right)}'


_LINES = {
    "node": _node,
    "haproxy": _haproxy,
    "assistant": _assistant,
    "postgres": _postgres,
    "patroni": _patroni,
    "etcd": _etcd,
    "prometheus": _prometheus,
    "outside": _outside,
}
