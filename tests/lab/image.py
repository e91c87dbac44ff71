"""The image: one raw disk, never written to, and the manifest beside it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.lab import gpt
from tests.lab.errors import LabError

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT = REPOSITORY / "build" / "image" / "knowledge-assistant.raw"


@dataclass(frozen=True)
class Image:
    """A raw disk, where its root partition lies (bytes), and the closure that its manifest names, if any."""

    path: Path
    offset: int
    size: int
    closure: str | None


def chosen(given: str | None) -> Path:
    """The image that was asked for: by option, else by KA_LAB_IMAGE, else where `make image` puts it."""
    return Path(given or os.environ.get("KA_LAB_IMAGE") or DEFAULT).resolve()


def inspect(path: Path, closure: str | None = None) -> Image:
    """Look at the image and its manifest; nothing is attached.

    Args:
        path: raw disk with a GPT.
        closure: store path that the image has to hold, if that matters.

    Raises:
        LabError: it is missing or unreadable, or holds another closure than ``closure``.
    """
    if not path.is_file():
        raise LabError(
            f"There is no image at {path}: make it with `make image`, or name another with --image."
        )
    partition = gpt.root(path)
    held = _closure(path.with_name("manifest.json"), closure is not None)
    if closure is not None and held != closure:
        raise LabError(
            f"The image {path} holds the closure {held}, but {closure} is wanted: "
            f"make the image again (`make image`) or ask for the one that it holds."
        )
    return Image(path, partition.offset, partition.size, held)


def _closure(manifest: Path, needed: bool) -> str | None:
    try:
        data = json.loads(manifest.read_text())
    except FileNotFoundError:
        if needed:
            raise LabError(f"The image has no manifest ({manifest}), so its closure is unknown.") from None
        return None
    except (OSError, ValueError) as error:
        raise LabError(f"The image's manifest {manifest} can't be read: {error}.") from error
    held = data.get("closure") if isinstance(data, dict) else None
    if isinstance(held, dict):
        held = held.get("path")
    if held is not None and not isinstance(held, str):
        raise LabError(f"The image's manifest {manifest} names no store path as its closure.")
    return held
