"""How good extracts are and when to refuse: `python -m app.bench.answers MODEL_DIR QUESTION_SET...`.

A question set is a folder with `corpus.jsonl` (id, title, text) and `queries.jsonl` (id, question, answers,
gold). Each text is one passage; a small ranker in memory takes the place of the servers. Three kinds of
questions are asked:

- `answerable`: of their own corpus. Right when the extract contains an accepted answer.
- `gold removed`: of their own corpus without the texts that answer them, but with all that is related. Right
  when refused (a text left over may hold the answer too, which counts as wrong here).
- `other set`: of another set's corpus. Right when refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from app.answering.citations import normalise
from app.answering.extractive import Extract, extract
from app.answering.terms import Terms, terms
from app.embedding.base import Embedder, Vectors
from app.embedding.local import LocalEmbedder
from app.errors import Unavailable
from app.retrieval.fuse import DENSE_WEIGHT, DENSE_WEIGHT_OTHER, fuse
from app.retrieval.passage import Passage
from app.retrieval.words import language_of

Result = dict[str, Any]

ANSWERABLE, REMOVED, OTHER = "answerable", "gold removed", "other set"
THRESHOLDS = tuple(round(0.3 + 0.05 * i, 2) for i in range(15))
PASSAGES = 8
# The threshold suggested is the highest with no more answerable questions refused, averaged over the sets.
FALSE_REFUSALS = 0.03


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question asked: the set that it is from, its kind, the extract's score and whether it was right."""

    name: str
    kind: str
    score: float
    found: bool
    seconds: float


@dataclass(slots=True)
class Corpus:
    """A question set with what its ranker needs."""

    name: str
    rows: list[Result]
    queries: list[Result]
    passages: list[Passage] = field(default_factory=list)
    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    questions: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    pieces: list[Terms] = field(default_factory=list)
    rarity: Counter[str] = field(default_factory=Counter)
    dense_weight: float = DENSE_WEIGHT

    def top(self, question: str, vector: Vectors, without: Sequence[str] = ()) -> list[Passage]:
        """The best passages by embedding and words, without those of some ids."""
        left = [i for i, row in enumerate(self.rows) if row["id"] not in without]
        asked = terms(question)
        dense = [(i, float(self.vectors[i] @ vector)) for i in left]
        lexical = [(i, sum((self._weight(term) for term in asked & self.pieces[i]), 0.0)) for i in left]
        best = fuse(_best(dense), _best(lexical), self.dense_weight)[:PASSAGES]
        return [self.passages[one.chunk_id] for one in best]

    def _weight(self, term: str) -> float:
        count = self.rarity[term]
        return math.log(1 + (len(self.rows) - count + 0.5) / (count + 0.5))


def _best(ranking: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted(ranking, key=lambda one: -one[1])[:50]


class Remembering:
    """An embedder that computes each text once, so that a run takes minutes less."""

    def __init__(self, embedder: Embedder) -> None:
        self.name, self.dimension, self.max_tokens = embedder.name, embedder.dimension, embedder.max_tokens
        self._embedder = embedder
        self._known: dict[str, Vectors] = {}

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As :meth:`Embedder.embed`."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, await self._embedder.embed(new), strict=True))
        return np.stack([self._known[text] for text in texts])

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """As :meth:`Embedder.token_spans`."""
        return self._embedder.token_spans(text)

    async def close(self) -> None:
        """Leaves the embedder open."""


class Failing(Remembering):
    """An embedder that is away: words alone have to decide."""

    async def embed(self, texts: Sequence[str]) -> Vectors:  # noqa: ARG002 - the interface names it so
        """Fail, as for any texts."""
        raise Unavailable(what="The embedding model", why="this run measures words alone")


async def measure(
    embedder: Embedder, folders: Sequence[Path], questions: int = 300, *, words_only: bool = False
) -> Result:
    """Ask `questions` of each set in each way, evenly spread.

    Returns:
        `sets` (per set: share of extracts with the answer), `curve` (per threshold and group of questions:
        the share refused), `suggested` threshold and `extract_ms` (median and 95th percentile of one).
    """
    remembering = Remembering(embedder)
    corpora = [await _prepared(folder, remembering) for folder in folders]
    asked: Embedder = Failing(embedder) if words_only else remembering
    outcomes = [await _ask(asked, *case) for case in _cases(corpora, questions)]
    return {
        "questions": len(outcomes),
        "sets": {corpus.name: _quality(outcomes, corpus.name) for corpus in corpora},
        "curve": {limit: _refused(outcomes, limit) for limit in THRESHOLDS},
        "suggested": _suggested(outcomes),
        "extract_ms": await _speed(embedder, corpora[0]),
    }


Case = tuple[Corpus, str, Corpus, int]


def _cases(corpora: Sequence[Corpus], questions: int) -> Iterator[Case]:
    for asked in corpora:
        step = max(1, len(asked.queries) // questions)
        ids = {query["id"] for query in asked.queries}
        for place in range(0, len(asked.queries), step):
            yield asked, ANSWERABLE, asked, place
            yield asked, REMOVED, asked, place
            for other in corpora:
                # Translations of one set have the same ids, and answer each other's questions.
                if not ids & {query["id"] for query in other.queries}:
                    yield asked, OTHER, other, place


async def _ask(embedder: Embedder, asked: Corpus, kind: str, corpus: Corpus, place: int) -> Outcome:
    query = asked.queries[place]
    without = query["gold"] if kind == REMOVED else ()
    passages = corpus.top(query["question"], asked.questions[place], without)
    started = time.perf_counter()
    found = await extract(query["question"], passages, embedder)
    seconds = time.perf_counter() - started
    return Outcome(asked.name, kind, found.score, _contains(found, query["answers"]), seconds)


def _contains(found: Extract, answers: Sequence[str]) -> bool:
    shown = normalise(" ".join(sentence.text for sentence in found.sentences))
    return any(normalise(answer) in shown for answer in answers)


async def _prepared(folder: Path, embedder: Embedder) -> Corpus:
    corpus = Corpus(folder.name, _rows(folder / "corpus.jsonl"), _rows(folder / "queries.jsonl"))
    for place, row in enumerate(corpus.rows):
        title, text = row["title"].replace("_", " "), row["text"]
        corpus.passages.append(
            Passage(place, UUID(int=place), title, 1, "page", None, 0, len(text), "", text)
        )
    texts = [f"{passage.document}\n{passage.text}" for passage in corpus.passages]
    corpus.pieces = [terms(text) for text in texts]
    corpus.rarity = Counter(term for piece in corpus.pieces for term in piece)
    corpus.vectors = await embedder.embed(texts)
    corpus.questions = await embedder.embed([query["question"] for query in corpus.queries])
    if language_of(" ".join(texts[:20])) != "english":
        corpus.dense_weight = DENSE_WEIGHT_OTHER
    return corpus


def _rows(path: Path) -> list[Result]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _quality(outcomes: Sequence[Outcome], name: str) -> Result:
    own = [one for one in outcomes if one.name == name and one.kind == ANSWERABLE]
    return {"questions": len(own), "answer_in_extract": round(statistics.mean(one.found for one in own), 3)}


def _refused(outcomes: Sequence[Outcome], limit: float) -> Result:
    """Share refused, per kind of question and set that the question is from."""
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault(f"{one.kind}: {one.name}", []).append(one)
    return {key: round(_share(group, limit), 3) for key, group in sorted(groups.items())}


def _share(group: Sequence[Outcome], limit: float) -> float:
    return statistics.mean(one.score < limit for one in group)


def _suggested(outcomes: Sequence[Outcome]) -> float:
    names = sorted({one.name for one in outcomes})
    own = [[one for one in outcomes if one.name == name and one.kind == ANSWERABLE] for name in names]
    fine = [i / 100 for i in range(20, 120)]
    return max(t for t in fine if statistics.mean(_share(group, t) for group in own) <= FALSE_REFUSALS)


async def _speed(embedder: Embedder, corpus: Corpus) -> Result:
    """Time of an extract with nothing remembered, in milliseconds."""
    outcomes = [
        await _ask(embedder, corpus, ANSWERABLE, corpus, place)
        for place in range(min(100, len(corpus.queries)))
    ]
    times = sorted(1000 * one.seconds for one in outcomes)
    return {"median": round(times[len(times) // 2], 1), "p95": round(times[int(len(times) * 0.95)], 1)}


def main(arguments: list[str] | None = None) -> int:
    """Command line: print the figures, as text or with `--json`."""
    parser = argparse.ArgumentParser(prog="python -m app.bench.answers", description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL_DIR", help="what app.embedding.build made")
    parser.add_argument("sets", type=Path, nargs="+", metavar="QUESTION_SET")
    parser.add_argument("--questions", type=int, default=300, help="of each set in each way, at most about")
    parser.add_argument("--variant", choices=["auto", "fp32", "int8"], default="auto")
    parser.add_argument("--words-only", action="store_true", help="as if the embedding model were away")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = asyncio.run(_main(options))
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if options.json else _table(result))
    return 0


async def _main(options: argparse.Namespace) -> Result:
    embedder = LocalEmbedder(options.model, options.variant, threads=2)
    try:
        return await measure(embedder, options.sets, options.questions, words_only=options.words_only)
    finally:
        await embedder.close()


def _table(result: Result) -> str:
    lines = [f"{name}: {figures}" for name, figures in result["sets"].items()]
    groups = list(next(iter(result["curve"].values())))
    lines += ["", "share refused", *(f"  {chr(97 + i)}  {group}" for i, group in enumerate(groups)), ""]
    lines.append("threshold " + " ".join(f"{chr(97 + i):>6}" for i in range(len(groups))))
    for limit, shares in result["curve"].items():
        lines.append(f"{limit:>9.2f} " + " ".join(f"{shares[group]:6.3f}" for group in groups))
    lines += ["", f"suggested: {result['suggested']}", f"extract: {result['extract_ms']} ms", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
