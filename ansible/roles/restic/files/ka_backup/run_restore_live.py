"""What a restore would take from a database server: restore-live FOLDER SYSTEM UNTIL QUESTIONS, as postgres.

FOLDER is its data folder, SYSTEM the identifier of the database that is to come, UNTIL the moment up to which
it has everything, QUESTIONS the knowledge base of the known questions, whose documents every new fleet has.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ka_backup import postgres, sets
from ka_backup.config import Config
from ka_backup.errors import Unusable

CONTROL = "/usr/lib/postgresql/17/bin/pg_controldata"
SYSTEM = re.compile(r"^Database system identifier:\s+(\d+)$", re.MULTILINE)
MODIFIED = re.compile(r"^pg_control last modified:\s+(.+)$", re.MULTILINE)
HELD = """
SELECT json_build_object('documents', count(*), 'newest', max(d.updated_at) AT TIME ZONE 'UTC')
FROM documents d JOIN knowledge_bases k ON k.id = d.knowledge_base_id WHERE k.name <> '{}';
"""
NAME = re.compile(r"[a-z0-9-]{1,63}")


def main(_config: Config, arguments: list[str]) -> int:
    """Prints what would be lost, a sentence, or nothing."""
    if len(arguments) != 4 or not NAME.fullmatch(arguments[3]):
        raise Unusable("Say FOLDER SYSTEM UNTIL QUESTIONS.")
    folder, system, until, questions = arguments
    sys.stdout.write(lost(look(Path(folder), questions), system, sets.moment(until)))
    return 0


def look(folder: Path, questions: str) -> dict[str, Any]:
    """``system`` (empty: there is none), ``answers``, ``documents`` (None: nobody knows) and ``newest``."""
    try:
        system = postgres.system()
    except postgres.DatabaseAway:
        return stopped(folder)
    try:
        held = postgres.ask(HELD.format(questions), "assistant") or {}
    except postgres.DatabaseAway:  # no such table: nobody has used it yet, or what was in it is gone
        held = {"documents": 0, "newest": None}
    return {"system": system, "answers": True, **held}


def stopped(folder: Path) -> dict[str, Any]:
    """The same of a database that does not run."""
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = [CONTROL, "-D", str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError:
        return read("")
    return read(done.stdout)


def read(said: str) -> dict[str, Any]:
    """What pg_controldata has printed."""
    system, modified = SYSTEM.search(said), MODIFIED.search(said)
    newest = None
    if modified:
        when = datetime.strptime(" ".join(modified[1].split()), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        newest = when.isoformat()
    return {"system": system[1] if system else "", "answers": False, "documents": None, "newest": newest}


def lost(found: dict[str, Any], system: str, until: datetime) -> str:
    """What would be lost that is newer than what comes, as a sentence; empty when there is nothing."""
    newest = found["newest"] and sets.moment(zoned(found["newest"]))
    shown = f"{newest:%Y-%m-%d %H:%M:%S} UTC" if newest else "unknown"
    if not found["system"]:
        return ""
    if found["system"] != system:
        if found["documents"] == 0:
            return ""
        number = "nobody knows how many" if found["documents"] is None else found["documents"]
        return f"Another database is there, with {number} documents (last change: {shown})."
    if found["answers"]:
        # a database that runs has always more than what was saved of it
        return (
            f"The database runs, and all its changes after {until:%Y-%m-%d %H:%M:%S} UTC would be lost "
            f"({found['documents']} documents, last change: {shown})."
        )
    if newest and newest > until:
        return f"The database does not run, but was written at {shown}, after {until:%Y-%m-%d %H:%M:%S} UTC."
    return ""


def zoned(text: str) -> str:
    """A moment of UTC as PostgreSQL's JSON has it, with its zone."""
    return text if re.search(r"(Z|[+-]\d\d:\d\d)$", text) else f"{text}+00:00"
