#!/usr/bin/python
"""What a host of the fleet can say about its own health; nothing is changed and nothing is judged."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: health
short_description: What a host of the fleet can say about its own health
description:
  - Read only. Each part is looked at even when others fail.
  - A part that cannot be looked at says why, as C(error).
options:
  tls: {type: path, required: true, description: "Folder of the host's key and certificates, and of copies."}
  profile: {type: path, required: true, description: Link to the release that runs.}
  mounts: {type: list, elements: str, required: true, description: Whose space is looked at.}
  rules: {type: str, required: true, description: "The firewall's rules as they should be."}
  served: {type: list, elements: int, default: [], description: Ports that show a certificate.}
  address: {type: str, required: true, description: Where the host listens.}
  api: {type: int, default: 0, description: Port of the API; 0 where there is none. The same for the others.}
  patroni: {type: int, default: 0, description: Port of Patroni.}
  etcd: {type: int, default: 0, description: Port of etcd for clients.}
  balancer: {type: str, default: "", description: "Socket of HAProxy's master process."}
  figures: {type: str, default: "", description: Folder with figures of backups; empty for none.}
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: How it is
  health:
    tls: /etc/knowledge-assistant/tls
    profile: /nix/var/nix/profiles/ka
    mounts: [/, /data]
    rules: "{{ firewall_rules }}"
    address: 192.0.2.1
"""
RETURN = """
parts: {type: dict, returned: always, description: What was found, by part.}
"""
SPEC: dict[str, dict[str, Any]] = {
    "tls": {"type": "path", "required": True},
    "profile": {"type": "path", "required": True},
    "mounts": {"type": "list", "elements": "str", "required": True},
    "rules": {"type": "str", "required": True},
    "served": {"type": "list", "elements": "int", "default": []},
    "address": {"type": "str", "required": True},
    "api": {"type": "int", "default": 0},
    "patroni": {"type": "int", "default": 0},
    "etcd": {"type": "int", "default": 0},
    "balancer": {"type": "str", "default": ""},
    "figures": {"type": "str", "default": ""},
}
TIMEOUT = 5.0
TABLE = ("inet", "knowledge_assistant")
POSTGRES = 5432
# https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format, as ka_backup writes it
SAMPLE = re.compile(r"^(ka_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')
# PostgreSQL's manual, "Message Formats", SSLRequest: length 8, code 80877103
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
REPLICATION = """
    SELECT coalesce(json_agg(json_build_object('name', application_name, 'state', state, 'sync', sync_state,
      'bytes', greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0),
      'seconds', coalesce(extract(epoch FROM replay_lag), 0))), '[]')
    FROM pg_stat_replication
"""


class Host:
    """This host, asked through its own ports with its own certificate."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.wanted = wanted
        self.tls = Path(wanted["tls"])

    def parts(self) -> dict[str, Callable[[], Any]]:
        """What is to be looked at on a host like this, by name."""
        found: dict[str, Callable[[], Any]] = {
            "certificates": self.certificates,
            "disks": self.disks,
            "listening": listening,
            "firewall": self.firewall,
            "release": self.release,
            "failed": failed_units,
        }
        own: dict[str, Callable[[], Any]] = {
            "api": self.ready,
            "patroni": self.database,
            "etcd": self.etcd,
            "balancer": self.backends,
            "figures": self.backups,
        }
        return found | {name: look for name, look in own.items() if self.wanted[name]}

    def certificates(self) -> list[dict[str, Any]]:
        """The days that each certificate still holds: those in files, and those that services show."""
        files = sorted(self.tls.rglob("*.crt"))
        found = [{"where": str(file), "days": _days(_end_of_file(file))} for file in files]
        for port in self.wanted["served"]:
            where = f"port {port}"
            try:
                found.append({"where": where, "days": _days(self._end_of_served(port))})
            except ConnectionRefusedError:
                continue  # that nothing listens is said by what does
            except OSError as error:
                found.append({"where": where, "error": str(error)})
        return found

    def disks(self) -> list[dict[str, Any]]:
        """Free bytes, and free share of bytes and of files in percent, of each mount that is one."""
        found = []
        for path in self.wanted["mounts"]:
            if not os.path.ismount(path):
                continue
            space = os.statvfs(path)
            files = 100.0 * space.f_favail / space.f_files if space.f_files else 100.0
            percent = 100.0 * space.f_bavail / space.f_blocks
            free = space.f_bavail * space.f_frsize
            found.append({"mount": path, "bytes": free, "percent": percent, "files_percent": files})
        return found

    def firewall(self) -> dict[str, Any]:
        """Lines that are loaded and should not be, and the other way round.

        The rules as they should be are loaded in a network namespace of their own and read back as nft writes
        them: so both sides are spelt alike.
        """
        loaded = _run(["nft", "list", "table", *TABLE]).splitlines()
        script = f"nft --file - && nft list table {' '.join(TABLE)}"
        right = _run(["unshare", "--net", "sh", "-c", script], self.wanted["rules"]).splitlines()
        return {
            "lacking": [line.strip() for line in right if line not in loaded],
            "foreign": [line.strip() for line in loaded if line not in right],
        }

    def release(self) -> str:
        """Store path of the release that runs."""
        return str(Path(self.wanted["profile"]).resolve(strict=True))

    def ready(self) -> dict[str, str]:
        """The parts of the API's ``/readyz``, each ``ok`` or what is wrong with it."""
        found: dict[str, str] = self._get(self.wanted["api"], "/readyz")["parts"]
        return found

    def database(self) -> dict[str, Any]:
        """Patroni's view of all members; on the primary also how far each standby is behind."""
        cluster = self._get(self.wanted["patroni"], "/cluster")
        me = socket.gethostname()
        members = cluster["members"]
        leads = any(member["name"] == me and member["role"] == "leader" for member in members)
        psql = [
            "runuser",
            "-u",
            "postgres",
            "--",
            "psql",
            "-XAtq",
            "-h",
            "/run/postgresql",
            "-c",
            REPLICATION,
        ]
        return {
            "members": members,
            "paused": bool(cluster.get("pause")),
            "standbys": json.loads(_run(psql)) if leads else None,
        }

    def etcd(self) -> dict[str, Any]:
        """Whether this member is healthy, who leads in its view, all members' names, and alarms."""
        port = self.wanted["etcd"]
        status = self._get(port, "/v3/maintenance/status", {})
        if "error" in status:
            raise OSError(status["error"])
        members = self._get(port, "/v3/cluster/member/list", {})["members"]
        names = {member["ID"]: member.get("name", "unstarted") for member in members}
        return {
            "healthy": self._get(port, "/health").get("health") == "true",
            "leader": names.get(status.get("leader", ""), ""),
            "members": sorted(names.values()),
            "alarms": status.get("errors", []),
        }

    def backends(self) -> list[dict[str, str]]:
        """Which API hosts HAProxy sends requests to, and why not to the others."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(self.wanted["balancer"])
            connection.sendall(b"@1 show stat json\n")
            connection.shutdown(socket.SHUT_WR)  # the master process waits for more otherwise
            text = b"".join(iter(lambda: connection.recv(65536), b""))
        rows = [
            {field["field"]["name"]: field["value"]["value"] for field in row} for row in json.loads(text)
        ]
        return [
            {"name": row["svname"], "status": row["status"], "why": str(row.get("last_chk", ""))}
            for row in rows
            if row.get("check_status") is not None
        ]

    def backups(self) -> list[dict[str, Any]]:
        """What programs of backups have measured here: name, labels, value."""
        found = []
        for path in sorted(Path(self.wanted["figures"]).glob("backup-*.prom")):
            for name, labels, value in SAMPLE.findall(path.read_text(encoding="utf-8")):
                found.append({"name": name, "labels": dict(LABEL.findall(labels)), "value": float(value)})
        return found

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.tls / "ca.crt"))
        context.load_cert_chain(self.tls / "host.crt", self.tls / "host.key")
        return context

    def _get(self, port: int, path: str, body: Any = None) -> Any:
        """JSON of an answer, whatever its status."""
        address = self.wanted["address"]
        connection = http.client.HTTPSConnection(address, port, timeout=TIMEOUT, context=self._context())
        try:
            connection.request(
                "GET" if body is None else "POST", path, None if body is None else json.dumps(body)
            )
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def _end_of_served(self, port: int) -> str:
        with socket.create_connection((self.wanted["address"], port), TIMEOUT) as plain:
            if port == POSTGRES:
                plain.sendall(SSL_REQUEST)
                plain.recv(1)
            with self._context().wrap_socket(plain, server_hostname=self.wanted["address"]) as secure:
                return str((secure.getpeercert() or {})["notAfter"])


def listening() -> list[dict[str, Any]]:
    """What can be reached from other hosts: protocol, address, port and program of each socket."""
    found = []
    for line in _run(["ss", "-Htulnp"]).splitlines():
        protocol, _, _, _, local, *rest = line.split()
        address, _, port = local.rpartition(":")
        address = address.strip("[]").split("%")[0]
        if address.startswith("127.") or address == "::1":
            continue
        program = re.search(r'"([^"]+)"', " ".join(rest))
        name = program[1] if program else "something"
        found.append({"protocol": protocol, "address": address, "port": int(port), "program": name})
    return found


def failed_units() -> list[str]:
    """Names of units that have failed."""
    units = json.loads(_run(["systemctl", "list-units", "--failed", "--output=json"]))
    return [unit["unit"] for unit in units]


def _end_of_file(file: Path) -> str:
    return _run(["openssl", "x509", "-noout", "-enddate", "-in", str(file)]).strip().removeprefix("notAfter=")


def _days(end: str) -> float:
    return round((ssl.cert_time_to_seconds(end) - time.time()) / 86400, 1)


def _run(command: list[str], text: str | None = None) -> str:
    """Output of a command. Raises OSError with what it said when it fails."""
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=2 * TIMEOUT, check=False
    )
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _look(look: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"found": look()}
    except subprocess.TimeoutExpired as error:
        return {"error": f"{error.cmd[0]} takes longer than {error.timeout:.0f} s"}
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    now = time.time()
    host = Host(module.params)
    module.exit_json(changed=False, now=now, parts={name: _look(look) for name, look in host.parts().items()})


if __name__ == "__main__":
    main()
