"""Fusing two rankings."""

from hypothesis import given
from hypothesis import strategies as st

from app.retrieval.fuse import fuse

Ranking = list[tuple[int, float]]
rankings = st.dictionaries(st.integers(1, 40), st.floats(0.0, 50.0, allow_nan=False), max_size=20).map(
    lambda scores: sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
)
weights = st.floats(0.0, 1.0)


@given(rankings, rankings, weights)
def test_every_passage_of_either_ranking_comes_out_once_and_best_first(
    dense: Ranking, lexical: Ranking, weight: float
) -> None:
    fused = fuse(dense, lexical, weight)
    assert sorted(one.chunk_id for one in fused) == sorted({*dict(dense), *dict(lexical)})
    assert [one.score for one in fused] == sorted((one.score for one in fused), reverse=True)


@given(rankings, rankings, weights)
def test_ranks_and_scores_are_those_of_the_rankings(dense: Ranking, lexical: Ranking, weight: float) -> None:
    for one in fuse(dense, lexical, weight):
        if one.dense_rank is None:
            assert one.chunk_id not in dict(dense)
        else:
            assert dense[one.dense_rank - 1] == (one.chunk_id, one.dense_score)
        if one.lexical_rank is not None:
            assert lexical[one.lexical_rank - 1] == (one.chunk_id, one.lexical_score)


@given(rankings, st.floats(0.01, 1.0))
def test_an_empty_ranking_leaves_the_order_to_the_other(dense: Ranking, weight: float) -> None:
    positive = [pair for pair in dense if pair[1] > 1e-9]
    assert [one.chunk_id for one in fuse(positive, [], weight)] == [chunk for chunk, _ in positive]


@given(rankings, rankings, weights)
def test_the_first_of_both_rankings_is_the_first_of_all(
    dense: Ranking, lexical: Ranking, weight: float
) -> None:
    best = [(99, 60.0)]
    assert fuse(best + dense, best + lexical, weight)[0].chunk_id == 99


@given(rankings, rankings, weights)
def test_scores_lie_between_nothing_and_one(dense: Ranking, lexical: Ranking, weight: float) -> None:
    assert all(0 <= one.score <= 1 + 1e-9 for one in fuse(dense, lexical, weight))
