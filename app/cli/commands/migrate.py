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
    known: Annotated[
        bool, typer.Option("--known", help="Only tell which steps this release knows; asks no database.")
    ] = False,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEPS", help="What a release that goes on running tells by --known; may be given again."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring the database's schema up to date. 'ka serve' does it by itself when it starts."""
    if known:
        from app.stores import migrate as steps_of

        typer.echo("\n".join(steps_of.known()))
        return
    settings = load(config, options={"data_dir": data})
    from app.embedded.stack import addresses

    others = [release.split() for release in beside or []]
    steps = uvloop.run(_migrate(addresses(settings)[0], check, others))
    if as_json:
        typer.echo(json.dumps({"pending" if check else "applied": steps}))
    else:
        typer.echo("\n".join(steps) or "The schema is up to date.")


async def _migrate(url: str, check: bool, beside: list[list[str]]) -> list[str]:
    from app.stores.database import Database
    from app.stores.migrate import migrate, pending

    database = Database(url, size=2)
    await database.open()
    try:
        return await (pending(database, beside) if check else migrate(database, beside))
    finally:
        await database.close()
