"""What a restored database has to have: all that the fleet has and that is older than its newest marker."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from ka_backup import postgres
from ka_backup.errors import BackupError

DATABASE = "assistant"
PAGE = 1000
TIMEOUT = 30.0
NAMED = 5
MARKER = "SELECT extract(epoch FROM max(at)) FROM fleet_marker"
DOCUMENTS = """
SELECT coalesce(json_agg(json_build_object('id', d.id, 'knowledge_base', k.name,
    'name', d.name, 'sha256', d.sha256, 'state', d.state, 'pages', d.pages,
    'chunks', coalesce(d.chunks_total, 0),
    'updated_at', extract(epoch FROM d.updated_at))), '[]')
FROM documents d JOIN knowledge_bases k ON k.id = d.knowledge_base_id
"""
# Rows that contradict others, each with how many of them there are; all of them are 0 in a whole database.
CONTRADICTIONS = """
SELECT json_build_object(
    'documents with other pages than they say', (
        SELECT count(*) FROM documents d WHERE d.state = 'ready'
        AND d.pages <> (SELECT count(*) FROM pages p WHERE p.document_id = d.id)),
    'documents with other passages than they say', (
        SELECT count(*) FROM documents d WHERE d.state = 'ready'
        AND d.chunks_total <> (SELECT count(*) FROM chunks c WHERE c.document_id = d.id)),
    'passages without a vector', (
        SELECT count(*) FROM chunks c JOIN documents d ON d.id = c.document_id
        LEFT JOIN chunk_vectors v ON v.chunk_id = c.id
        WHERE d.state = 'ready' AND v.chunk_id IS NULL),
    'passages that are not in the text of their page', (
        SELECT count(*) FROM chunks c JOIN documents d ON d.id = c.document_id
        LEFT JOIN pages p ON p.document_id = c.document_id AND p.number = c.page
        WHERE d.state = 'ready'
        AND substr(p.text, c.start_at + 1, c.end_at - c.start_at) IS DISTINCT FROM c.text))
"""


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a document; ``updated_at`` in seconds since 1970."""

    id: str
    knowledge_base: str
    name: str
    sha256: str
    state: str
    pages: int
    chunks: int
    updated_at: float


def marker(socket: str) -> float:
    """The newest moment that was written into the restored database, in seconds. Raises BackupError."""
    found = postgres.ask(MARKER, socket=socket)
    if found is None:
        raise BackupError("The restored database holds no marker: backup-wal.service has never written one.")
    return float(found)


def restored(socket: str) -> list[Document]:
    """The restored database's documents. Raises BackupError."""
    found = postgres.ask(DOCUMENTS, DATABASE, socket, seconds=300)
    return [Document(**one) for one in found or []]


def contradictions(socket: str) -> list[str]:
    """Sentences about rows that do not fit each other. Raises BackupError."""
    found: dict[str, int] = postgres.ask(CONTRADICTIONS, DATABASE, socket, seconds=1800)
    return [f"The restored database has {count} {what}." for what, count in found.items() if count]


def live(url: str, ca: str) -> list[Document]:
    """The fleet's documents now, as its API tells them. Raises BackupError."""
    fleet = Fleet(url, ca)
    found = []
    for base in fleet.get("/api/v1/knowledge-bases"):
        path = f"/api/v1/knowledge-bases/{quote(base['name'])}/documents"
        offset = 0
        while page := fleet.get(f"{path}?limit={PAGE}&offset={offset}"):
            found += [_document(one) for one in page]
            offset += len(page)
    # an upload between two pages moves the others on
    return list({one.id: one for one in found}.values())


class Fleet:
    """The API through the balancer."""

    def __init__(self, url: str, ca: str) -> None:
        self._url = url
        self._context = ssl.create_default_context(cafile=ca or None)

    def get(self, path: str) -> Any:
        """JSON of an answer. Raises BackupError."""
        place = urlsplit(self._url).netloc
        connection = http.client.HTTPSConnection(place, timeout=TIMEOUT, context=self._context)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            why = f"The fleet does not answer at {self._url} ({error}). Run verify.yml."
            raise BackupError(why) from error
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            raise BackupError(f"The fleet answers {answer.status} at {self._url}{path}. Run verify.yml.")
        return json.loads(text)


def _document(one: Mapping[str, Any]) -> Document:
    return Document(
        id=one["id"],
        knowledge_base=one["knowledge_base"],
        name=one["name"],
        sha256=one["sha256"],
        state=one["state"],
        pages=int(one["pages"]),
        chunks=int(one["chunks_total"] or 0),
        updated_at=datetime.fromisoformat(one["updated_at"]).timestamp(),
    )


def due(documents: Iterable[Document], moment: float) -> list[Document]:
    """Those whose last change is older than a moment: they can only be there as they are now."""
    return [one for one in documents if one.updated_at < moment]


def differences(wanted: Iterable[Document], found: Iterable[Document]) -> list[str]:
    """Sentences about documents that were not restored, or not as they are."""
    there = {one.id: one for one in found}
    missing, other = [], []
    for one in wanted:
        twin = there.get(one.id)
        if twin is None:
            missing.append(one)
        elif replace(twin, updated_at=0) != replace(one, updated_at=0):
            other.append(one)
    said = []
    if missing:
        said.append(f"{len(missing)} documents were not restored: {_names(missing)}.")
    if other:
        said.append(f"{len(other)} documents were restored otherwise than they are: {_names(other)}.")
    return said


def _names(documents: list[Document]) -> str:
    more = len(documents) - NAMED
    names = ", ".join(f"{one.knowledge_base}/{one.name}" for one in documents[:NAMED])
    return names + (f" and {more} more" if more > 0 else "")
