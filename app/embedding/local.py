"""The embedding model on this machine's processor, with onnxruntime."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.embedding.base import ModelUnusable, Span, Vectors
from app.embedding.cpu import cpu_flags, has_fast_int8
from app.embedding.manifest import read_manifest
from app.embedding.tokens import ModelTokenizer

Choice = Literal["auto", "fp32", "int8"]

_LOG = logging.getLogger(__name__)
_PROBE = Path(__file__).with_name("probe.json")
_SHORT = 200  # characters of a question, about 50 tokens and 3 ms
_PROBE_COSINE = 0.99  # int8 reaches 0.998; arithmetic that overflows falls far below


class LocalEmbedder:
    """all-MiniLM-L6-v2 with onnxruntime, without torch.

    Each text is one run of the model on one thread, so nothing is padded, and a text's vector does not depend
    on what else is embedded. Several texts run on `threads` threads; a single text does not wait behind
    them: it has a thread of its own, and a short one (a question) is computed at once.
    """

    def __init__(
        self,
        model_dir: Path,
        variant: Choice = "auto",
        threads: int = 1,
        *,
        flags: frozenset[str] | None = None,
    ) -> None:
        """Load the model that `python -m app.embedding.build` made.

        Args:
            model_dir: its folder.
            variant: `auto` takes int8 when the processor is fast and right with it, else fp32.
            threads: how many texts are computed at once.
            flags: the processor's flags, found by itself when left out.

        Raises:
            ModelUnusable: the folder is missing, incomplete or cannot be loaded.
        """
        manifest = read_manifest(model_dir)
        self.name = manifest["name"]
        self.dimension = manifest["dimension"]
        self.max_tokens = manifest["max_tokens"]
        try:
            self._tokenizer = ModelTokenizer(model_dir / "tokenizer.json", self.max_tokens)
        except (OSError, ValueError) as error:
            raise ModelUnusable(folder=model_dir, why=f"tokenizer.json: {error}") from error
        self.variant, self._session = self._choose(
            model_dir, variant, cpu_flags() if flags is None else flags
        )
        _LOG.info("embedding with %s (%s), %d threads", self.name, self.variant, threads)
        self._threads = max(1, threads)
        self._many = ThreadPoolExecutor(self._threads, thread_name_prefix="embed")
        self._one = ThreadPoolExecutor(1, thread_name_prefix="embed-one")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 per text, in the order given: shape (len(texts), 384)."""
        out = np.zeros((len(texts), self.dimension), np.float32)
        loop = asyncio.get_running_loop()
        if len(texts) == 1:
            if len(texts[0]) <= _SHORT:  # on a busy machine, changing the thread takes longer than the work
                out[0] = self._vector(texts[0])
            else:
                out[0] = await loop.run_in_executor(self._one, self._vector, texts[0])
            return out
        stop = threading.Event()
        work = _Shared(iter(enumerate(texts)))
        count = min(self._threads, len(texts))
        try:
            await asyncio.gather(
                *(loop.run_in_executor(self._many, self._drain, work, out, stop) for _ in range(count))
            )
        finally:
            stop.set()
        return out

    def token_spans(self, text: str) -> list[Span]:
        """Return start and end, in characters, of each token of the whole text, without special tokens."""
        return self._tokenizer.spans(text)

    async def close(self) -> None:
        """Stop the threads after the text each is at."""
        for pool in (self._one, self._many):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _drain(self, work: _Shared, out: Vectors, stop: threading.Event) -> None:
        for place, text in work:
            if stop.is_set():
                return
            out[place] = self._vector(text)

    def _vector(self, text: str) -> NDArray[np.float32]:
        return _run(self._session, self._tokenizer, text)

    def _choose(
        self, folder: Path, wanted: Choice, flags: frozenset[str]
    ) -> tuple[Literal["fp32", "int8"], ort.InferenceSession]:
        if wanted != "auto":
            return wanted, _load(folder, wanted)
        if not has_fast_int8(flags):
            _LOG.info("this processor has no fast int8 instructions (VNNI): taking fp32")
            return "fp32", _load(folder, "fp32")
        try:
            session = _load(folder, "int8")
            cosine = _probe(session, self._tokenizer)
        except ModelUnusable as error:
            _LOG.warning("the int8 model failed to load, taking fp32: %s", error.message)
        except Exception:  # noqa: BLE001 - whatever onnxruntime raises, fp32 may still work
            _LOG.warning("the int8 model failed on this processor, taking fp32", exc_info=True)
        else:
            if cosine >= _PROBE_COSINE:
                return "int8", session
            _LOG.warning("int8 is inexact on this processor (cosine %.3f): taking fp32", cosine)
        return "fp32", _load(folder, "fp32")


class _Shared:
    """An iterator that several threads take from."""

    def __init__(self, source: Iterator[tuple[int, str]]) -> None:
        self._source = source
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while True:
            with self._lock:
                item = next(self._source, None)
            if item is None:
                return
            yield item


def _load(folder: Path, variant: Literal["fp32", "int8"]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # texts run beside each other instead
    options.log_severity_level = 3
    # the graph is written as it should run; the optimiser would fuse it into slower operators
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    path = folder / f"{variant}.onnx"
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no other base class
        raise ModelUnusable(folder=folder, why=f"{path.name} is damaged or not supported") from error


def _run(session: ort.InferenceSession, tokenizer: ModelTokenizer, text: str) -> NDArray[np.float32]:
    ids = np.array([tokenizer.ids(text)], np.int64)
    return cast("NDArray[np.float32]", session.run(["embedding"], {"input_ids": ids})[0][0])


def _probe(session: ort.InferenceSession, tokenizer: ModelTokenizer) -> float:
    """Cosine between a known text's vector and the reference model's."""
    known = json.loads(_PROBE.read_bytes())
    expected = np.array(known["vector"], np.float32)
    found = _run(session, tokenizer, known["text"])
    return float(found @ expected / np.linalg.norm(expected))
