"""The score and the order of hits, against their definitions."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret import rank
from hashret.codes import Codes


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(0, 50))
def test_expected_agreement_is_the_mean_probability_of_the_stored_bits(seed, n_bytes, n):
    rng = np.random.default_rng(seed)
    probabilities = rng.random(8 * n_bytes).astype(np.float32)
    bits = rng.random((n, 8 * n_bytes)) < 0.5
    expected = np.where(bits, probabilities, 1 - probabilities).mean(axis=1)
    np.testing.assert_allclose(
        rank.expected_agreement(probabilities, Codes.pack(bits)), expected, atol=1e-6
    )


@pytest.mark.parametrize("n_bytes", [1, 2, 3, 8])
def test_many_codes_score_as_few_do(n_bytes):
    rng = np.random.default_rng(n_bytes)
    confidences = (3 * rng.random(8 * n_bytes) - 1).astype(np.float32)
    codes = Codes(rng.integers(0, 256, (70_000, n_bytes), dtype=np.uint8))
    together = rank.expected_agreement(confidences, codes)
    apart = [
        rank.expected_agreement(confidences, codes[s : s + 7000]) for s in range(0, 70_000, 7000)
    ]
    np.testing.assert_array_equal(together, np.concatenate(apart))


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_a_certain_query_scores_the_share_of_equal_bits(seed, n_bytes):
    rng = np.random.default_rng(seed)
    query, bits = rng.random(8 * n_bytes) < 0.5, rng.random((20, 8 * n_bytes)) < 0.5
    scores = rank.expected_agreement(query.astype(np.float32), Codes.pack(bits))
    np.testing.assert_array_equal(scores, (bits == query).sum(axis=1) / (8 * n_bytes))


@given(st.integers(0, 2**32 - 1))
def test_a_score_does_not_depend_on_its_company(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.random(64).astype(np.float32)
    codes = Codes(rng.integers(0, 256, (30, 8), dtype=np.uint8))
    together = rank.expected_agreement(probabilities, codes)
    for row in range(30):
        alone = rank.expected_agreement(probabilities, codes[row : row + 1])
        assert alone[0] == together[row]


pairs = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.25, 0.5, 0.75])), max_size=12)


@given(st.lists(pairs, max_size=5), st.one_of(st.none(), st.integers(1, 12)))
def test_the_first_within_each_slice_by_two_keys_and_the_place(slices, count):
    values = [pair for one in slices for pair in one]
    limits = np.cumsum([0, *map(len, slices)])
    keys = np.array([a for a, _ in values], np.int32), np.array([-b for _, b in values])
    order = rank.sorted_within(limits, keys)
    bounds, places = rank.first_within(limits, order, count)
    for one, (start, stop) in enumerate(pairwise(bounds)):
        slice_of = range(limits[one], limits[one + 1])
        expected = sorted(slice_of, key=lambda i: (values[i][0], -values[i][1], i))
        assert places[start:stop].tolist() == expected[:count]
    assert len(bounds) == len(slices) + 1
    assert bounds[-1] == len(places)


@given(
    st.lists(st.sampled_from([0.25, 0.5, 0.75, 1.0]) | st.floats(-2, 2), max_size=100),
    st.integers(1, 12),
)
def test_highest_are_all_that_could_be_among_the_first_k(scores, k):
    ranked = sorted(scores, reverse=True)
    last = ranked[k - 1] if len(scores) > k else -2.0
    expected = [i for i, score in enumerate(scores) if score >= last]
    assert rank.highest(np.array(scores), k).tolist() == expected


CANDIDATES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 3.25]) | st.floats(0, 40),
        st.sampled_from([0.25, 0.75]) | st.floats(-0.5, 1.5),
        st.booleans(),
    ),
    max_size=6,
)


def by_the_formula(candidates):
    """The fused score of each candidate of one query."""
    most = max((words for words, _, _ in candidates), default=0.0)
    known = [agreement for _, agreement, coded in candidates if coded]
    scores = []
    for words, agreement, coded in candidates:
        score = rank.BY_WORDS * (words / most if most > 0 else 0.0)
        if coded and max(known) > min(known):
            score += (1 - rank.BY_WORDS) * (agreement - min(known)) / (max(known) - min(known))
        scores.append(score)
    return scores


@given(queries=st.lists(CANDIDATES, max_size=5))
def test_each_is_put_on_a_scale_from_0_to_1_and_the_mean_is_taken(queries):
    every = [candidate for one in queries for candidate in one]
    words, agreements, coded = (np.array([c[i] for c in every], float) for i in range(3))
    limits = np.cumsum([0, *map(len, queries)])
    found = rank.fused(words, agreements, coded.astype(bool), limits)
    expected = [score for one in queries for score in by_the_formula(one)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert ((found >= 0) & (found <= 1)).all()


def test_what_is_best_by_both_has_1_and_a_text_that_fits_far_better_is_not_passed():
    """By ranks the second would be first: one place behind by words, and before by codes."""
    words, agreements = np.array([30.0, 8.0, 7.0]), np.array([0.6, 0.8, 0.2])
    found = rank.fused(words, agreements, np.ones(3, bool), np.array([0, 3]))
    assert found[0] > found[1] > found[2]
    agreements[0] = 0.9
    best = rank.fused(words, agreements, np.ones(3, bool), np.array([0, 3]))
    assert best[0] == 1.0


@given(
    slices=st.lists(
        st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 3)), max_size=6), max_size=4
    )
)
def test_deviations_are_summed_slice_by_slice(slices):
    limits = np.cumsum([0, *map(len, slices)])
    every = np.array([pair for one in slices for pair in one], np.float64).reshape(-1, 2)
    found = rank.summed_deviations(limits, every[:, 0], every[:, 1])
    expected = np.zeros(len(every))
    for start, stop in pairwise(limits.tolist()):
        for measure in every[start:stop].T:
            if stop > start and measure.std() > 1e-9:
                expected[start:stop] += (measure - measure.mean()) / measure.std()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
