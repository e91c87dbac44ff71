"""Documents of an older moment into the fleet that serves: return look|make, as postgres.

Standard input is a JSON object: ``folder`` (emptied before and after), ``knowledge_base``, ``document``
(empty: all), ``time``, ``overwrite`` (whether other contents under the same names may be replaced), ``url``,
``ca``, ``seconds``.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ka_backup import drill, gather, returning, scratch, sets
from ka_backup.config import Config
from ka_backup.errors import BackupError, Incomplete, Unusable

PLACE = "returning"  # the folder's name; no other one is emptied


@dataclass(frozen=True)
class Wanted:
    """See above."""

    folder: str
    knowledge_base: str
    time: str
    url: str
    document: str = ""
    overwrite: bool = False
    ca: str = ""
    seconds: int = 600


def main(config: Config, arguments: list[str]) -> int:
    """Prints as JSON what was, or would be, brought back; 1 when some of it cannot be read."""
    if arguments not in (["look"], ["make"]):
        raise Unusable("Say look or make, and what is wanted as JSON on standard input.")
    wanted = decode(sys.stdin.read())
    folder = Path(wanted.folder)
    if folder.name != PLACE or not folder.is_dir():
        raise Unusable(f"{folder} is no folder called {PLACE}. Run this by return.yml.")
    drill.clear(folder)
    try:
        facts = bring(config, wanted, folder, make=arguments == ["make"])
    finally:
        drill.clear(folder)
    sys.stdout.write(json.dumps(facts) + "\n")
    if facts["problems"]:
        raise Incomplete("Not all came back as it was: " + " ".join(facts["problems"]))
    return 0


def decode(text: str) -> Wanted:
    """What is wanted. Raises Unusable."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unusable("Standard input is no JSON object. Run this by return.yml.")
    values = {}
    for each in fields(Wanted):
        kind: Any = {"bool": bool, "int": int}.get(str(each.type), str)
        if each.name in found:
            if type(found[each.name]) is not kind:
                raise Unusable(f"“{each.name}” is no {kind.__name__}. Run this by return.yml.")
            values[each.name] = found[each.name]
    try:
        return Wanted(**values)
    except TypeError as error:
        raise Unusable(f"Something is not said ({error}). Run this by return.yml.") from None


def bring(config: Config, wanted: Wanted, folder: Path, *, make: bool) -> dict[str, Any]:
    """Recover, choose, fetch, upload, wait. Nothing is uploaded until all files that there are are here."""
    begun, moment = time.monotonic(), sets.moment(wanted.time)
    fleet = returning.Fleet(wanted.url, wanted.ca)
    found, said = sets.find(config, moment)
    gathered = gather.fetch(config, found, folder, until=moment)
    with scratch.recovered(gathered, folder / "socket", scratch.Target.at(moment)) as server:
        documents = returning.held(str(server.socket), wanted.knowledge_base, wanted.document)
    if not documents:
        one = f"“{wanted.document}” in " if wanted.document else "document in "
        what = f"{one}the knowledge base {wanted.knowledge_base}"
        raise BackupError(f"At {wanted.time} there was no {what}. Take another moment or name.")
    plan = returning.plan(documents, fleet.documents(wanted.knowledge_base))
    facts: dict[str, Any] = {
        "set": found.set.id,
        "said": said + gathered.said,
        "there": len(plan.there),
        "upload": [one.name for one in plan.upload],
        "changed": plan.changed,
        "problems": [],
    }
    if make and plan.upload:
        if plan.changed and not wanted.overwrite:
            raise BackupError(
                f"{len(plan.changed)} documents have another content now "
                f"({returning.some_of(plan.changed)}). "
                "Nothing was changed. If they may be replaced: -e return_overwrite=yes"
            )
        facts["problems"] = put(config, wanted, fleet, plan.upload, folder)
    return facts | {"seconds": round(time.monotonic() - begun, 1)}


def put(
    config: Config, wanted: Wanted, fleet: returning.Fleet, upload: list[returning.Document], folder: Path
) -> list[str]:
    """Sentences about what did not come back, or cannot be read."""
    files, lost = returning.files(config, upload, sets.moment(wanted.time), folder)
    if not files:
        raise Incomplete(" ".join(["Nothing was uploaded.", *lost]))
    fleet.make(wanted.knowledge_base)
    ids = {
        fleet.upload(wanted.knowledge_base, one.name, files[one.sha256]): one.name
        for one in upload
        if one.sha256 in files
    }
    return lost + fleet.wait(ids, wanted.seconds)
