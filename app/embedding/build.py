"""Makes the model files from the weights: `python -m app.embedding.build DIR`, a step of the set-up.

The folder then holds one ONNX file per variant, the tokenizer, and `manifest.json` with size and SHA-256 of
each. Running it again does nothing when they are right. The same weights give the same bytes everywhere.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.embedding.manifest import FILES, FORMAT, MANIFEST, WORDS, Manifest, read_manifest
from app.embedding.weights import WEIGHTS_SHA256, model_folder, read_tokenizer, read_weights
from app.errors import AssistantError

Say = Callable[[str], None]


class FolderNotOurs(AssistantError):
    """The folder '{folder}' holds other files ('{example}') and is left as it is."""

    advice = "Name a folder of its own for the model."


def build(folder: Path, say: Say = lambda _: None) -> bool:
    """Build the model in `folder`, at once or not at all; return False when it was there and right.

    Raises:
        WeightsUnusable: the package with the weights is missing or another one.
        FolderNotOurs: the folder holds something else.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent):
        if is_whole(folder):
            say(f"The embedding model in {folder} is there and right.")
            return False
        _refuse_other_files(folder)
        _build(folder, say)
    say(f"The embedding model is ready in {folder}.")
    return True


def _build(folder: Path, say: Say) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as place:
        new = Path(place) / "new"
        new.mkdir(mode=0o755)
        _write_files(new, say)
        _swap(new, folder, Path(place) / "old")


def is_whole(folder: Path) -> bool:
    """Tell whether the folder holds every file of this version with the right SHA-256 (reads all of them)."""
    try:
        manifest = read_manifest(folder)
    except AssistantError:
        return False
    return all(_sha256(folder / name) == entry["sha256"] for name, entry in manifest["files"].items())


def _write_files(folder: Path, say: Say) -> None:
    from app.embedding.graph import DIMENSION, MAX_TOKENS, build_graph, word_table  # onnx is needed only here

    source = model_folder()
    say(f"Reading the weights in {source}")
    weights = read_weights(source)
    (folder / "tokenizer.json").write_bytes(_plain_tokenizer(read_tokenizer(source)))
    (folder / WORDS).write_bytes(word_table(weights).tobytes())
    for variant in ("fp32", "int8"):
        say(f"Writing {variant}.onnx")
        (folder / f"{variant}.onnx").write_bytes(build_graph(weights, variant).SerializeToString())
    manifest: Manifest = {
        "format": FORMAT,
        "name": "all-MiniLM-L6-v2",
        "dimension": DIMENSION,
        "max_tokens": MAX_TOKENS,
        "weights_sha256": WEIGHTS_SHA256,
        "files": {
            name: {"size": (folder / name).stat().st_size, "sha256": _sha256(folder / name)} for name in FILES
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        _sync(path)


def _plain_tokenizer(data: bytes) -> bytes:
    """Take truncation and padding to 128 tokens out: who uses the tokenizer sets what it needs."""
    settings = json.loads(data)
    settings["truncation"] = settings["padding"] = None
    return json.dumps(settings, ensure_ascii=False, separators=(",", ":")).encode()


def _refuse_other_files(folder: Path) -> None:
    if folder.exists():
        strange = sorted(path.name for path in folder.iterdir() if path.name not in {*FILES, MANIFEST})
        if strange:
            raise FolderNotOurs(folder=folder, example=strange[0])


def _swap(new: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    _sync(folder.parent)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time build inside a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Command line: build, or with `--verify` only check; 0 when the folder is right."""
    parser = argparse.ArgumentParser(prog="python -m app.embedding.build", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--verify", action="store_true", help="only check every file's SHA-256")
    options = parser.parse_args(arguments)
    try:
        if options.verify:
            read_manifest(options.folder)
            whole = is_whole(options.folder)
            _print(f"{options.folder}: {'every file is right' if whole else 'a file has another SHA-256'}")
            return 0 if whole else 1
        build(options.folder, _print)
    except AssistantError as error:
        sys.stderr.write(error.sentence() + "\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"The embedding model was not written: {error}\n")
        return 1
    return 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
