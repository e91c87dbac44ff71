"""Write the reference pages that are made from the code: ``python tools/reference.py``; a test compares."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic.fields import FieldInfo

from app.cli.app import cli
from app.settings import is_secret, names

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
SETTINGS = """# Settings

Made from `app/settings/model.py` by `python tools/reference.py`.

Settings come from a TOML file (`--config`, `KA_CONFIG` or `/etc/knowledge-assistant/config.toml`), then from
the environment (`KA_SECTION__NAME`, lists separated by commas), then from options of the command. A *secret*
comes only from a file: name the file's path as `NAME_file`, or put it into the folder that
`$CREDENTIALS_DIRECTORY` names, as a file called like the setting (systemd's `LoadCredential=`). An unknown or
wrong setting is an error that names the right one; `ka config check` tells.

| setting | default | meaning |
|---|---|---|
"""
COMMANDS = """# Commands

Made from `ka --help` by `python tools/reference.py`.
"""


def pages() -> dict[str, str]:
    """Each page's text by its file name."""
    return {"settings.md": _settings(), "commands.md": _commands()}


def _settings() -> str:
    rows = [f"| `{name}` | {_default(field)} | {field.description} |\n" for name, field in names().items()]
    return SETTINGS + "".join(rows)


def _default(field: FieldInfo) -> str:
    if is_secret(field):
        return "secret"
    return "" if field.default is None else f"`{json.dumps(field.default, default=str)}`"


def _commands() -> str:
    # importing them adds them to `ka`
    importlib.import_module("app.cli.commands")
    text = COMMANDS
    for path, command in _walk("ka", typer.main.get_command(cli)):
        context = command.make_context(path, [], resilient_parsing=True, terminal_width=100)
        help_text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        text += f"\n## {path}\n\n```text\n{help_text}\n```\n"
    return text


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inside in sorted(getattr(command, "commands", {}).items()):
        yield from _walk(f"{path} {name}", inside)


if __name__ == "__main__":
    for file, text in pages().items():
        (REFERENCE / file).write_text(text, encoding="utf-8")
