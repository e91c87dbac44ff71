"""Write docs/reference/roles.md and ports.md: ``python tools/roles_reference.py``; a test compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
ROLES = ROOT / "ansible" / "roles"
WIRING = ROLES.parent / "wiring.yml"
MATRIX = ROLES.parent / "ports.yml"
REFERENCE = ROOT / "docs" / "reference"
HEAD = """# Roles

Made from `ansible/roles/*/meta/argument_specs.yml` by `python tools/roles_reference.py`.

What can be set in an inventory or with `-e`. A name that is not here, or a value of the wrong kind, ends a
playbook before it touches a host, with the name that was probably meant.
"""

PORTS = """# Ports

Made from `ansible/ports.yml` by `python tools/roles_reference.py`. Hosts' firewalls let this in and out,
and nothing else; all of it is TCP.

| to | port | from | what |
|---|---|---|---|
"""


def pages() -> dict[str, str]:
    """Each page's text by its file name."""
    return {"roles.md": _roles(), "ports.md": PORTS + "".join(map(_port, _load(MATRIX)["ports"]))}


def _port(row: dict[str, Any]) -> str:
    return f"| {row['to']} | {row['port']} | {', '.join(row['from'])} | {row['what']} |\n"


def _roles() -> str:
    return HEAD + "".join(
        _role(path.parent.parent) for path in sorted(ROLES.glob("*/meta/argument_specs.yml"))
    )


def _role(role: Path) -> str:
    spec = _load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    defaults = _load(role / "defaults" / "main.yml")
    text = f"\n## {role.name}\n\n{spec['short_description']}.\n"
    rows = [
        f"| `{name}` | {_kind(option)} | {_default(name, option, defaults)} | {option['description']} |\n"
        for name, option in spec.get("options", {}).items()
    ]
    head = "\n| variable | kind | default | meaning |\n|---|---|---|---|\n"
    return text + (head + "".join(rows) if rows else "")


def _kind(option: dict[str, Any]) -> str:
    kind = option.get("type", "str")
    if kind == "list":
        kind = f"list of {option.get('elements', 'str')}"
    return f"{kind}: {', '.join(map(str, option['choices']))}" if "choices" in option else str(kind)


def _default(name: str, option: dict[str, Any], defaults: dict[str, Any]) -> str:
    if name in _load(WIRING):
        return "by `wiring.yml`"
    if option.get("required"):
        return "must be set"
    value = json.dumps(defaults[name])
    return f"`{value}`" if len(value) <= 60 else "see the role's defaults"


def _load(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


if __name__ == "__main__":
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
