"""All commands, and how their errors are told: one line on standard error, exit code 1 or 2."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app import logs
from app.errors import AssistantError
from app.release import release
from app.settings import SettingsError

cli = typer.Typer(
    name="ka",
    help="A private knowledge assistant: documents in, cited answers out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML). Also KA_CONFIG.")
]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Data folder. Also KA_DATA_DIR.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _version(wanted: bool) -> None:
    if wanted:
        facts = release()
        known = [facts.release, *(fact for fact in (facts.closure, facts.commit) if fact)]
        typer.echo(f"ka {' '.join(known)}")
        raise typer.Exit


@cli.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the release and end.")
    ] = False,
) -> None:
    """A private knowledge assistant: documents in, cited answers out."""


def main() -> None:
    """Run ``ka``; the process's exit code is 0, 1 for an error, 2 for a wrong call or wrong settings."""
    from app.cli import commands  # noqa: F401 -- they add themselves

    try:
        cli()
    except SettingsError as error:
        _fail(error, 2)
    except AssistantError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if os.environ.get("KA_LOG__LEVEL") == "debug":
            raise
        logs.tell(f"ka: {type(error).__name__}: {error}. KA_LOG__LEVEL=debug shows where.", failed=True)
        sys.exit(1)


def _fail(error: AssistantError, code: int) -> None:
    logs.tell(f"ka: {error.sentence()}", failed=True)
    sys.exit(code)
