"""The fused score of words and codes, against the formula candidate by candidate."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hashret.words.fusion import WORDS, fused

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
        score = WORDS * (words / most if most > 0 else 0.0)
        if coded and max(known) > min(known):
            score += (1 - WORDS) * (agreement - min(known)) / (max(known) - min(known))
        scores.append(score)
    return scores


@given(queries=st.lists(CANDIDATES, max_size=5))
def test_each_is_put_on_a_scale_from_0_to_1_and_the_mean_is_taken(queries):
    every = [candidate for one in queries for candidate in one]
    words, agreements, coded = (np.array([c[i] for c in every], float) for i in range(3))
    limits = np.cumsum([0, *map(len, queries)])
    found = fused(words, agreements, coded.astype(bool), limits)
    expected = [score for one in queries for score in by_the_formula(one)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert ((found >= 0) & (found <= 1)).all()


def test_what_is_best_by_both_has_1_and_a_text_that_fits_far_better_is_not_passed():
    """By ranks the second would be first: one place behind by words, and before by codes."""
    words, agreements = np.array([30.0, 8.0, 7.0]), np.array([0.6, 0.8, 0.2])
    found = fused(words, agreements, np.ones(3, bool), np.array([0, 3]))
    assert found[0] > found[1] > found[2]
    agreements[0] = 0.9
    best = fused(words, agreements, np.ones(3, bool), np.array([0, 3]))
    assert best[0] == 1.0
