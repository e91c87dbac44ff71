"""How long a search takes in a large collection, against the embedding and the bare Chroma query alone.

The passages are made of sentences of a question set's corpus, put together anew; their vectors are mixtures
of real ones, so that both indexes have something like real work without hours of embedding. They are stored,
indexed and published by the code that ingestion uses.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from app.assistant import Assistant
from app.bench.temporary import temporary_assistant
from app.chunking.sentences import sentence_spans
from app.errors import AssistantError
from app.ingestion.publish import publish
from app.retrieval.words import words
from app.stores.generations import Generation
from app.stores.knowledge_bases import KnowledgeBase
from app.stores.passages import NewPassage, Passages, Vectors

PER_DOCUMENT = 2_000
SENTENCES = 5
CANDIDATES = 50


async def run(
    folder: Path, *, passages: int = 100_000, questions: int = 200, clients: int = 8
) -> dict[str, Any]:
    """Milliseconds of searches in ``passages`` passages made from the set in ``folder``."""
    texts = [json.loads(line)["text"] for line in _read(folder / "corpus.jsonl")]
    asked = [json.loads(line)["question"] for line in _read(folder / "queries.jsonl")]
    chosen = random.Random(7).sample(asked, min(questions, len(asked)))
    async with temporary_assistant() as assistant:
        base = await assistant.knowledge_bases.get("default")
        started = time.perf_counter()
        generation = await _fill(assistant, base, texts, passages)
        filled = time.perf_counter() - started
        # both indexes settle before anything is timed
        await assistant.database.execute("VACUUM ANALYZE")
        base = await assistant.knowledge_bases.get("default")
        for question in chosen[:20]:
            await assistant.searcher.search(base.name, question)
        return {
            "passages": base.passages,
            "fill_seconds": round(filled),
            **await _alone(assistant, base, generation, chosen),
            **await _together(assistant, base, chosen, clients),
        }


async def _fill(assistant: Assistant, base: KnowledgeBase, texts: Sequence[str], amount: int) -> Generation:
    rng, generator = random.Random(1), np.random.default_rng(1)
    sentences = [text[start:end] for text in texts for start, end in sentence_spans(text)]
    real = await assistant.embedder.embed(texts)
    store = Passages(assistant.database)
    generation = (await assistant.keeper.writable(base.id))[0]
    for first in range(0, amount, PER_DOCUMENT):
        document_id = await _document(assistant, base, first)
        for part in range(0, min(PER_DOCUMENT, amount - first), 500):
            made = [_passage(part + i, rng.sample(sentences, SENTENCES)) for i in range(500)]
            vectors = _mixtures(real, len(made), generator)
            ids = await store.add(document_id, base.id, "english", assistant.embedder.name, made, vectors)
            await assistant.index.upsert(generation.collection, ids, vectors)
        await publish(assistant.database, assistant.queue, document_id, [generation.id])
    return generation


async def _document(assistant: Assistant, base: KnowledgeBase, number: int) -> UUID:
    row = await assistant.database.row(
        """INSERT INTO documents (knowledge_base_id, name, version, sha256, size_bytes, state, language)
        VALUES (%s, %s, 1, encode(sha256(%s::bytea), 'hex'), 0, 'indexing', 'english') RETURNING id""",
        base.id,
        f"made-{number}",
        str(number).encode(),
    )
    document_id = UUID(str(row and row["id"]))
    await assistant.database.execute(
        "INSERT INTO pages (document_id, number, kind, text) VALUES (%s, 1, 'part', 'made up')", document_id
    )
    return document_id


def _passage(ordinal: int, sentences: Sequence[str]) -> NewPassage:
    text = " ".join(sentences)
    return NewPassage(ordinal, 1, 0, len(text), "", 0, text, words(text))


def _mixtures(real: Vectors, amount: int, generator: np.random.Generator) -> Vectors:
    pairs = generator.integers(0, len(real), size=(amount, 2))
    noise = generator.normal(0, 0.02, size=(amount, real.shape[1]))
    mixed = real[pairs].sum(axis=1) + noise
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), dtype=np.float32)


async def _alone(
    assistant: Assistant, base: KnowledgeBase, generation: Generation, questions: Sequence[str]
) -> dict[str, Any]:
    """One question after the other, each asked both ways, in turn."""
    bare: list[float] = []
    whole: list[float] = []
    stages: dict[str, list[float]] = {}
    for question in questions:
        started = time.perf_counter()
        vector = (await assistant.embedder.embed([question]))[0]
        await assistant.index.query(generation.collection, vector, CANDIDATES)
        bare.append(time.perf_counter() - started)
        found = await assistant.searcher.search(base.name, question)
        whole.append(found.seconds["total"])
        for stage, seconds in found.seconds.items():
            stages.setdefault(stage, []).append(seconds)
    return {
        "embed_and_chroma_p50_ms": _ms(statistics.median(bare)),
        "search_p50_ms": _ms(statistics.median(whole)),
        "search_p95_ms": _ms(statistics.quantiles(whole, n=20)[18]),
        "ratio_p50": round(statistics.median(whole) / statistics.median(bare), 2),
        "stages_p50_ms": {stage: _ms(statistics.median(values)) for stage, values in stages.items()},
    }


async def _together(
    assistant: Assistant, base: KnowledgeBase, questions: Sequence[str], clients: int
) -> dict[str, Any]:
    """Several clients at once, each with its share of the questions."""
    times: list[float] = []
    errors = 0
    degraded = 0

    async def client(number: int) -> None:
        nonlocal errors, degraded
        for question in questions[number::clients]:
            try:
                found = await assistant.searcher.search(base.name, question)
            except AssistantError:
                errors += 1
            else:
                degraded += bool(found.degraded)
                times.append(found.seconds["total"])

    started = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    return {
        "clients": clients,
        "clients_p50_ms": _ms(statistics.median(times)),
        "clients_per_second": round(len(times) / (time.perf_counter() - started), 1),
        "clients_errors": errors,
        "clients_degraded": degraded,
    }


def _read(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
