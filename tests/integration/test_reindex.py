"""After the database was restored, no index that was made of another one is believed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from app.embedding.base import Span
from app.ingestion.index_keeper import IndexKeeper
from app.ingestion.queue import Queue
from app.stores.database import Database
from app.stores.generations import Generations
from app.stores.migrate import migrate
from app.stores.vectors import VectorIndex, Vectors
from tests.support.running import environment

DIMENSION = 4


class Silent:
    """A model that must not be asked: all vectors are in the database."""

    name = "silent"
    dimension = DIMENSION
    max_tokens = 8

    async def embed(self, texts: Sequence[str]) -> Vectors:
        raise AssertionError(f"asked for {len(texts)} vectors")

    def token_spans(self, text: str) -> list[Span]:
        raise AssertionError(f"asked about {text}")

    async def close(self) -> None:
        return


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, size=2)
    await database.open()
    await migrate(database)
    yield database
    await database.close()


async def passages(database: Database, vectors: Vectors) -> list[int]:
    """Ids of the passages of a ready document that have these vectors."""
    document = await database.value(
        """INSERT INTO documents (knowledge_base_id, name, version, sha256, size_bytes, state)
        SELECT id, 'a.txt', 1, repeat('0', 64), 1, 'ready' FROM knowledge_bases RETURNING id"""
    )
    ids = []
    for number, vector in enumerate(vectors):
        chunk = await database.value(
            """INSERT INTO chunks (document_id, ordinal, page, start_at, end_at, tokens, text)
            VALUES (%s, %s, 1, 0, 1, 1, 'a') RETURNING id""",
            document,
            number,
        )
        await database.execute("INSERT INTO chunk_vectors VALUES (%s, 'silent', %s)", chunk, vector.tobytes())
        ids.append(int(chunk))
    return ids


def reindex(url: str, folder: Path, *options: str) -> int:
    """How many knowledge bases wait for their index, as ``ka reindex`` tells."""
    dsn = folder / "dsn"
    dsn.write_text(url)
    variables = environment(
        folder, {"KA_DATABASE__URL_FILE": str(dsn), "KA_CHROMA__URL": "http://127.0.0.1:1"}
    )
    command = [sys.executable, "-m", "app.cli", "reindex", "--json", *options]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    waiting: int = json.loads(done.stdout)["waiting"]
    return waiting


async def test_an_index_of_another_time_is_replaced_whatever_a_sample_would_say(
    database: Database, database_url: str, chroma_url: str, tmp_path: Path
) -> None:
    right = np.eye(3, DIMENSION, dtype=np.float32)
    ids = await passages(database, right)
    index, queue = VectorIndex(chroma_url), Queue(database)
    keeper = IndexKeeper(database, index, Silent(), queue)
    try:
        (old,) = await keeper.writable(1)
        # the time that was taken back removed one passage, and gave the next id to another text
        await index.upsert(old.collection, [*ids[:2], ids[-1] + 1], np.ones((3, DIMENSION), dtype=np.float32))
        assert reindex(database_url, tmp_path, "--left") == 0
        assert reindex(database_url, tmp_path) == 1
        assert await keeper.writable(1) == [], "documents wait until there is an index that can be believed"
        assert [(job.task, job.knowledge_base_id) for job in await queue.all()] == [("check_index", 1)]
        assert reindex(database_url, tmp_path) == 1, "again, it does the same"
        assert len(await queue.all()) == 1
        assert not await keeper.check(1, deep=False)
        (new,) = await Generations(database).all()
        assert new.collection != old.collection
        assert sorted(await index.ids(new.collection)) == ids
        held = await index.get(new.collection, ids)
        assert np.allclose([held[one] for one in ids], right)
        assert reindex(database_url, tmp_path, "--left") == 0
    finally:
        await index.close()


async def test_nothing_is_done_where_nothing_is_indexed(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    assert await Generations(database).all() == []
    assert reindex(database_url, tmp_path) == 0
    assert await Queue(database).all() == []
