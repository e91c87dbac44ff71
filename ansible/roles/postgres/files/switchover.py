"""Hand the primary's part to a synchronous standby, and see how long nothing could be written.

Usage: switchover.py look|make [NAME], as postgres on every server; all but the primary end at once.
Environment: ADDRESSES (of all servers by name, JSON), TLS (folder). Prints a JSON object: ``from``, ``to``,
``gap`` (seconds without a write, as a client sees it), ``whole`` (seconds until every server streamed again).
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from http import HTTPStatus
from typing import Any

WAIT = 120.0
LOCAL = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "/run/postgresql", "-d", "postgres", "-c"]
# A commit that waits for its synchronous standby like any other, and leaves nothing behind in a table
# (PostgreSQL's manual, "System Administration Functions").
WRITE = "SELECT pg_logical_emit_message(true, 'switchover', '')"
LOGIN = "user=rewinder dbname=postgres port=5432 target_session_attrs=read-write connect_timeout=2"


class Writer(threading.Thread):
    """Writes again and again, to whichever server takes it, and remembers when one had succeeded."""

    def __init__(self, addresses: dict[str, str]) -> None:
        super().__init__(daemon=True)
        tls = os.environ["TLS"]
        certificate = (
            f"sslmode=verify-full sslrootcert={tls}/ca.crt sslcert={tls}/host.crt sslkey={tls}/host.key"
        )
        limit = "options='-c statement_timeout=5s'"
        target = f"host={','.join(addresses.values())} {LOGIN} {certificate} {limit}"
        self.command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", target, "-c", WRITE]
        self.successes: list[float] = []
        self.said = ""
        self.ended = threading.Event()

    def run(self) -> None:
        """Until :meth:`stop`."""
        while not self.ended.is_set():
            done = subprocess.run(self.command, check=False, capture_output=True, text=True)
            if done.returncode == 0:
                self.successes.append(time.monotonic())
            else:
                self.said = done.stderr.strip()
                time.sleep(0.02)

    def wait_for(self, count: int) -> None:
        """Until so many more writes have succeeded; ends with a sentence when that takes too long."""
        wanted, until = len(self.successes) + count, time.monotonic() + WAIT
        while len(self.successes) < wanted:
            if time.monotonic() > until:
                sys.exit(f"Nothing can be written after {WAIT:.0f} s: {self.said}. See verify.yml.")
            time.sleep(0.02)

    def stop(self) -> float:
        """The longest time between two successes, in seconds."""
        self.ended.set()
        self.join()
        pairs = zip(self.successes, self.successes[1:], strict=False)
        return max(later - earlier for earlier, later in pairs)


def patroni(address: str, path: str, wanted: Any = None) -> tuple[int, str]:
    """Status and text of Patroni's answer."""
    tls = os.environ["TLS"]
    context = ssl.create_default_context(cafile=f"{tls}/ca.crt")
    context.load_cert_chain(f"{tls}/host.crt", f"{tls}/host.key")
    connection = http.client.HTTPSConnection(address, 8008, timeout=WAIT, context=context)
    try:
        connection.request("POST" if wanted else "GET", path, json.dumps(wanted) if wanted else None)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"Patroni does not answer: {error}. See: journalctl -u patroni")
    finally:
        connection.close()


def members(address: str) -> list[dict[str, Any]]:
    """All servers, as Patroni sees them."""
    found: list[dict[str, Any]] = json.loads(patroni(address, "/cluster")[1])["members"]
    return found


def choose(servers: list[dict[str, Any]], wanted: str) -> str:
    """The server to hand over to: the wanted one, else the synchronous standby that is least behind."""
    fit = [one for one in servers if one["role"] == "sync_standby" and one["state"] == "streaming"]
    if not fit:
        states = ", ".join(f"{one['name']} is {one['role']} and {one['state']}" for one in servers)
        sys.exit(f"No synchronous standby streams, so nothing was changed: {states}. See verify.yml.")
    # Patroni says "unknown" where it does not know
    names = [one["name"] for one in sorted(fit, key=lambda one: (isinstance(one["lag"], str), one["lag"]))]
    if wanted and wanted not in names:
        known = wanted in {one["name"] for one in servers}
        why = "is not synchronous now, and might lack a write" if known else "is no server of this database"
        sys.exit(f"{wanted} {why}; nothing was changed. Possible: {', '.join(names)}.")
    return wanted or names[0]


def whole(address: str, primary: str) -> None:
    """Until all servers stream from the new primary, one of them synchronously, on its timeline."""
    until, said = time.monotonic() + WAIT, ""
    while time.monotonic() < until:
        servers = members(address)
        said = ", ".join(f"{one['name']} is {one['role']} and {one['state']}" for one in servers)
        roles = {one["name"]: one["role"] for one in servers}
        good = all(one["state"] in ("running", "streaming") for one in servers)
        one_timeline = len({one.get("timeline") for one in servers}) == 1
        if good and one_timeline and roles.get(primary) == "leader" and "sync_standby" in roles.values():
            return
        time.sleep(0.3)
    sys.exit(f"{primary} is primary, but not all servers stream after {WAIT:.0f} s: {said}. See verify.yml.")


def hand_over(me: str, to: str, addresses: dict[str, str]) -> dict[str, Any]:
    """Do it."""
    # what the primary has to write before it may stop; twice, since the first lets much come together
    for _ in range(2):
        subprocess.run([*LOCAL, "CHECKPOINT"], check=True, capture_output=True)
    writer = Writer(addresses)
    writer.start()
    writer.wait_for(3)
    began = time.monotonic()
    status, text = patroni(addresses[me], "/switchover", {"leader": me, "candidate": to})
    if status != HTTPStatus.OK:
        sys.exit(f"Patroni did not switch over: {text.strip()} See: journalctl -u patroni")
    writer.wait_for(3)
    gap = writer.stop()
    whole(addresses[to], to)
    return {"from": me, "to": to, "gap": round(gap, 2), "whole": round(time.monotonic() - began, 1)}


def main() -> None:
    """See above."""
    mode, wanted = sys.argv[1], "".join(sys.argv[2:])
    me, addresses = socket.gethostname(), json.loads(os.environ["ADDRESSES"])
    servers = members(addresses[me])
    if me not in {one["name"] for one in servers if one["role"] == "leader"}:
        return
    result: dict[str, Any] = {"from": me, "to": me}
    if wanted != me:
        to = choose(servers, wanted)
        result = hand_over(me, to, addresses) if mode == "make" else {"from": me, "to": to}
    sys.stdout.write(json.dumps(result))


main()
