"""A process that owns embedded servers and writes to them, for tests that kill it.

``python -m tests.support.owner FOLDER``: prints one JSON line about the servers, then the number of each
row that both have acknowledged; SIGINT and SIGTERM stop the servers and end it with code 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import httpx
import psycopg

from app.embedded.chroma import EmbeddedChroma
from app.embedded.postgres import EmbeddedPostgres

API = "/api/v2/tenants/default_tenant/databases/default_database/collections"


async def main(folder: Path) -> None:
    """Start, write until told to stop, stop."""
    postgres, chroma = EmbeddedPostgres(folder / "postgres"), EmbeddedChroma(folder / "chroma")
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    await postgres.start()
    await chroma.start()
    print(json.dumps({"postgres": postgres.pid, "chroma": chroma.pid}), flush=True)
    writing = asyncio.create_task(_write(postgres.dsn, chroma.url))
    await end.wait()
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    await chroma.stop()
    await postgres.stop()


async def _write(dsn: str, url: str) -> None:
    async with (
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        await connection.execute("CREATE TABLE IF NOT EXISTS numbers (number int PRIMARY KEY)")
        made = await client.post(API, json={"name": "numbers", "get_or_create": True})
        rows = f"{API}/{made.raise_for_status().json()['id']}/upsert"
        number = 0
        while True:
            number += 1
            await connection.execute("INSERT INTO numbers VALUES (%s) ON CONFLICT DO NOTHING", [number])
            vector = {"ids": [str(number)], "embeddings": [[float(number), 1.0]]}
            (await client.post(rows, json=vector)).raise_for_status()
            print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
