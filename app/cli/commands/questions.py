"""``ka ask`` and ``ka search``."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from app.cli.app import Config, Json, cli
from app.cli.client import connect
from app.cli.options import Base, Url

Question = Annotated[str, typer.Argument(help="The question, in quotes.")]
NOTES = {
    "extractive": "An extract: sentences of the documents, word for word.",
    "refused": "",
    "generated": "",
}


@cli.command()
def ask(
    question: Question, base: Base = "default", url: Url = None, config: Config = None, as_json: Json = False
) -> None:
    """Answer a question from the documents, with citations that were checked."""
    events = connect(config, url).events(f"/api/v1/knowledge-bases/{base}/ask", {"question": question})
    done: dict[str, Any] = {}
    for name, data in events:
        if name == "done":
            done = data
        elif name == "restart" and not as_json:
            typer.echo(f"\n({data['why'][1]})")
        elif name == "token" and not as_json:
            typer.echo(data["text"], nl=False)
    if as_json:
        typer.echo(json.dumps(done, ensure_ascii=False, indent=2))
        return
    typer.echo("\n")
    for citation in done["citations"]:
        quote = _short(citation["quote"])
        typer.echo(f"[{citation['number']}] {citation['document']}, {_place(citation)}: “{quote}”")
    for note in (NOTES[done["kind"]], *(why["sentence"] for why in done["degraded"])):
        if note:
            typer.echo(f"({note})")


@cli.command()
def search(
    question: Question,
    base: Base = "default",
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many passages.")] = 8,
    url: Url = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Find passages, with the ranks of both searches."""
    wanted = {"question": question, "limit": limit}
    found = connect(config, url).post(f"/api/v1/knowledge-bases/{base}/search", wanted)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for number, passage in enumerate(found["passages"], start=1):
        ranks = f"meaning {passage['dense_rank'] or '-'}, words {passage['lexical_rank'] or '-'}"
        typer.echo(f"{number}. {passage['document']}, {_place(passage)}  ({passage['score']:.2f}; {ranks})")
        typer.echo(f"   {_short(passage['text'], 200)}")
    for why in found["degraded"]:
        typer.echo(f"({why['sentence']})")
    typer.echo(f"{len(found['passages'])} passages in {found['seconds']['total'] * 1000:.0f} ms")


def _place(found: dict[str, Any]) -> str:
    title = f" ({found['page_title']})" if found["page_title"] else ""
    return f"{found['page_kind']} {found['page']}{title}"


def _short(text: str, length: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
