"""``ka ingest``: files and folders into the assistant."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.app import Config, Json, cli
from app.cli.client import Client, connect
from app.cli.options import Base, Url
from app.errors import AssistantError, NotFound
from app.stores.documents import WORKING

POLL = 0.5  # seconds between two looks at what is still being read
IDS_AT_ONCE = 1000


@cli.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")],
    base: Base = "default",
    wait: Annotated[bool, typer.Option(help="Wait until all are read.")] = True,
    url: Url = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Take in files, and all files of folders; a name in a folder is its path there.

    The exit code is 1 if any file could not be taken in or read.
    """
    found = list(_files(paths))
    client = connect(config, url)
    taken, refused = _upload(client, base, found)
    if wait:
        taken = _wait(client, taken)
    if as_json:
        typer.echo(json.dumps({"documents": taken, "refused": refused}, ensure_ascii=False, indent=2))
    else:
        _report(taken, refused)
    if refused or any(one["state"] not in {"ready", *WORKING} for one in taken):
        raise typer.Exit(1)


def _files(paths: list[Path]) -> Iterator[tuple[str, Path]]:
    for path in paths:
        if path.is_dir():
            inside = (file for file in sorted(path.rglob("*")) if file.is_file())
            # hidden files and folders are nobody's documents
            for file in inside:
                relative = file.relative_to(path)
                if not any(part.startswith(".") for part in relative.parts):
                    yield str(relative), file
        elif path.is_file():
            yield path.name, path
        else:
            raise NotFound(kind="file or folder", name=path, advice="Check the path.")


def _upload(
    client: Client, base: str, files: list[tuple[str, Path]]
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    taken: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    with typer.progressbar(files, label="Uploading", file=sys.stderr, item_show_func=_name) as bar:
        for name, file in bar:
            try:
                answer = client.upload(f"/api/v1/knowledge-bases/{base}/documents", name, file)
                taken.append(answer["document"])
            except AssistantError as error:
                if not taken and not refused:
                    # the first one tells what is wrong with all: no service, no such knowledge base
                    client.get(f"/api/v1/knowledge-bases/{base}")
                refused.append({"name": name, "reason": error.sentence()})
            except OSError as error:
                refused.append({"name": name, "reason": f"It cannot be read: {error.strerror}."})
    return taken, refused


def _name(item: tuple[str, Path] | None) -> str:
    return item[0][-40:] if item else ""


def _wait(client: Client, taken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    latest = {one["id"]: one for one in taken}
    with typer.progressbar(length=1000, label="Reading  ", file=sys.stderr) as bar:
        shown = 0
        while True:
            for one in [one for one in latest.values() if one["state"] in WORKING]:
                try:
                    latest[one["id"]] = client.get(f"/api/v1/documents/{one['id']}")
                except AssistantError:
                    # removed, or replaced by a newer version, while it was read
                    latest[one["id"]] = one | {"state": "ready", "progress": 1.0}
            done = 1000 * sum(one["progress"] for one in latest.values()) / max(1, len(latest))
            bar.update(int(done) - shown)
            shown = int(done)
            if not any(one["state"] in WORKING for one in latest.values()):
                return list(latest.values())
            time.sleep(POLL)


def _report(taken: list[dict[str, Any]], refused: list[dict[str, str]]) -> None:
    for one in taken:
        if one["message"]:
            typer.echo(f"{one['name']}: {one['message']}", err=True)
    for bad in refused:
        typer.echo(f"{bad['name']}: {bad['reason']}", err=True)
    states = Counter(one["state"] for one in taken)
    counted = [f"{count} {state}" for state, count in states.most_common()]
    if refused:
        counted.append(f"{len(refused)} refused")
    typer.echo(", ".join(counted) or "no files")
