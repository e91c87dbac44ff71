"""``ka bench``: measurements, as ratios within one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from app.cli.app import cli

bench_cli = typer.Typer(help="Measure this machine and this release.", no_args_is_help=True)
cli.add_typer(bench_cli, name="bench")

Folder = Annotated[Path, typer.Argument(help="Folder with the data to measure on.", exists=True)]


def _print(figures: dict[str, Any]) -> None:
    typer.echo(json.dumps(figures, indent=2, ensure_ascii=False, default=str))


Folders = Annotated[list[Path], typer.Argument(help="Folders with question sets.", exists=True)]


@bench_cli.command()
def quality(
    folders: Folders, limit: Annotated[int | None, typer.Option(help="Only so many questions.")] = None
) -> None:
    """Recall@5 and nDCG@10 of both searches and their fusion."""
    from app.bench.quality import run

    _print(uvloop.run(run(folders, limit=limit)))


@bench_cli.command()
def search(
    folder: Folder, passages: Annotated[int, typer.Option(help="Size of the collection.")] = 100_000
) -> None:
    """Time of a search in a large collection, against embedding and bare Chroma query."""
    from app.bench.search import run

    _print(uvloop.run(run(folder, passages=passages)))


@bench_cli.command()
def ingestion(folder: Folder) -> None:
    """Reading a folder of documents with one worker and with two, against embedding alone."""
    from app.bench.ingestion import run

    _print(uvloop.run(run(folder)))


@bench_cli.command()
def embedding(
    datasets: Annotated[Path | None, typer.Option(help="Folder of question sets, for quality.")] = None,
    texts: Annotated[int, typer.Option(help="Texts for each engine and round.")] = 64,
    rounds: Annotated[int, typer.Option(help="Rounds; medians count.")] = 5,
) -> None:
    """Our embedding against Chroma's default and, where it is installed, sentence-transformers."""
    from app.assistant import MODEL_DIR
    from app.bench.embedding import run

    _print(run(MODEL_DIR, datasets=datasets, texts=texts, rounds=rounds))


@bench_cli.command()
def parsing(folder: Folder) -> None:
    """The sandboxed parser against bare PDFium, and its memory."""
    from app.bench.parsing import run

    _print(run(folder))
