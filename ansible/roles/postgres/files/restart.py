"""Restart servers whose settings wait for it, one by one: the standbys first, then the primary.

Usage: restart.py look|make, as postgres on one server. Environment: ADDRESSES (of all servers by name, JSON),
TLS (folder), LOOP (seconds in which Patroni takes in what was agreed on). Prints which were, or would be,
restarted, a line each.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from http import HTTPStatus
from typing import Any

WAIT = 120.0
RUNNING = ("running", "streaming")
# What it would otherwise have to write while it stops.
CHECKPOINT = ["psql", "-XAtq", "-h", "/run/postgresql", "-d", "postgres", "-c", "CHECKPOINT"]


def patroni(address: str, path: str, wanted: Any = None) -> tuple[int, str]:
    """Status and text of Patroni's answer; ends with a sentence when there is none."""
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
    status, text = patroni(address, "/cluster")
    if status != HTTPStatus.OK:
        sys.exit(f"Patroni knows no servers: {text.strip()} See: journalctl -u patroni")
    found: list[dict[str, Any]] = json.loads(text)["members"]
    return found


def whole(address: str, count: int) -> None:
    """Until all servers run, one as primary, and one follows it synchronously where there are several."""
    until, said = time.monotonic() + WAIT, ""
    while time.monotonic() < until:
        servers = members(address)
        said = ", ".join(f"{one['name']} is {one['role']} and {one['state']}" for one in servers)
        roles = [one["role"] for one in servers]
        good = len(servers) == count and all(one["state"] in RUNNING for one in servers)
        if good and "leader" in roles and ("sync_standby" in roles or count == 1):
            return
        time.sleep(0.5)
    sys.exit(f"After {WAIT:.0f} s not all servers run: {said}. No other one was restarted. See verify.yml.")


def turns(servers: list[dict[str, Any]]) -> list[str]:
    """Names of those that wait for a restart, the primary last."""
    waiting = [one for one in servers if one.get("pending_restart")]
    return [one["name"] for one in sorted(waiting, key=lambda one: (one["role"] == "leader", one["name"]))]


def main() -> None:
    """See above."""
    make = sys.argv[1] == "make"
    me, addresses = socket.gethostname(), json.loads(os.environ["ADDRESSES"])
    if make:
        # what was agreed on a moment ago is known to all
        time.sleep(float(os.environ["LOOP"]))
    done: list[str] = []
    while todo := [name for name in turns(members(addresses[me])) if name not in done]:
        name = todo[0]
        done.append(name)
        sys.stdout.write(f"{name} restarted, for settings that waited for it\n")
        if not make:
            continue
        whole(addresses[me], len(addresses))
        if name == me:
            subprocess.run(CHECKPOINT, check=False, capture_output=True)
        status, text = patroni(addresses[name], "/restart", {"restart_pending": True})
        if status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            sys.exit(f"{name} was not restarted: {text.strip()} See there: journalctl -u patroni")
        whole(addresses[me], len(addresses))


main()
