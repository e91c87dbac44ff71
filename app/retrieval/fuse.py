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


def fuse(dense: Ranking, lexical: Ranking, dense_weight: float) -> list[Fused]:
    """All passages of both rankings (each best first), best first.

    ``dense_weight`` is between 0 and 1; the lexical ranking has the rest. A ranking that is empty leaves
    the order to the other one. Equal scores keep the order of ids, so the result is always the same.
    """
    by_dense = {chunk_id: (rank, score) for rank, (chunk_id, score) in enumerate(dense, start=1)}
    by_lexical = {chunk_id: (rank, score) for rank, (chunk_id, score) in enumerate(lexical, start=1)}
    dense_share, lexical_share = _shares(dense), _shares(lexical)
    fused = []
    for chunk_id in by_dense.keys() | by_lexical.keys():
        score = dense_weight * dense_share.get(chunk_id, 0.0)
        score += (1 - dense_weight) * lexical_share.get(chunk_id, 0.0)
        fused.append(
            Fused(
                chunk_id,
                score,
                *by_dense.get(chunk_id, (None, None)),
                *by_lexical.get(chunk_id, (None, None)),
            )
        )
    return sorted(fused, key=lambda one: (-one.score, one.chunk_id))


def _shares(ranking: Ranking) -> dict[int, float]:
    """Scores as shares of the best one; negative ones count as nothing."""
    best = max((score for _, score in ranking), default=0.0)
    if best <= 0:
        return {}
    return {chunk_id: max(score, 0.0) / best for chunk_id, score in ranking}
