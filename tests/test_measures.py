"""Tie-aware measures against the mean over all orders of tied items; statistics of codes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import average_precision_score

from hashret import measures
from hashret.codes import Codes, hamming
from hashret.measures import (
    TiedRanking,
    bit_balance,
    bit_correlation,
    bucket_sizes,
    code_statistics,
    recall_of_truth,
)


@st.composite
def small_rankings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Distances with many ties and flags of relevance of up to six items."""
    n = draw(st.integers(1, 6))
    distances = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    relevant = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return np.array(distances), np.array(relevant)


def mean_over_orders(
    distances: np.ndarray, relevant: np.ndarray, measure: Callable[[np.ndarray], float]
) -> float:
    """The mean of a measure of ranked flags over every order that the distances allow."""
    orders = [
        list(order)
        for order in permutations(range(len(distances)))
        if (np.diff(distances[list(order)]) >= 0).all()
    ]
    return float(np.mean([measure(relevant[order]) for order in orders]))


def average_precision(ranked: np.ndarray, k: int, n_relevant: int, over: str) -> float:
    gain = sum(ranked[: i + 1].mean() for i in range(min(k, len(ranked))) if ranked[i])
    below = ranked[:k].sum() if over == "found" else min(k, n_relevant)
    return float(gain / below) if below else 0.0


@settings(max_examples=150, deadline=None)
@given(small_rankings(), st.integers(1, 8))
def test_every_measure_is_the_mean_over_all_orders_of_ties(
    ranking: tuple[np.ndarray, np.ndarray], k: int
) -> None:
    distances, relevant = ranking
    n_relevant = int(relevant.sum())
    tied = TiedRanking.from_distances(distances[None], relevant[None])

    def expected(measure: Callable[[np.ndarray], float], undefined: float = nan) -> float:
        if not n_relevant:
            return undefined
        return mean_over_orders(distances, relevant, measure)

    assert_allclose(tied.precision_at(k)[0], expected(lambda r: r[:k].sum() / k, 0.0))
    assert_allclose(tied.recall_at(k)[0], expected(lambda r: r[:k].sum() / n_relevant))
    assert_allclose(
        tied.average_precision_at(k, over="found")[0],
        expected(lambda r: average_precision(r, k, n_relevant, "found")),
        atol=1e-12,
    )
    assert_allclose(
        tied.average_precision_at(k, over="possible")[0],
        expected(lambda r: average_precision(r, k, n_relevant, "possible")),
        atol=1e-12,
    )


@settings(max_examples=50, deadline=None)
@given(small_rankings(), st.integers(0, 4))
def test_precision_within_a_radius_counts_the_boundary(
    ranking: tuple[np.ndarray, np.ndarray], radius: int
) -> None:
    distances, relevant = ranking
    inside = relevant[distances <= radius]
    tied = TiedRanking.from_distances(distances[None], relevant[None])
    assert_allclose(tied.precision_within(radius)[0], inside.mean() if len(inside) else 0.0)


def test_without_ties_it_is_the_average_precision_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    distances = rng.permuted(np.tile(np.arange(300.0), (20, 1)), axis=1)
    relevant = rng.random((20, 300)) < 0.2
    tied = TiedRanking.from_distances(distances, relevant)
    theirs = [average_precision_score(r, -d) for r, d in zip(relevant, distances, strict=True)]
    assert_allclose(tied.average_precision_at(), theirs)
    assert_allclose(tied.average_precision_at(over="possible"), theirs)


def test_large_ties_agree_with_sampled_orders() -> None:
    """Groups of hundreds, cut by k: where factorials would overflow."""
    rng = np.random.default_rng(1)
    distances = np.repeat([0, 1, 2], [40, 900, 2000])
    relevant = rng.random(len(distances)) < np.repeat([0.8, 0.3, 0.1], [40, 900, 2000])
    tied = TiedRanking.from_distances(distances[None], relevant[None])
    sampled = []
    for _ in range(400):
        order = np.lexsort((rng.random(len(distances)), distances))
        sampled.append(average_precision(relevant[order], 500, int(relevant.sum()), "found"))
    spread = np.std(sampled) / np.sqrt(len(sampled))
    assert abs(tied.average_precision_at(500)[0] - np.mean(sampled)) < 4 * spread


def test_a_query_without_relevant_items_is_undefined_but_for_its_precision() -> None:
    tied = TiedRanking.from_distances(np.array([[0, 1], [0, 1]]), np.array([[0, 0], [0, 1]], bool))
    assert_array_equal(tied.precision_at(2), [0.0, 0.5])
    assert_array_equal(tied.recall_at(2), [nan, 1.0])
    assert_array_equal(tied.average_precision_at(1), [nan, 0.0])
    assert_array_equal(tied.average_precision_at(1, over="possible"), [nan, 0.0])


def test_k_beyond_the_last_item() -> None:
    tied = TiedRanking.from_distances(np.array([[0, 1]]), np.array([[True, True]]))
    assert_array_equal(tied.precision_at(4), [0.5])
    assert_array_equal(tied.recall_at(4), [1.0])
    assert_array_equal(tied.average_precision_at(4), [1.0])
    assert_array_equal(tied.average_precision_at(4, over="possible"), [1.0])


def test_nothing_to_rank() -> None:
    no_items = TiedRanking.from_distances(np.empty((2, 0)), np.empty((2, 0), bool))
    assert_array_equal(no_items.precision_at(3), [0.0, 0.0])
    assert_array_equal(no_items.precision_within(3), [0.0, 0.0])
    assert_array_equal(no_items.average_precision_at(), [nan, nan])
    no_codes = TiedRanking.from_labels(
        Codes(np.zeros((2, 2), np.uint8)), Codes.empty(16), np.zeros(2), np.zeros(0)
    )
    assert_array_equal(no_codes.precision_at(3), [0.0, 0.0])
    no_queries = TiedRanking.from_distances(np.empty((0, 5)), np.empty((0, 5), bool))
    assert no_queries.average_precision_at(3).shape == (0,)


def test_misuse_is_refused() -> None:
    tied = TiedRanking.from_distances(np.array([[0, 1]]), np.array([[True, False]]))
    with pytest.raises(ValueError, match="k: expected 1 or more, got 0"):
        tied.precision_at(0)
    with pytest.raises(ValueError, match="over: expected"):
        tied.average_precision_at(1, over="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NaN"):
        TiedRanking.from_distances(np.array([[0.0, nan]]), np.array([[True, False]]))
    with pytest.raises(ValueError, match="shape"):
        TiedRanking.from_distances(np.zeros((1, 2)), np.zeros((1, 3), bool))
    with pytest.raises(ValueError, match="16 bits"):
        TiedRanking.from_labels(Codes.empty(8), Codes.empty(16), np.zeros(0), np.zeros(0))


# from codes


def some_codes(n: int, seed: int, n_bytes: int = 2) -> Codes:
    return Codes(np.random.default_rng(seed).integers(0, 256, (n, n_bytes), np.uint8))


@pytest.mark.parametrize("tile_pairs", [1, 250, 1 << 22])
def test_codes_in_tiles_rank_as_their_distances(
    tile_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "_TILE_PAIRS", tile_pairs)
    rng = np.random.default_rng(0)
    queries, codes = some_codes(13, 1), some_codes(90, 2)
    query_labels, labels = rng.integers(0, 3, 13), rng.integers(0, 3, 90)
    whole = TiedRanking.from_distances(
        hamming(queries, codes), query_labels[:, None] == labels[None, :]
    )
    tiled = TiedRanking.from_labels(queries, codes, query_labels, labels)
    for k in (1, 10, 90):
        assert_allclose(tiled.precision_at(k), whole.precision_at(k))
        assert_allclose(tiled.average_precision_at(k), whole.average_precision_at(k))
    assert_allclose(tiled.precision_within(5), whole.precision_within(5))


def test_recall_of_float_neighbours_is_expected_over_ties() -> None:
    codes = Codes(np.array([[0], [0], [1], [255]], np.uint8))
    queries = Codes(np.array([[0], [255]], np.uint8))
    truth = np.array([[0, 2], [3, 0]])
    tied = TiedRanking.from_truth(queries, codes, truth)
    assert_allclose(tied.recall_at(1), [0.25, 0.5])  # rows 0 and 1 tie for the first place
    assert_allclose(tied.recall_at(3), [1.0, 0.75])  # row 2, then rows 0 and 1 tie for one place


def test_recall_of_a_found_list() -> None:
    found = np.array([[4, 1, -1], [-1, -1, -1]])
    assert_array_equal(recall_of_truth(found, np.array([[1, 2], [0, 3]])), [0.5, 0.0])


# codes alone


def test_statistics_of_codes_agree_with_numpy() -> None:
    codes = some_codes(500, 3)
    assert_allclose(bit_balance(codes), codes.bits.mean(axis=0))
    assert_allclose(bit_correlation(codes), np.corrcoef(codes.bits.T.astype(float)), atol=1e-12)
    assert bucket_sizes(codes).sum() == 500
    assert len(bucket_sizes(codes)) == codes.n_distinct()


def test_tiles_of_codes_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = some_codes(100, 4)
    balance, correlation = bit_balance(codes), bit_correlation(codes)
    monkeypatch.setattr("hashret.measures._TILE_ROWS", 7)
    assert_allclose(bit_balance(codes), balance)
    assert_allclose(bit_correlation(codes), correlation, atol=1e-12)


def test_a_collapsed_code_shows() -> None:
    bits = np.zeros((10, 8), bool)
    bits[:5, 0] = bits[:5, 1] = True  # two bits that repeat one another
    bits[:, 7] = True  # and a dead one, at 1
    found = code_statistics(Codes.pack(bits))
    assert (found.n_items, found.n_distinct, found.largest_bucket) == (10, 2, 5)
    assert (found.balance_min, found.balance_max) == (0.0, 1.0)
    assert found.correlation_max == 1.0
    assert_allclose(found.correlation_mean, 1 / 28)  # one pair of the 28
    assert_array_equal(bit_correlation(Codes.pack(bits))[7], [0, 0, 0, 0, 0, 0, 0, 1])


def test_statistics_of_no_codes() -> None:
    assert_array_equal(bit_balance(Codes.empty(8)), np.zeros(8))
    assert_array_equal(bucket_sizes(Codes.empty(8)), [])
    with pytest.raises(ValueError, match="at least one"):
        code_statistics(Codes.empty(8))
