"""The embedding engines that are compared, each behind one synchronous call."""

from __future__ import annotations

import asyncio
import importlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort

from app.bench.plain_graph import plain_model
from app.embedding.base import Vectors
from app.embedding.local import LocalEmbedder
from app.embedding.weights import model_folder, read_weights


class Engine:
    """One engine: its name and a call from texts to vectors of length 1."""

    def __init__(self, name: str, embed: Callable[[list[str]], Vectors], close: Callable[[], None]) -> None:
        self.name = name
        self.embed = embed
        self.close = close


def ours(model_dir: Path, variant: Literal["fp32", "int8"], threads: int) -> Engine:
    """The product's own engine, called as the service calls it, from an event loop."""
    loop = asyncio.new_event_loop()
    embedder = LocalEmbedder(model_dir, variant, threads)

    def close() -> None:
        loop.run_until_complete(embedder.close())
        loop.close()

    return Engine(variant, lambda texts: loop.run_until_complete(embedder.embed(texts)), close)


def chroma_default(folder: Path, threads: int) -> Engine:
    """Chroma's default embedding function, its own code and settings, on a given number of threads.

    It would download its model; `folder` gets an equivalent one, where it looks for it.
    """
    from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2

    engine = ONNXMiniLM_L6_V2(preferred_providers=["CPUExecutionProvider"])
    place = folder / engine.EXTRACTED_FOLDER_NAME
    if not place.is_dir():
        _write_chroma_model(place)
    engine.DOWNLOAD_PATH = folder
    vars(engine)["ort"] = _WithThreads(threads)
    return Engine("chroma default", lambda texts: np.asarray(engine(texts), np.float32), lambda: None)


def sentence_transformers(threads: int) -> Engine | None:
    """The reference on torch, when both are installed; they are not part of the project's packages."""
    try:
        torch = importlib.import_module("torch")
        library = importlib.import_module("sentence_transformers")
    except ImportError:
        return None
    model = library.SentenceTransformer(str(model_folder()), device="cpu")

    def embed(texts: Sequence[str]) -> Vectors:
        torch.set_num_threads(threads)
        vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32)

    return Engine("sentence-transformers", embed, lambda: None)


class _WithThreads:
    """onnxruntime, except that new session options have a number of threads."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def SessionOptions(self) -> ort.SessionOptions:  # noqa: N802 - onnxruntime's name
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        return options

    def __getattr__(self, name: str) -> Any:
        return getattr(ort, name)


def _write_chroma_model(place: Path) -> None:
    source = model_folder()
    place.mkdir(parents=True)
    for name in (
        "config.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "tokenizer.json",
        "vocab.txt",
    ):
        shutil.copy(source / name, place / name)
    (place / "model.onnx").write_bytes(plain_model(read_weights(source)).SerializeToString())
