"""Two rankings into one.

Scores are made comparable by where they lie between nothing and the ranking's best, then added with weights:
a convex combination (Bruch, Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval, 2023), found
there to be better than reciprocal ranks and robust in its one parameter. The weights were measured by
``ka bench quality``; see docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DENSE_WEIGHT = 0.5
# all-MiniLM-L6-v2 was trained on English text, so in other languages words count for more.
DENSE_WEIGHT_OTHER = 0.2

Ranking = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Fused:
    """One passage in the fused order; ranks begin at 1 and are ``None`` where it was not returned."""

    chunk_id: int
    score: float
    dense_rank: int | None
    dense_score: float | None
    lexical_rank: int | None
    lexical_score: float | None


def fuse(dense: Ranking, lexical: Ranking, dense_weight: float, limit: int | None = None) -> list[Fused]:
    """The best ``limit`` passages of both rankings (each best first), best first; all without a limit.

    ``dense_weight`` is between 0 and 1; the lexical ranking has the rest. A ranking that is empty leaves
    the order to the other one. Equal scores keep the order of ids, so the result is always the same.
    """
    scores: dict[int, float] = {}
    for ranking, weight in ((dense, dense_weight), (lexical, 1 - dense_weight)):
        for chunk_id, share in _shares(ranking):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + weight * share
    best = sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:limit]
    by_dense, by_lexical = _places(dense), _places(lexical)
    absent = (None, None)
    return [
        Fused(chunk_id, score, *by_dense.get(chunk_id, absent), *by_lexical.get(chunk_id, absent))
        for chunk_id, score in best
    ]


def _shares(ranking: Ranking) -> list[tuple[int, float]]:
    """Scores as shares of the best one; negative ones count as nothing."""
    best = max((score for _, score in ranking), default=0.0)
    return [(chunk_id, max(score, 0.0) / best if best > 0 else 0.0) for chunk_id, score in ranking]


def _places(ranking: Ranking) -> dict[int, tuple[int, float]]:
    return {chunk_id: (rank, score) for rank, (chunk_id, score) in enumerate(ranking, start=1)}
