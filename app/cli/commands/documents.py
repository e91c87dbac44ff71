"""``ka status`` and ``ka retry``."""

from __future__ import annotations

import json
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.app import Config, Json, cli
from app.cli.client import connect
from app.cli.options import Base, Url
from app.stores.documents import STATES, UNREADABLE

PAGE = 500


@cli.command()
def status(
    base: Base = "default",
    state: Annotated[list[str] | None, typer.Option(help=f"Only these states: {', '.join(STATES)}.")] = None,
    url: Url = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tell how the service is, and the state of each document."""
    client = connect(config, url)
    documents: list[dict[str, Any]] = []
    while page := client.get(
        f"/api/v1/knowledge-bases/{base}/documents",
        limit=PAGE,
        offset=len(documents),
        **({"state": state} if state else {}),
    ):
        documents += page
    facts = {"version": client.get("/version"), "documents": documents}
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    typer.echo(f"Assistant {facts['version']['release']} at {client.url}, knowledge base {base}")
    for one in documents:
        progress = "" if one["progress"] == 1 else f" {one['progress']:.0%}"
        typer.echo(f"{one['state'] + progress:16} {one['pages']:5} pages  {one['name']}  {one['id']}")
        if one["message"]:
            typer.echo(f"{'':16} {one['message']}")
    typer.echo(f"{len(documents)} documents")


@cli.command()
def retry(
    document: Annotated[UUID | None, typer.Argument(help="Its id; without one, all that failed.")] = None,
    base: Base = "default",
    url: Url = None,
    config: Config = None,
) -> None:
    """Read documents again that could not be read."""
    client = connect(config, url)
    if document is not None:
        ids = [str(document)]
    else:
        path = f"/api/v1/knowledge-bases/{base}/documents"
        ids = [one["id"] for one in client.get(path, state=list(UNREADABLE), limit=1000)]
    for one in ids:
        client.post(f"/api/v1/documents/{one}/retry")
    typer.echo(f"{len(ids)} documents are read again")
