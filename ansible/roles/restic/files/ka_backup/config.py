"""What a host has to know about backups; written by the role `restic`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ka_backup.errors import Unusable

PATH = Path("/etc/knowledge-assistant/backup.json")
PROFILE = Path("/nix/var/nix/profiles/ka")
PASSWORD = "ka.backup.password"  # noqa: S105 -- the credential's name
ESCROW = "escrow"


@dataclass(frozen=True)
class Config:
    """``url`` and a repository's name, with a slash between, are where it is, as restic takes it.

    On a backup host it is the folder itself. ``certificate`` holds key and certificate in one PEM; ``spool``,
    ``data`` and ``metrics`` are folders of this host. ``release`` is a path in the store (that of
    this host where none is written), ``inventory`` a SHA-256. Each but the first three may be empty.
    """

    host: str
    group: str
    url: str
    ca: str = ""
    certificate: str = ""
    databases: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    spool: str = ""
    data: str = ""
    metrics: str = ""
    release: str = ""
    inventory: str = ""

    @property
    def repositories(self) -> list[str]:
        """Names of all repositories that hosts write to."""
        return [*self.databases, *self.documents]


def load(path: Path = PATH) -> Config:
    """Raises Unusable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unusable(f"{path} cannot be read ({error}); run site.yml --tags restic.") from error
    return decode(found, path)


def decode(found: Any, path: Path = PATH) -> Config:
    """Settings from what JSON holds; what is not known here is left alone. Raises Unusable."""
    if not isinstance(found, dict):
        raise Unusable(f"{path} holds no object; run site.yml --tags restic.")
    values: dict[str, Any] = {}
    for each in fields(Config):
        kind: type = list if each.type == "list[str]" else str
        if each.name not in found:
            if each.name in ("host", "group", "url"):
                raise Unusable(f"{path} lacks “{each.name}”; run site.yml --tags restic.")
            continue
        if not isinstance(found[each.name], kind):
            raise Unusable(f"{path}: “{each.name}” is no {kind.__name__}; run site.yml --tags restic.")
        values[each.name] = found[each.name]
    if not values.get("release") and PROFILE.exists():
        values["release"] = str(PROFILE.resolve())
    return Config(**values)


def credential(name: str) -> Path:
    """File of a credential of this unit; raises Unusable."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder) / name
    if not folder or not path.is_file():
        raise Unusable(
            f"The credential {name} is not there; run this as a unit with ImportCredential={name}, "
            "or site.yml --tags secrets where it is missing."
        )
    return path
