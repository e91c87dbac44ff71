"""Wait until all servers run; on the primary, settle what they agree on and who may log in.

Usage: agree.py look|make, as postgres. Environment: ADDRESS (Patroni's), TLS (folder), AGREED (JSON), MEMBERS
(number of servers). Prints what was, or would be, changed.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from http import HTTPStatus
from typing import Any

WAIT = 120.0
USERS = {
    # what pg_rewind needs, and no more (PostgreSQL's manual, pg_rewind, "Notes")
    "rewinder": """
        CREATE ROLE rewinder LOGIN;
        GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean) TO rewinder;
        GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text, boolean) TO rewinder;
        GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text) TO rewinder;
        GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO rewinder;
    """,
    "assistant": "CREATE ROLE assistant LOGIN;",
    # may read what the server measures, and no table
    "monitor": "CREATE ROLE monitor LOGIN IN ROLE pg_monitor;",
}


def patroni(path: str, change: Any = None) -> Any:
    """What Patroni answers; with a change, after it."""
    tls = os.environ["TLS"]
    context = ssl.create_default_context(cafile=f"{tls}/ca.crt")
    context.load_cert_chain(f"{tls}/host.crt", f"{tls}/host.key")
    data = json.dumps(change).encode() if change is not None else None
    connection = http.client.HTTPSConnection(os.environ["ADDRESS"], timeout=10, context=context)
    try:
        connection.request("PATCH" if data else "GET", path, data)
        answer = connection.getresponse()
        return json.load(answer) if answer.status == HTTPStatus.OK else {}
    finally:
        connection.close()


def wait() -> dict[str, Any]:
    """The cluster, once it has a primary and every server streams.

    A server that is still being copied counts as not there yet.
    """
    last = "Patroni does not answer"
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        try:
            cluster: dict[str, Any] = patroni("/cluster")
        except (OSError, http.client.HTTPException, ValueError) as error:
            last = f"Patroni does not answer: {error}"
        else:
            members = cluster.get("members", [])
            last = ", ".join(f"{m['name']} is {m['role']} and {m['state']}" for m in members)
            good = [m for m in members if m["state"] in ("running", "streaming")]
            if len(good) == int(os.environ["MEMBERS"]) and any(m["role"] == "leader" for m in good):
                return cluster
        time.sleep(0.5)
    sys.exit(f"The database is not whole after {WAIT:.0f} s: {last}. See: journalctl -u patroni")


def different(wanted: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What has to be changed in ``now``."""
    change: dict[str, Any] = {}
    for name, value in wanted.items():
        if isinstance(value, dict):
            inner = different(value, now.get(name) or {})
            if inner:
                change[name] = inner
        elif now.get(name) != value:
            change[name] = value
    return change


def say(text: str) -> None:
    """One line for Ansible: something was, or would be, changed."""
    sys.stdout.write(text + "\n")


def sql(text: str, database: str = "postgres") -> str:
    """Output of a statement, through the local socket."""
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "/run/postgresql", "-d", database, "-c", text]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """See above."""
    make = sys.argv[1] == "make"
    wait()
    if sql("SELECT pg_is_in_recovery()") == "t":
        return
    change = different(json.loads(os.environ["AGREED"]), patroni("/config"))
    if change:
        say("agreed on: " + json.dumps(change, sort_keys=True))
        if make:
            patroni("/config", change)
    roles = sql("SELECT rolname FROM pg_roles").split()
    for user, statement in USERS.items():
        if user not in roles:
            say(f"user {user}")
            if make:
                sql(statement)
    if "assistant" not in sql("SELECT datname FROM pg_database").split():
        say("database assistant")
        if make:
            sql("CREATE DATABASE assistant OWNER assistant")
            sql("REVOKE ALL ON DATABASE assistant FROM PUBLIC")


main()
