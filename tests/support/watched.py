"""A real Prometheus with the repository's rules and pages, reading a fleet that is figures alone."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from app.embedded.ports import free_port
from tests.support.paper_fleet import GROUPS, SERVICES, Faults, exposition
from tests.support.promtool import found
from tests.support.rules import FILES, load, yaml
from tests.support.running import running

MONITORING = Path(__file__).parent.parent.parent / "monitoring"


@contextmanager
def exporting(faults: Faults) -> Iterator[int]:
    """A server with each service's figures at /JOB/HOST; gives its port."""

    class Exporter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, job, host = self.path.split("/")
            wrong = host in faults.away or (job, host) in faults.stopped
            self.send_response(503 if wrong else 200)
            self.end_headers()
            if not wrong:
                self.wfile.write(exposition(job, host, faults).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Exporter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@contextmanager
def watched(folder: Path, faults: Faults) -> Iterator[str]:
    """Prometheus at work on such a fleet; gives its address once all was read and every rule used.

    It reads every second, alerts wait for nothing, and the pages lie where the role ``prometheus`` puts them.
    """
    with exporting(faults) as port:
        _settings(folder, port)
        shutil.copytree(MONITORING / "consoles", folder / "consoles")
        shutil.copytree(MONITORING / "runbooks", folder / "consoles" / "runbooks")
        address = f"127.0.0.1:{free_port()}"
        options = {
            "config.file": folder / "prometheus.yml",
            "storage.tsdb.path": folder / "data",
            "web.listen-address": address,
            "web.console.templates": folder / "consoles",
            "web.console.libraries": MONITORING / "consoles" / "libraries",
        }
        argv = [found("prometheus"), *(f"--{name}={value}" for name, value in options.items())]
        with running(argv, os.environ, folder / "log"):
            _wait(f"http://{address}", 30)
            yield f"http://{address}"


def _settings(folder: Path, port: int) -> None:
    rules = [group for path in FILES for group in load(path)["groups"]]
    for group in rules:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule.pop("for", None)
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": rules}), encoding="utf-8")
    jobs: dict[str, list[dict[str, Any]]] = {}
    for group, hosts in GROUPS.items():
        for job in ["node", *SERVICES[group]]:
            jobs.setdefault(job, []).extend(
                {
                    "targets": [f"127.0.0.1:{port}"],
                    "labels": {"host": host, "group": group, "__metrics_path__": f"/{job}/{host}"},
                }
                for host in hosts
            )
    settings = {
        "global": {
            "scrape_interval": "1s",
            "evaluation_interval": "1s",
            "external_labels": {"fleet": "ka"},
        },
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": job, "static_configs": targets} for job, targets in jobs.items()],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """What Prometheus has for an expression now."""
    found = json.loads(page(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"))
    result: list[dict[str, Any]] = found["data"]["result"]
    return result


def page(url: str) -> str:
    """A page of Prometheus; raises urllib.error.HTTPError, which has the reason, when it cannot be made."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def _wait(url: str, seconds: float) -> None:
    """Return once ten seconds of figures have come in and rules were used on them."""
    until = time.monotonic() + seconds
    while True:
        try:
            if query(url, "count_over_time(host:up[1m]) > 9"):
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        assert time.monotonic() < until, f"no rules were used within {seconds:.0f} s"
        time.sleep(0.2)
