"""The list of a model folder's files, checked cheaply each time the model is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict, cast

from app.embedding.base import ModelUnusable

FORMAT = 3  # raise it whenever the same weights give other files
MANIFEST = "manifest.json"
WORDS = "words.bin"  # what both variants have in common, named in their files
FILES = ("fp32.onnx", "int8.onnx", WORDS, "tokenizer.json")


class FileEntry(TypedDict):
    """Size in bytes and SHA-256 in hexadecimal of one file."""

    size: int
    sha256: str


class Manifest(TypedDict):
    """What `manifest.json` holds."""

    format: int
    name: str
    dimension: int
    max_tokens: int
    weights_sha256: str
    files: dict[str, FileEntry]


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest and compare the sizes of the files it names.

    Raises:
        ModelUnusable: something is missing, cut off, or from another version of this program.
    """
    try:
        manifest = cast("Manifest", json.loads((folder / MANIFEST).read_bytes()))
        known = manifest["format"] == FORMAT and set(manifest["files"]) == set(FILES)
        sizes = {name: entry["size"] for name, entry in manifest["files"].items()}
    except FileNotFoundError as error:
        raise ModelUnusable(folder=folder, why="it has not been built yet") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnusable(folder=folder, why=f"{MANIFEST} cannot be read") from error
    if not known:
        raise ModelUnusable(folder=folder, why="it belongs to another version of this program")
    for name, size in sizes.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise ModelUnusable(folder=folder, why=f"{name} is missing or incomplete")
    return manifest
