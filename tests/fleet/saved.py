"""What a fleet has saved, looked at beside its own programs: with restic alone, on the backup host."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.fleet.fleet import Fleet
from tests.fleet.plays import Played
from tests.fleet.prometheus import wait
from tests.fleet.troubles import PSQL
from tests.lab.errors import LabError
from tests.load import api
from tests.load.http import Broken

KEEPER, WATCHER = "backup1", "monitoring1"
FOLDER = "/data/restic-rest-server"
SETTINGS = "/etc/knowledge-assistant/backup.json"
BACKUP = 600.0  # seconds that backup.yml may take
SAVED = 60.0  # within which what was written has to be in a repository
# the fleet's password, which no command line holds
PASSWORD = "systemd-creds decrypt --name=ka.backup.password /etc/credstore.encrypted/ka.backup.password -"
_FIGURE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
Record = dict[str, Any]
Figures = dict[str, dict[tuple[tuple[str, str], ...], float]]


def restic(fleet: Fleet, repository: str, *words: str, timeout: float = 120) -> str:
    """What restic prints of a repository; it leaves nothing there. Raises LabError."""
    return fleet.output(KEEPER, _command(repository, *words), timeout=timeout)


def snapshots(fleet: Fleet, repository: str, tag: str) -> list[Record]:
    """Those with this tag, oldest first; none where there is no repository yet."""
    if fleet.lab.run(KEEPER, f"test -e {FOLDER}/{repository}/config").returncode:
        return []
    found: list[Record] = json.loads(restic(fleet, repository, "snapshots", "--json", "--tag", tag)) or []
    return sorted(found, key=lambda one: str(one["time"]))


def sets(fleet: Fleet) -> list[Record]:
    """All manifests, oldest first."""
    found = [
        json.loads(restic(fleet, name, "dump", str(one["id"]), "/set.json"))
        for name in fleet.hosts("postgres")
        for one in snapshots(fleet, name, "set")
    ]
    return sorted(found, key=lambda one: str(one["id"]))


def packs(fleet: Fleet, repository: str) -> list[str]:
    """Names of the files that hold what was saved."""
    names = fleet.output(KEEPER, f"find {FOLDER}/{repository}/data -type f -printf '%f\\n'").split()
    return sorted(name for name in names if len(name) == 64)


def figures(fleet: Fleet, host: str) -> Figures:
    """What a host's programs of backups say of themselves, by name and labels."""
    folder = settings(fleet, host)["metrics"]
    found: Figures = {}
    for name, labels, value in _FIGURE.findall(fleet.output(host, f"cat {folder}/backup-*.prom || true")):
        found.setdefault(name, {})[tuple(sorted(_LABEL.findall(labels)))] = float(value)
    return found


def figure(fleet: Fleet, host: str, name: str, **labels: str) -> float | None:
    """One of them; None where there is none."""
    return figures(fleet, host).get(name, {}).get(tuple(sorted(labels.items())))


def settings(fleet: Fleet, host: str) -> Record:
    """What a host knows about backups."""
    found: Record = json.loads(fleet.output(host, f"cat {SETTINGS}"))
    return found


def good(fleet: Fleet) -> str:
    """Id of the newest set that another host than its writer finds good, now; empty for none."""
    fleet.output(WATCHER, "systemctl start backup-sets.service", timeout=300)
    found = figures(fleet, WATCHER).get("ka_backup_set_timestamp_seconds", {})
    return max((dict(labels)["id"] for labels in found), default="")


def whole(fleet: Fleet, one: Record) -> bool:
    """Whether all of a set's base backup can be read; restic compares each part with its hash."""
    read = _command(str(one["base"]["repository"]), "dump", str(one["base"]["snapshot"]), "/base.tar")
    listed = f"set -o pipefail; {read} | tar -t | grep -x backup_label > /dev/null"
    return fleet.lab.run(KEEPER, shlex.join(["bash", "-c", listed]), timeout=600).returncode == 0


def passphrase(fleet: Fleet) -> Path:
    """File with what people alone know; made when it is first asked for."""
    file = fleet.home / "passphrase"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(f"{secrets.token_hex(16)}\n")
    return file


def escrow(fleet: Fleet) -> tuple[str, str]:
    """The option by which playbooks are told of it."""
    return "-e", f"escrow_passphrase_file={passphrase(fleet)}"


def confirmed(fleet: Fleet) -> tuple[str, str]:
    """The option by which restore.yml is told that it is meant."""
    return "-e", f"restore_confirm={fleet.lab.place.name}"


def back_up(fleet: Fleet) -> Record:
    """backup.yml; the set that it has made. Raises LabError for none."""
    before = {str(one["id"]) for one in sets(fleet)}
    fleet.play("backup", *escrow(fleet), timeout=BACKUP)
    made = [one for one in sets(fleet) if one["id"] not in before]
    if not made:
        raise LabError("backup.yml ended well, and there is no new set.")
    return made[-1]


def restored(fleet: Fleet, *options: str, timeout: float = 1200) -> Played:
    """restore.yml, confirmed; raises LabError if it fails."""
    return fleet.play("restore", *confirmed(fleet), *options, timeout=timeout)


def sql(fleet: Fleet, host: str, statement: str, database: str = "assistant", *, timeout: float = 60) -> str:
    """What PostgreSQL on a host answers."""
    asked = f"runuser -u postgres -- {PSQL} -d {database} -c {shlex.quote(statement)}"
    return fleet.output(host, asked, timeout=timeout)


def moment(fleet: Fleet) -> str:
    """Now, by the primary's clock, as restore_time takes it."""
    form = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
    return sql(fleet, fleet.member("leader"), f"SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', {form})")


def written(fleet: Fleet) -> tuple[str, str]:
    """The primary, and the segment of its log that all acknowledged writes are in or before."""
    leader = fleet.member("leader")
    return leader, sql(fleet, leader, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())")


def holds_log(fleet: Fleet, host: str, segment: str) -> bool:
    """Whether a host's repository has this segment."""
    look = [_command(host, "ls", "latest", "--tag", tag) for tag in ("wal", "wal-closed")]
    found = f"{{ {'; '.join(look)}; }} 2> /dev/null | grep -qF /{segment}."
    return fleet.lab.run(KEEPER, found, timeout=120).returncode == 0


def holds_document(fleet: Fleet, sha256: str) -> bool:
    """Whether the raw document can be had from its repository."""
    found = [
        json.loads(restic(fleet, fleet.hosts("objects")[0], "find", "--json", "--tag", tag, sha256) or "[]")
        for tag in ("objects-new", "objects")
    ]
    return any(found)


def log_saved(fleet: Fleet, seconds: float = SAVED) -> float:
    """Write something, and wait for its segment: seconds until it was in a repository.

    Fails when it is not within ``seconds``.
    """
    begun = time.monotonic()
    name = f"saved-{secrets.token_hex(4)}"
    made = fleet.loop.run(fleet.client.post(api.ROOT, {"name": name}))
    assert made.status == 201, made
    try:
        host, segment = written(fleet)
        wait(lambda: holds_log(fleet, host, segment), seconds, f"{segment} of {host} to be saved")
        return time.monotonic() - begun
    finally:
        with suppress(Broken):
            fleet.loop.run(fleet.client.request("DELETE", f"{api.ROOT}/{name}"))


def _command(repository: str, *words: str) -> str:
    """Reads, and leaves not even a lock behind."""
    command = ["restic", "-r", f"{FOLDER}/{repository}", "--no-lock", "--no-cache"]
    return shlex.join([*command, "--password-command", PASSWORD, *words])
