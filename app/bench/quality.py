"""How good retrieval is: recall@5 and nDCG@10 of both searches and of their fusion, on question sets.

A set is a folder with ``corpus.jsonl`` (``id``, ``title``, ``text``) and ``queries.jsonl`` (``question`` and
``gold``, the ids of the right texts). Each text becomes a document, read by the real pipeline.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.assistant import Assistant
from app.bench.temporary import read_all, temporary_assistant
from app.retrieval.fuse import Ranking, fuse
from app.retrieval.search import dense_weight
from app.stores.generations import Generations

WEIGHTS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """Both rankings of one question (chunk ids), the weight that search would use, and the right texts."""

    dense: Ranking
    lexical: Ranking
    weight: float
    gold: frozenset[str]


async def run(folders: Sequence[Path], *, limit: int | None = None) -> dict[str, Any]:
    """Measure each set; ``limit`` takes only so many questions of each."""
    figures: dict[str, Any] = {}
    for folder in folders:
        async with temporary_assistant() as assistant:
            await _read(assistant, folder)
            asked = await _ask(assistant, folder, limit)
            figures[folder.name] = await _figures(assistant, asked)
    return figures


async def _read(assistant: Assistant, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ka-corpus-") as made:
        await read_all(assistant, "default", corpus_files(folder, Path(made)))


def corpus_files(folder: Path, made: Path) -> list[tuple[str, Path]]:
    """Write each text of a set's corpus to a file in ``made``; returns names and files."""
    files: list[tuple[str, Path]] = []
    for text in _lines(folder / "corpus.jsonl"):
        file = made / f"{len(files)}.txt"
        file.write_text(f"# {text['title']}\n\n{text['text']}\n", encoding="utf-8")
        files.append((f"{text['id']}/{text['title'].replace('/', ' ')}.md", file))
    return files


async def _ask(assistant: Assistant, folder: Path, limit: int | None) -> list[Asked]:
    scope = await Generations(assistant.database).scope("default")
    asked = []
    for query in list(_lines(folder / "queries.jsonl"))[:limit]:
        dense, lexical = await assistant.searcher.rankings(scope, query["question"], {}, [])
        weight = dense_weight(assistant.embedder.name, query["question"], scope.languages)
        asked.append(Asked(dense, lexical, weight, frozenset(str(gold) for gold in query["gold"])))
    return asked


async def _figures(assistant: Assistant, asked: Sequence[Asked]) -> dict[str, Any]:
    rows = await assistant.database.rows(
        """SELECT c.id, split_part(d.name, '/', 1) AS text
        FROM chunks c JOIN documents d ON d.id = c.document_id"""
    )
    text_of = {row["id"]: row["text"] for row in rows}

    def measured(weights: Iterable[float]) -> dict[str, float]:
        orders = [
            _texts([one.chunk_id for one in fuse(a.dense, a.lexical, weight)], text_of)
            for a, weight in zip(asked, weights, strict=True)
        ]
        golds = [a.gold for a in asked]
        return {
            "recall@5": round(
                _mean(recall(order, gold, 5) for order, gold in zip(orders, golds, strict=True)), 4
            ),
            "ndcg@10": round(
                _mean(ndcg(order, gold, 10) for order, gold in zip(orders, golds, strict=True)), 4
            ),
        }

    return {
        "questions": len(asked),
        "passages": len(text_of),
        "dense": measured([1.0] * len(asked)),
        "lexical": measured([0.0] * len(asked)),
        "fused": measured(a.weight for a in asked),
        "by_weight": {str(weight): measured([weight] * len(asked)) for weight in WEIGHTS},
    }


def recall(order: Sequence[str], gold: frozenset[str], k: int) -> float:
    """Share of the right texts among the first ``k``."""
    return len(gold.intersection(order[:k])) / len(gold)


def ndcg(order: Sequence[str], gold: frozenset[str], k: int) -> float:
    """Normalised discounted cumulative gain with gains of 0 and 1 (Järvelin, Kekäläinen, 2002)."""
    gained = sum(1 / math.log2(place + 1) for place, one in enumerate(order[:k], start=1) if one in gold)
    return gained / sum(1 / math.log2(place + 1) for place in range(1, min(k, len(gold)) + 1))


def _texts(chunks: Sequence[int], text_of: dict[int, str]) -> list[str]:
    """Texts in the order of their first passage."""
    return list(dict.fromkeys(text_of[chunk] for chunk in chunks if chunk in text_of))


def _lines(file: Path) -> Iterable[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
