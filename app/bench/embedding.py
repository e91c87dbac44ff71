"""Speed and fidelity of the embedding engines, all in one run: `python -m app.bench.embedding MODEL_DIR`.

Speeds are taken in rounds, one engine after the other, so that other work on the machine meets all of them;
what counts are the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from app.bench.embedding_engines import Engine, chroma_default, ours, sentence_transformers
from app.embedding.base import Vectors
from app.embedding.cpu import cpu_flags, has_fast_int8
from app.embedding.manifest import read_manifest
from app.embedding.tokens import ModelTokenizer

Result = dict[str, Any]
_QUESTIONS = [f"What did the report say about project {i} and its costs?" for i in range(10)]
_PACKAGES = ("onnxruntime", "tokenizers", "chromadb", "torch", "sentence-transformers", "numpy")


def run(
    model_dir: Path,
    threads: Sequence[int] = (1, 2),
    datasets: Path | None = None,
    *,
    texts: int = 64,
    rounds: int = 5,
) -> Result:
    """Measure every engine that is there.

    Args:
        model_dir: what `python -m app.embedding.build` made.
        threads: numbers of threads to measure with; each engine gets the same.
        datasets: folder of question sets (`NAME/corpus.jsonl` and `queries.jsonl`) for the quality part;
            without it only speed is measured, on texts of made-up words.
        texts: 200-token chunks per engine and round.
        rounds: how often each engine has its turn; medians are given.

    Returns:
        `machine`, `speed` (per number of threads and engine: texts_per_second, question_ms, cpu_ms_per_text,
        and how many times better the first engine is), `quality` (per question set) and `not_measured`.

    Raises:
        ModelUnusable: there is no model in the folder.
    """
    sets = _question_sets(datasets) if datasets else {}
    chunks = _chunks(model_dir, [row["text"] for corpus, _ in sets.values() for row in corpus], texts)
    result: Result = {"machine": _machine(), "speed": {}, "not_measured": [], "chunk_tokens": 200}
    with tempfile.TemporaryDirectory() as place:
        for count in threads:
            engines = _engines(model_dir, Path(place), count)
            result["speed"][str(count)] = _speed(engines, chunks, rounds)
            for engine in engines:
                engine.close()
    if "sentence-transformers" not in result["speed"][str(threads[0])]:
        result["not_measured"].append("sentence-transformers: not installed here")
    if sets:
        result["quality"] = _quality(model_dir, sets)
    return result


def _engines(model_dir: Path, place: Path, threads: int) -> list[Engine]:
    engines: list[Engine] = []
    if has_fast_int8(cpu_flags()):
        engines.append(ours(model_dir, "int8", threads))
    engines += [ours(model_dir, "fp32", threads), chroma_default(place, threads)]
    reference = sentence_transformers(threads)
    return [*engines, reference] if reference else engines


def _speed(engines: list[Engine], chunks: list[str], rounds: int) -> Result:
    rates: dict[str, list[float]] = {engine.name: [] for engine in engines}
    waits: dict[str, list[float]] = {engine.name: [] for engine in engines}
    work: dict[str, float] = dict.fromkeys(rates, 0.0)
    for engine in engines:
        engine.embed(chunks[:4])
    for _ in range(rounds):
        for engine in engines:
            before = time.process_time()
            rates[engine.name].append(len(chunks) / _seconds(engine, chunks))
            work[engine.name] += time.process_time() - before
            engine.embed(_QUESTIONS[:1])
            waits[engine.name] += [_seconds(engine, [question]) for question in _QUESTIONS]
    speed: Result = {
        name: {
            "texts_per_second": round(statistics.median(rates[name]), 1),
            "question_ms": round(1000 * statistics.median(waits[name]), 2),
            "cpu_ms_per_text": round(1000 * work[name] / rounds / len(chunks), 1),
        }
        for name in rates
    }
    first = engines[0].name
    for engine in engines[1:]:
        ratios = [a / b for a, b in zip(rates[first], rates[engine.name], strict=True)]
        question = statistics.median(waits[engine.name]) / statistics.median(waits[first])
        speed[engine.name][f"{first}_times_texts"] = round(statistics.median(ratios), 2)
        speed[engine.name][f"{first}_times_question"] = round(question, 1)
    return speed


def _seconds(engine: Engine, texts: list[str]) -> float:
    start = time.perf_counter()
    engine.embed(texts)
    return time.perf_counter() - start


def _quality(model_dir: Path, sets: dict[str, tuple[list[Result], list[Result]]]) -> Result:
    """Compare int8 with fp32, and fp32 with the reference when it is there."""
    cores = os.cpu_count() or 1
    exact, fast = ours(model_dir, "fp32", cores), ours(model_dir, "int8", cores)
    reference = sentence_transformers(cores)
    quality: Result = {}
    for name, (corpus, queries) in sets.items():
        passages = [f"{row['title']}\n{row['text']}".strip() for row in corpus]
        questions = [row["question"] for row in queries]
        found = {e.name: (e.embed(passages), e.embed(questions)) for e in (exact, fast)}
        quality[name] = {
            "recall@5": {key: round(_recall(corpus, queries, *both), 4) for key, both in found.items()},
            "int8_to_fp32": _closeness(found["fp32"], found["int8"]),
        }
        if reference:
            sample = found["fp32"][0][:100], found["fp32"][1][:100]
            torch = reference.embed(passages[:100]), reference.embed(questions[:100])
            quality[name]["fp32_to_sentence_transformers"] = _closeness(torch, sample)
    exact.close()
    fast.close()
    return quality


def _closeness(reference: tuple[Vectors, Vectors], other: tuple[Vectors, Vectors]) -> Result:
    cosines = np.concatenate([(a * b).sum(axis=1) for a, b in zip(reference, other, strict=True)])
    return {
        "cosine_mean": round(float(cosines.mean()), 6),
        "cosine_min": round(float(cosines.min()), 6),
        "neighbour_recall@10": round(_neighbours(reference[0], other[0], 10), 3),
    }


def _neighbours(reference: Vectors, other: Vectors, count: int) -> float:
    """Share of each passage's nearest other passages that both find."""
    nearest = []
    for vectors in (reference, other):
        scores = vectors @ vectors.T
        np.fill_diagonal(scores, -2)
        nearest.append(np.argsort(-scores, axis=1)[:, :count])
    return float(np.mean([len(np.intersect1d(a, b)) / count for a, b in zip(*nearest, strict=True)]))


def _recall(corpus: list[Result], queries: list[Result], passages: Vectors, questions: Vectors) -> float:
    """Share of the right passages among the five nearest, averaged over the questions."""
    ids = np.array([row["id"] for row in corpus])
    top = ids[np.argsort(-(questions @ passages.T), axis=1)[:, :5]]
    return float(
        np.mean(
            [
                len(set(found) & set(row["gold"])) / len(row["gold"])
                for found, row in zip(top, queries, strict=True)
            ]
        )
    )


def _chunks(model_dir: Path, texts: list[str], count: int) -> list[str]:
    """Cut texts of 200 tokens, special tokens included."""
    tokenizer = ModelTokenizer(model_dir / "tokenizer.json", read_manifest(model_dir)["max_tokens"])
    words = ("report", "water", "engine", "city", "cost", "machine", "house", "music", "seven", "line")
    rng = np.random.default_rng(1)
    text = " ".join(texts) if texts else " ".join(rng.choice(words, size=count * 198))
    spans = tokenizer.spans(text)
    starts = range(0, min(count * 198, len(spans) - 198) or 1, 198)
    return [text[spans[start][0] : spans[min(start + 197, len(spans) - 1)][1]] for start in starts]


def _question_sets(folder: Path) -> dict[str, tuple[list[Result], list[Result]]]:
    return {
        path.parent.name: (_rows(path), _rows(path.with_name("queries.jsonl")))
        for path in sorted(folder.glob("*/corpus.jsonl"))
    }


def _rows(path: Path) -> list[Result]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _machine() -> Result:
    def installed(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "fast_int8": has_fast_int8(cpu_flags()),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in _PACKAGES if installed(name)},
    }


def _processor() -> str:
    """Name of the processor and its instructions that matter here."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    wide = sorted(cpu_flags() & {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8"})
    return " ".join([names[0] if names else platform.machine(), *wide])


def main() -> int:
    """Command line: print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    result = run(
        options.model_dir, options.threads, options.datasets, texts=options.texts, rounds=options.rounds
    )
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
