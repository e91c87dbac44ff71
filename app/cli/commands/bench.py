"""``ka bench``: measurements, as ratios within one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.app import cli

bench_cli = typer.Typer(help="Measure this machine and this release.", no_args_is_help=True)
cli.add_typer(bench_cli, name="bench")

Folder = Annotated[Path, typer.Argument(help="Folder with the data to measure on.", exists=True)]


def _print(figures: dict[str, Any]) -> None:
    typer.echo(json.dumps(figures, indent=2, ensure_ascii=False, default=str))
