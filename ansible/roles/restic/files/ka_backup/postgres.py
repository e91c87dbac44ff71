"""The database on this host: SQL through its Unix socket, and Patroni's view of all servers."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ka_backup.config import Config
from ka_backup.errors import BackupError

SOCKET = "/run/postgresql"
PATRONI = 8008
HEALTHY = ("running", "streaming")


class DatabaseAway(BackupError):
    """It cannot be asked now."""


def ask(statement: str, database: str = "postgres", socket: str = SOCKET, seconds: float = 30) -> Any:
    """What a statement returns, as JSON: its one value, decoded; None when there is none.

    The statement itself makes JSON of what it returns. Raises DatabaseAway.
    """
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", socket, "-d", database]
    # one more second here: what PostgreSQL ends itself leaves a reason
    limit = f"-c statement_timeout={int(seconds * 1000)} -c client_min_messages=warning"
    environment = {**os.environ, "PGOPTIONS": limit, "PGCONNECT_TIMEOUT": "5", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            input=statement,
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds + 5,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DatabaseAway(f"The database does not answer ({error}). See: journalctl -u patroni") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"psql ended with {done.returncode}."]
        why = next((line for line in lines if "ERROR:" in line or "FATAL:" in line), lines[-1])
        raise DatabaseAway(f"The database does not do what it is asked: {why} See: journalctl -u patroni")
    try:
        return json.loads(done.stdout) if done.stdout.strip() else None
    except ValueError as error:
        raise DatabaseAway(f"The database answers no JSON: {done.stdout[:80]!r}.") from error


def is_primary(socket: str = SOCKET) -> bool:
    """Whether it can be written to here; raises DatabaseAway."""
    return bool(ask("SELECT to_json(NOT pg_is_in_recovery())", socket=socket, seconds=5))


MARKER = """
SET synchronous_commit = local; -- says how far the WAL goes that leaves this host; nobody waits for it
CREATE TABLE IF NOT EXISTS fleet_marker (at timestamptz PRIMARY KEY);
DELETE FROM fleet_marker WHERE at < now() - interval '1 day';
INSERT INTO fleet_marker VALUES (clock_timestamp()) ON CONFLICT DO NOTHING;
SELECT pg_walfile_name(pg_switch_wal() - 1) AS file \\gset
SELECT json_build_object('file', :'file', 'at', extract(epoch FROM max(at))) FROM fleet_marker;
"""


def mark(socket: str = SOCKET) -> tuple[str, float]:
    """On the primary: write the moment into the database, end the segment; its name, and the moment."""
    found = ask(MARKER, socket=socket, seconds=10)
    return str(found["file"]), float(found["at"])


def system(socket: str = SOCKET) -> str:
    """The cluster's system identifier, the same for all servers and after a restore."""
    return str(ask("SELECT to_json(system_identifier::text) FROM pg_control_system()", socket=socket))


# What a set says of the data, as of one moment.
CONTENT = """
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT json_build_object(
    'rows', json_build_object(
        'documents', (SELECT count(*) FROM documents),
        'pages', (SELECT count(*) FROM pages),
        'chunks', (SELECT count(*) FROM chunks),
        'knowledge_bases', (SELECT count(*) FROM knowledge_bases)),
    'keys', (SELECT coalesce(json_agg(DISTINCT sha256), '[]') FROM documents));
COMMIT;
"""
# A fleet whose service has never run has no tables yet.
EMPTY = {"rows": {"documents": 0, "pages": 0, "chunks": 0, "knowledge_bases": 0}, "keys": []}


def content(database: str = "assistant", socket: str = SOCKET) -> dict[str, Any]:
    """``rows`` by table, and ``keys``: the SHA-256 of all documents. Raises DatabaseAway."""
    there = ask("SELECT to_json(to_regclass('public.chunks') IS NOT NULL)", database, socket)
    if not there:
        return dict(EMPTY)
    found: dict[str, Any] = ask(CONTENT, database, socket, seconds=300)
    return found


def members(config: Config) -> list[dict[str, Any]]:
    """All servers as Patroni on this host sees them; raises DatabaseAway."""
    try:
        # the repository's may be another authority
        context = ssl.create_default_context(cafile=Path(config.certificate).parent / "ca.crt")
        connection = http.client.HTTPSConnection(config.host, PATRONI, timeout=10, context=context)
        try:
            connection.request("GET", "/cluster")
            answer = connection.getresponse()
            found: list[dict[str, Any]] = (
                json.load(answer)["members"] if answer.status == HTTPStatus.OK else []
            )
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise DatabaseAway(f"Patroni does not answer ({error}). See: journalctl -u patroni") from error
    return found


def whose_turn(servers: list[dict[str, Any]]) -> str:
    """Who makes the base backup: the first healthy replica by name, else the primary; empty: nobody can."""
    healthy = [one for one in servers if one.get("state") in HEALTHY]
    replicas = sorted(str(one["name"]) for one in healthy if one.get("role") != "leader")
    return next(iter(replicas or sorted(str(one["name"]) for one in healthy)), "")
