"""Settings from three sources: one TOML file, the environment, and a folder of credentials.

Order, later wins: defaults, the file (``--config``, ``KA_CONFIG``, ``/etc/knowledge-assistant/config.toml``),
variables ``KA_SECTION__NAME``, command line options. Secrets come only from files: either
``$CREDENTIALS_DIRECTORY/section.name`` (what systemd's LoadCredential makes) or a path given as
``section.name_file``; a secret in the file or the environment is refused, since both get copied around.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from app.errors import AssistantError
from app.settings.model import Section, Settings

PREFIX = "KA_"
DEFAULT_FILE = Path("/etc/knowledge-assistant/config.toml")
# Variables of ours that are not settings: the file itself, and facts that the packaging states.
NOT_SETTINGS = {"KA_CONFIG", "KA_RELEASE", "KA_COMMIT", "KA_CLOSURE", "KA_LAB_DIR", "KA_LAB_IMAGE"}


class SettingsError(AssistantError):
    """{what}"""

    status = 500
    advice = "'ka config show' lists every setting."


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Read and check all settings.

    ``options`` are dotted names given on the command line, such as ``{"server.port": 9000}``; those that are
    ``None`` are not given. Raises :class:`SettingsError`, which names the setting, what is wrong, and the
    nearest right name for an unknown one.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for source, dotted in (
        *_from_file(_find_file(file, environment)),
        *_from_environment(environment),
        *(
            ("the command line", {name: value})
            for name, value in (options or {}).items()
            if value is not None
        ),
    ):
        for name, value in dotted.items():
            _put(values, name, value, source)
    _read_secrets(values, environment)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(what=_explain(error)) from None


def names() -> dict[str, FieldInfo]:
    """Every setting by its dotted name, such as ``server.port``."""
    return dict(_walk(Settings, ""))


def is_secret(field: FieldInfo) -> bool:
    """Whether the setting may come only from a file of its own."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _walk(section: type[Section], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _walk(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _find_file(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    if file is None and "KA_CONFIG" in environment:
        file = Path(environment["KA_CONFIG"])
    if file is None:
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    if not file.is_file():
        raise SettingsError(what=f"The settings file {file} does not exist.")
    return file


def _from_file(file: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
    if file is None:
        return
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(what=f"The settings file {file} cannot be read: {error}.") from None
    yield str(file), _flatten(table)


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for variable, value in environment.items():
        if variable.startswith(PREFIX) and variable not in NOT_SETTINGS:
            name = variable.removeprefix(PREFIX).lower().replace("__", ".")
            yield f"the variable {variable}", {name: _listed(name, value)}


def _listed(name: str, value: str) -> str | list[str]:
    field = names().get(name)
    is_list = field is not None and getattr(field.annotation, "__origin__", None) is list
    return [part.strip() for part in value.split(",")] if is_list else value


def _put(values: dict[str, Any], name: str, value: Any, source: str) -> None:
    """Store one dotted value, or say which name was meant."""
    known = names()
    plain = name.removesuffix("_file")
    if name != plain and plain in known and is_secret(known[plain]):
        value = SecretStr(_read_secret(Path(str(value)), name))
        name = plain
    elif name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingsError(what=f"Unknown setting {name} in {source}.{hint}")
    elif is_secret(known[name]):
        raise SettingsError(
            what=f"{name} is a secret and may not stand in {source}.",
            advice=f"Give the path of a file that holds it as {name}_file, or a systemd credential {name}.",
        )
    *sections, last = name.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[last] = value


def _read_secrets(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return
    secrets = {name for name, field in names().items() if is_secret(field)}
    for file in sorted(Path(folder).iterdir()):
        if file.name not in secrets:
            near = difflib.get_close_matches(file.name, secrets, n=1, cutoff=0.5) or [
                ", ".join(sorted(secrets))
            ]
            raise SettingsError(what=f"Unknown credential {file.name} in {folder}. Did you mean {near[0]}?")
        section, last = file.name.split(".")
        values.setdefault(section, {})[last] = SecretStr(_read_secret(file, file.name))


def _read_secret(file: Path, name: str) -> str:
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(what=f"The file for {name} cannot be read: {error}.") from None
    if not secret:
        raise SettingsError(what=f"The file for {name}, {file}, is empty.")
    return secret


def _explain(error: ValidationError) -> str:
    """The first fault as one sentence that starts with the setting's name."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    given = first.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{name}: {message}{shown}." if first["type"] != "value_error" else f"{message}."
