"""Counts everything that the stores hold, by ways of its own, and says what does not agree."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
from psycopg.rows import dict_row

from tests.support.running import environment
from tests.support.servers import chroma_server, fresh_database

CHROMA = "/api/v2/tenants/default_tenant/databases/default_database/collections"

WRONG_ROWS = {
    "ready documents whose passages were not counted rightly": """
        SELECT d.name FROM documents d WHERE d.state = 'ready' AND NOT (
            d.chunks_done = d.chunks_total
            AND d.chunks_total = (SELECT count(*) FROM chunks c WHERE c.document_id = d.id)
            AND d.chunks_total = (SELECT max(ordinal) + 1 FROM chunks c WHERE c.document_id = d.id))""",
    "documents whose pages are doubled or missing": """
        SELECT d.name FROM documents d WHERE d.parsed AND d.pages <> (
            SELECT count(*) FROM pages p WHERE p.document_id = d.id)""",
    "passages that are not the text of their page": """
        SELECT c.id FROM chunks c LEFT JOIN pages p ON p.document_id = c.document_id AND p.number = c.page
        WHERE c.text IS DISTINCT FROM substr(p.text, c.start_at + 1, c.end_at - c.start_at)""",
    "passages without a vector or words": """
        SELECT c.id FROM chunks c LEFT JOIN chunk_vectors v ON v.chunk_id = c.id
        LEFT JOIN chunk_terms t ON t.chunk_id = c.id WHERE v.chunk_id IS NULL OR t.chunk_id IS NULL""",
    "words counted wrongly": """
        SELECT term, n, chunks FROM (
            SELECT term, count(*) AS n FROM chunk_terms t JOIN documents d ON d.id = t.document_id,
                unnest(tsvector_to_array(t.terms)) AS term WHERE d.state = 'ready' GROUP BY term) recount
        FULL JOIN term_counts USING (term)
        WHERE n IS DISTINCT FROM nullif(chunks, 0)""",
    "knowledge bases whose passages are counted wrongly": """
        SELECT k.name FROM knowledge_bases k WHERE k.passages <> (
            SELECT count(*) FROM chunks c JOIN documents d ON d.id = c.document_id
            WHERE d.knowledge_base_id = k.id AND d.state = 'ready')""",
    "versions of one name that are both there": """
        SELECT name FROM documents WHERE state = 'ready' GROUP BY knowledge_base_id, name
        HAVING count(*) > 1""",
    "files that are there twice": """
        SELECT sha256 FROM documents GROUP BY knowledge_base_id, name, sha256 HAVING count(*) > 1""",
    "removals that were not done": """
        SELECT sha256 AS what FROM removed_objects UNION ALL SELECT chunk_id::text FROM removed_vectors
        UNION ALL SELECT name FROM removed_collections""",
}


@dataclass(frozen=True)
class Stack:
    """A database, a Chroma server and a folder of objects that only one test module uses."""

    dsn: str
    chroma: str
    objects: Path
    folder: Path

    def variables(self, model_dir: Path, **more: str) -> dict[str, str]:
        """Environment of a command that uses these stores."""
        dsn = self.folder / "dsn"
        dsn.write_text(self.dsn)
        return environment(
            model_dir,
            {
                "KA_DATABASE__URL_FILE": str(dsn),
                "KA_CHROMA__URL": self.chroma,
                "KA_OBJECTS__FOLDER": str(self.objects),
                **more,
            },
        )

    def rows(self, query: str, *args: object) -> list[dict[str, Any]]:
        """Rows of the database."""
        with psycopg.connect(self.dsn, row_factory=dict_row, autocommit=True) as connection:
            return connection.execute(query, args or None).fetchall()

    def value(self, query: str, *args: object) -> Any:
        """The first column of the first row."""
        found = self.rows(query, *args)
        return next(iter(found[0].values())) if found else None

    def idle(self) -> bool:
        """Whether no job is waiting or being done."""
        return not self.value("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")

    def swept(self) -> bool:
        """Whether nothing waits to be removed."""
        return not self.rows(WRONG_ROWS["removals that were not done"])

    def stored(self) -> set[str]:
        """Names (SHA-256) of the objects that are stored."""
        return {file.name for file in self.objects.rglob("*") if file.is_file()}

    def faults(self, *, index: bool = True) -> dict[str, list[Any]]:
        """What does not agree, nothing if all is well. To be called when no work is under way."""
        found: dict[str, list[Any]] = {what: self.rows(query) for what, query in WRONG_ROWS.items()}
        documents = {row["sha256"] for row in self.rows("SELECT sha256 FROM documents")}
        found["objects that no document has"] = sorted(self.stored() - documents)
        found["objects that are missing"] = sorted(documents - self.stored())
        if index:
            found["vectors"] = [*self._wrong_vectors()]
        return {what: rows for what, rows in found.items() if rows}

    def _wrong_vectors(self) -> Iterator[str]:
        serving = self.rows("SELECT id, collection, knowledge_base_id AS kb, state FROM generations")
        for row in serving:
            expected = {
                str(one["id"])
                for one in self.rows(
                    "SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document_id"
                    " WHERE d.knowledge_base_id = %s",
                    row["kb"],
                )
            }
            held = set(held_ids(self.chroma, row["collection"]))
            if row["state"] != "serving" or held != expected:
                yield (
                    f"generation {row['id']} ({row['state']}): {len(expected - held)} missing,"
                    f" {len(held - expected)} too many"
                )

    def blind_spots(self) -> list[str]:
        """Passages of ready documents that their own vector does not find in the serving index."""
        missed = []
        for row in self.rows(
            "SELECT collection, knowledge_base_id AS kb FROM generations WHERE state = 'serving'"
        ):
            vectors = self.rows(
                """SELECT c.id, v.vector FROM chunks c JOIN documents d ON d.id = c.document_id
                JOIN chunk_vectors v ON v.chunk_id = c.id
                WHERE d.knowledge_base_id = %s AND d.state = 'ready'""",
                row["kb"],
            )
            missed += missed_by(self.chroma, row["collection"], vectors)
        return missed


@contextmanager
def own_stack(postgres_dsn: str, folder: Path) -> Iterator[Stack]:
    """A stack on a shared PostgreSQL server; the schema is made by whoever serves first."""
    folder.mkdir(parents=True, exist_ok=True)
    with fresh_database(postgres_dsn) as dsn, chroma_server(folder / "chroma") as chroma:
        yield Stack(dsn, chroma.url, folder / "objects", folder)


def collection_id(chroma: str, name: str) -> str:
    """Chroma's own id of a collection."""
    found: str = _call(chroma, "GET", f"/{name}")["id"]
    return found


def held_ids(chroma: str, name: str) -> list[str]:
    """Ids in a collection."""
    found: list[str] = _call(
        chroma, "POST", f"/{collection_id(chroma, name)}/get", {"include": [], "limit": 1_000_000}
    )["ids"]
    return found


def missed_by(chroma: str, name: str, vectors: list[dict[str, Any]]) -> list[str]:
    """Ids of those vectors that a query for themselves does not bring back with distance 0."""
    missed: list[str] = []
    where = f"/{collection_id(chroma, name)}/query"
    for first in range(0, len(vectors), 200):
        part = vectors[first : first + 200]
        embeddings = [np.frombuffer(row["vector"], "<f4").tolist() for row in part]
        found = _call(
            chroma,
            "POST",
            where,
            {"query_embeddings": embeddings, "n_results": 5, "include": ["distances"]},
        )
        for row, distances in zip(part, found["distances"], strict=True):
            if not distances or abs(distances[0]) > 1e-3:
                missed.append(str(row["id"]))
    return missed


def remove_behind(chroma: str, name: str, ids: list[str]) -> None:
    """Delete vectors as if they had been lost."""
    _call(chroma, "POST", f"/{collection_id(chroma, name)}/delete", {"ids": ids})


def drop_behind(chroma: str, name: str) -> None:
    """Delete a whole collection."""
    _call(chroma, "DELETE", f"/{name}")


def _call(chroma: str, method: str, path: str, data: Any = None) -> Any:
    with httpx.Client(base_url=chroma + CHROMA, trust_env=False, timeout=60) as client:
        answer = client.request(method, path, json=data)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None


class Watch(threading.Thread):
    """Calls ``look`` again and again until stopped; keeps what it raised."""

    def __init__(self, look: Any) -> None:
        super().__init__(daemon=True)
        self._look = look
        self._end = threading.Event()
        self.raised: list[BaseException] = []

    def run(self) -> None:
        while not self._end.wait(0.05):
            try:
                self._look()
            except BaseException as error:  # noqa: BLE001 -- told to the test
                self.raised.append(error)
                return

    def stop(self) -> None:
        self._end.set()
        self.join(20)
