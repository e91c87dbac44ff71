"""The shared servers answer, also from inside a running loop."""

from __future__ import annotations

import chromadb
import httpx
import numpy as np
import psycopg

from tests.support.servers import S3Server


async def test_every_test_gets_an_empty_utf8_database(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("CREATE TABLE once (word text)")
        cursor = await connection.execute("SELECT to_tsvector('simple', '„Größe“—ÄRGER')::text")
        assert await cursor.fetchone() == ("'größe':1 'ärger':2",)


def test_a_second_test_does_not_see_the_tables_of_the_first(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE once (word text)")


async def test_chroma_stores_and_finds_vectors(chroma_url: str) -> None:
    host, port = chroma_url.removeprefix("http://").split(":")
    client = await chromadb.AsyncHttpClient(host=host, port=int(port))
    collection = await client.create_collection("fixtures-test", embedding_function=None)
    await collection.add(ids=["a", "b"], embeddings=np.eye(2, dtype=np.float32))
    found = await collection.query(query_embeddings=np.array([[0.9, 0.1]], np.float32), n_results=1)
    assert found["ids"] == [["a"]]


def test_the_s3_server_refuses_strangers(s3_server: S3Server) -> None:
    assert httpx.get(f"{s3_server.endpoint}/bucket/key", trust_env=False).status_code in {400, 401, 403}
