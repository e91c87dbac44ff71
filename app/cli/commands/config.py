"""``ka config``: the settings."""

from __future__ import annotations

import json
from typing import Any

import typer

from app.cli.app import Config, Json, cli
from app.settings import is_secret, load, names

config_cli = typer.Typer(help="The settings.", no_args_is_help=True)
cli.add_typer(config_cli, name="config")


@config_cli.command()
def show(config: Config = None, as_json: Json = False) -> None:
    """Print every setting with its value and meaning; secrets only as set or not."""
    settings = load(config)
    values: dict[str, Any] = {}
    for name, field in names().items():
        value: Any = settings
        for part in name.split("."):
            value = getattr(value, part)
        values[name] = ("set" if value else None) if is_secret(field) else value
    if as_json:
        typer.echo(json.dumps(values, indent=2, default=str))
        return
    section = ""
    for name, field in names().items():
        *before, last = name.split(".")
        if before and before[0] != section:
            section = before[0]
            typer.echo(f"\n[{section}]")
        value = values[name]
        shown = json.dumps(value, default=str)
        typer.echo(
            f"{'# ' if value is None else ''}{last} = {'' if value is None else shown}  # {field.description}"
        )


@config_cli.command()
def check(config: Config = None) -> None:
    """Tell whether the settings are right; the exit code is 2 if not."""
    load(config)
    typer.echo("The settings are right.")
