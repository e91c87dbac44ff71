"""Documents of an older moment, back into the fleet that serves: from a recovered database and snapshots."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ka_backup import postgres, run_restore_documents, sets
from ka_backup.config import Config
from ka_backup.errors import BackupError, Incomplete
from ka_backup.restic import Repository, Snapshot

READY, WORKING = "ready", ("queued", "parsing", "indexing")
PAGE, TIMEOUT, PIECE = 1000, 60.0, 1 << 20
NAMED = 5
# The versions that answered then; of a name that was read for the first time, that one.
HELD = """
SELECT coalesce(json_agg(found), '[]') FROM (
    SELECT DISTINCT ON (d.name) d.name, d.sha256, d.size_bytes, d.created_at AT TIME ZONE 'UTC' AS created_at
    FROM documents d JOIN knowledge_bases k ON k.id = d.knowledge_base_id
    WHERE k.name = :base AND (:name = '' OR d.name = :name)
    ORDER BY d.name, (d.state = 'ready') DESC, d.version DESC) found
"""


@dataclass(frozen=True, slots=True)
class Document:
    """One that was there; ``size_bytes`` and the moment of its upload as the database had them."""

    name: str
    sha256: str
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True)
class Plan:
    """What is uploaded, what is there already, and names that stand for another content now."""

    upload: list[Document]
    there: list[Document]
    changed: list[str]


def held(socket: str, knowledge_base: str, name: str = "") -> list[Document]:
    """What a recovered database holds of a knowledge base, or one document. Raises BackupError."""
    found = postgres.ask(
        HELD.replace(":base", literal(knowledge_base)).replace(":name", literal(name)),
        "assistant",
        socket,
        seconds=300,
    )
    return [
        Document(one["name"], one["sha256"], one["size_bytes"], sets.moment(f"{one['created_at']}+00:00"))
        for one in found or []
    ]


def literal(text: str) -> str:
    """Text as SQL has it, whatever is in it: by its code points alone."""
    return "convert_from('\\x" + text.encode().hex() + "'::bytea, 'UTF8')"


def plan(wanted: Iterable[Document], live: Iterable[dict[str, Any]]) -> Plan:
    """What has to be done, held against the live documents of the same knowledge base."""
    now: dict[str, set[str]] = {}
    for one in live:
        now.setdefault(str(one["name"]), set()).add(str(one["sha256"]))
    found = Plan([], [], [])
    for each in wanted:
        contents = now.get(each.name, set())
        # uploading a version again takes back those that followed it
        if contents == {each.sha256}:
            found.there.append(each)
            continue
        found.upload.append(each)
        if contents:
            found.changed.append(each.name)
    return found


def files(
    config: Config, wanted: Sequence[Document], moment: datetime, folder: Path
) -> tuple[dict[str, Path], list[str]]:
    """The raw documents by their hashes, and a sentence about those that no snapshot holds whole.

    Snapshots that likely hold them come first. Raises BackupError.
    """
    bucket, uploaded = folder / "bucket", sorted({one.created_at for one in wanted})
    found = likely(run_restore_documents.snapshots(config), uploaded, moment)
    left, said = run_restore_documents.fetch(found, bucket, {one.sha256 for one in wanted})
    if left:
        names = [one.name for one in wanted if one.sha256 in left]
        lost = f"{len(names)} documents are whole in no snapshot any more ({some_of(names)})."
        said = [f"{lost} By SHA-256: {run_restore_documents.some_of(left)}.", *said]
    there = {one.sha256 for one in wanted} - left
    return {key: run_restore_documents.place(bucket, key) for key in there}, said if left else []


def likely(
    found: list[tuple[Repository, Snapshot]], uploaded: Sequence[datetime], moment: datetime
) -> Iterator[tuple[Repository, Snapshot]]:
    """Where to look first: whole snapshots about the moment, then what was saved right after each upload.

    The same file may have come earlier, under another name; so all others follow.
    """
    seen: set[str] = set()
    whole = [one for one in found if run_restore_documents.WHOLE in one[1].tags]
    before = sorted((one for one in whole if one[1].time <= moment), key=lambda one: one[1].time)[-1:]
    after = sorted((one for one in whole if one[1].time > moment), key=lambda one: one[1].time)[:1]
    close = [
        min(found, key=lambda one: (one[1].time < at, abs(one[1].time - at))) for at in uploaded if found
    ]
    rest = sorted(found, key=lambda one: min((abs(one[1].time - at) for at in uploaded), default=sets.NEAR))
    for one in [*before, *close, *after, *rest]:
        if one[1].id not in seen:
            seen.add(one[1].id)
            yield one


def some_of(names: Sequence[str]) -> str:
    """The first of them, for a sentence."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


class Fleet:
    """The API of the fleet that serves; every method raises BackupError."""

    def __init__(self, url: str, ca: str) -> None:
        self._url = url.rstrip("/")
        self._place = urlsplit(url).netloc
        self._tls = ssl.create_default_context(cafile=ca or None)

    def documents(self, knowledge_base: str) -> list[dict[str, Any]]:
        """All of a knowledge base; none where there is no such."""
        path = f"/api/v1/knowledge-bases/{quote(knowledge_base, safe='')}/documents"
        found: list[dict[str, Any]] = []
        while True:
            status, some = self._ask("GET", f"{path}?limit={PAGE}&offset={len(found)}")
            if status == HTTPStatus.NOT_FOUND:
                return []
            found += self._good(status, some, "a list of documents")
            if len(some) < PAGE:
                return found

    def make(self, knowledge_base: str) -> None:
        """The knowledge base, unless it is there."""
        path = f"/api/v1/knowledge-bases/{quote(knowledge_base, safe='')}"
        if self._ask("GET", path)[0] == HTTPStatus.NOT_FOUND:
            body = json.dumps({"name": knowledge_base}).encode()
            self._good(*self._ask("POST", "/api/v1/knowledge-bases", body), "a new knowledge base")

    def upload(self, knowledge_base: str, name: str, file: Path) -> str:
        """Hand in a file as it is read; the document's id."""
        mark = secrets.token_hex(16)
        head, tail = head_of(mark, name), f"\r\n--{mark}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={mark}",
            "Content-Length": str(len(head) + file.stat().st_size + len(tail)),
        }

        def body() -> Iterator[bytes]:
            yield head
            with file.open("rb") as content:
                while piece := content.read(PIECE):
                    yield piece
            yield tail

        path = f"/api/v1/knowledge-bases/{quote(knowledge_base, safe='')}/documents"
        found = self._good(*self._ask("POST", path, body(), headers), f"“{name}”")
        return str(found["document"]["id"])

    def wait(self, ids: dict[str, str], seconds: float) -> list[str]:
        """Until documents (names by id) answer questions; a sentence for each that cannot be read."""
        said, left, until = [], dict(ids), time.monotonic() + seconds
        while left:
            for document, name in list(left.items()):
                status, found = self._ask("GET", f"/api/v1/documents/{document}")
                if status == HTTPStatus.NOT_FOUND:
                    said.append(f"{name} was removed again by somebody.")
                elif self._good(status, found, f"“{name}”")["state"] in WORKING:
                    continue
                elif found["state"] != READY:
                    said.append(f"{name} is {found['state']}: {found.get('message') or 'see its page'}")
                del left[document]
            if left and time.monotonic() > until:
                raise Incomplete(
                    f"{len(left)} documents are uploaded and not ready after {seconds:.0f} s "
                    f"({some_of(list(left.values()))}). They will be: ka status tells."
                )
            time.sleep(0.3 if left else 0)
        return said

    def _ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection(self._place, timeout=TIMEOUT, context=self._tls)
        try:
            connection.request(method, path, body, headers or {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            return answer.status, json.loads(text) if text else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BackupError(f"{self._url} does not answer ({error}). See verify.yml.") from error
        finally:
            connection.close()

    def _good(self, status: int, found: Any, what: str) -> Any:
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            told = found if isinstance(found, dict) else {}
            why = " ".join(str(told[key]) for key in ("title", "detail") if told.get(key))
            raise BackupError(f"{self._url} answers {status} to {what}: {why or 'no reason'}")
        return found


def head_of(mark: str, name: str) -> bytes:
    """What stands before the file; a name holds no backslash or line's end (app/ingestion/names.py)."""
    shown = name.replace("\\", "/").replace('"', '\\"').replace("\r", " ").replace("\n", " ")
    disposition = f'Content-Disposition: form-data; name="file"; filename="{shown}"'
    return f"--{mark}\r\n{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
