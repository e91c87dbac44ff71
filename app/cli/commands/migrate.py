"""``ka migrate``: the database's schema."""

from __future__ import annotations

import json
from typing import Annotated

import typer
import uvloop

from app.cli.app import Config, Data, Json, cli
from app.settings import load


@cli.command()
def migrate(
    config: Config = None,
    data: Data = None,
    check: Annotated[bool, typer.Option("--check", help="Only tell what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the database's schema up to date. 'ka serve' does it by itself when it starts."""
    settings = load(config, options={"data_dir": data})
    from app.embedded.stack import addresses

    steps = uvloop.run(_migrate(addresses(settings)[0], check))
    if as_json:
        typer.echo(json.dumps({"pending" if check else "applied": steps}))
    else:
        typer.echo("\n".join(steps) or "The schema is up to date.")


async def _migrate(url: str, check: bool) -> list[str]:
    from app.stores.database import Database
    from app.stores.migrate import migrate, pending

    database = Database(url, size=2)
    await database.open()
    try:
        return await (pending(database) if check else migrate(database))
    finally:
        await database.close()
