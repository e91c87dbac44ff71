"""``ka reindex``: another vector index, of the vectors that the database holds."""

from __future__ import annotations

import json
from typing import Annotated

import typer
import uvloop

from app.cli.app import Config, Data, Json, cli
from app.settings import load

REASON = "the database may be another than the one that it was made of"


@cli.command()
def reindex(
    config: Config = None,
    data: Data = None,
    left: Annotated[bool, typer.Option("--left", help="Only tell how much is left to do.")] = False,
    as_json: Json = False,
) -> None:
    """Have workers build every vector index anew, as after the database was restored."""
    settings = load(config, options={"data_dir": data})
    from app.embedded.stack import addresses

    waiting = uvloop.run(_reindex(addresses(settings)[0], left))
    if as_json:
        typer.echo(json.dumps({"waiting": waiting}))
    elif waiting:
        typer.echo(f"{waiting} knowledge bases wait for their index; they are searched by words meanwhile.")
    else:
        typer.echo("Every knowledge base has its index.")


async def _reindex(url: str, left: bool) -> int:
    """How many knowledge bases wait for an index."""
    from app.ingestion.queue import Queue
    from app.stores.database import Database
    from app.stores.generations import Generations

    database = Database(url, size=2)
    await database.open()
    try:
        generations = Generations(database)
        if left:
            return len(await generations.waiting())
        waiting = await generations.distrust(REASON)
        queue = Queue(database)
        # broken off here, it goes on all the same: workers look after every index now and then
        for knowledge_base_id in waiting:
            await queue.check_index(knowledge_base_id, deep=False)
        return len(waiting)
    finally:
        await database.close()
