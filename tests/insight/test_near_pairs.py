"""All near pairs, and the groups made of them, are those of comparing everything with everything."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from hashret.codes import Codes
from hashret.insight import near_pairs as near_pairs_module
from hashret.insight.duplicates import _stars
from hashret.insight.likeness import Near, of_texts
from hashret.insight.near_pairs import Components, bits_between, near_pairs


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_pairs_module, "_BLOCK", 5)
        patch.setattr(near_pairs_module, "_TILE", 7)
        patch.setattr(near_pairs_module, "_AT_ONCE", 2)
        yield


@st.composite
def collections(draw):
    """Codes of 16 bits, few of them different, and as many rows of numbers with scales."""
    n = draw(st.integers(0, 24))
    known = draw(some.arrays(np.uint8, (6, 2)))
    codes = Codes(known[draw(some.arrays(np.int64, n, elements=st.integers(0, 5)))])
    rows = draw(some.arrays(np.float32, (n, 3), elements=st.integers(-4, 4).map(float)))
    scales = draw(some.arrays(np.float64, n, elements=st.sampled_from([0.5, 1.0, 2.0])))
    return codes, rows + np.float32(100.0), scales


def brute(codes, rows, scales, link, limit, radius):
    found = {}
    for i, j in combinations(range(len(rows)), 2):
        apart = np.sqrt(np.square(rows[i].astype(np.float64) - rows[j]).sum())
        unlike = apart / np.sqrt(scales[i] * scales[j]) / link
        bits = int(np.bitwise_count(codes.packed[i] ^ codes.packed[j]).sum())
        if unlike <= limit and (radius is None or bits <= radius):
            found[i, j] = unlike
    return found


@given(collections(), st.none() | st.integers(0, 16))
def test_pairs_are_those_of_brute_force_each_once(collection, radius):
    codes, rows, scales = collection
    found = [
        (min(i, j), max(i, j), unlike)
        for left, right, unlikes in near_pairs(codes, Near(rows, scales, 1.7), radius)
        for i, j, unlike in zip(left.tolist(), right.tolist(), unlikes.tolist(), strict=True)
    ]
    assert len({(i, j) for i, j, _ in found}) == len(found)
    expected = brute(codes, rows, scales, 1.7, 1.0, radius)
    assert {(i, j): unlike for i, j, unlike in found} == pytest.approx(expected)


@given(collections(), st.data())
def test_groups_hold_what_hangs_together_and_is_like_the_kept_one(collection, data):
    codes, rows, scales = collection
    rank = np.array(data.draw(st.permutations(range(len(rows)))), np.int64)
    near = Near(rows, scales, 1.7)
    near.within_group = 1.4
    together = Components(len(rows))
    for left, right, _ in near_pairs(codes, near, None):
        together.join(left, right)
    linked = brute(codes, rows, scales, 1.7, 1.0, None)
    alike = brute(codes, rows, scales, 1.7, 1.4, None)
    label = list(range(len(rows)))
    for i, j in linked:  # what hangs together, one pair after the other
        label = [label[i] if one == label[j] else one for one in label]
    pairs = list(combinations(range(len(rows)), 2))
    ours = together.label
    assert all((ours[i] == ours[j]) == (label[i] == label[j]) for i, j in pairs)
    groups = [star.tolist() for star in _stars(together.label, rank, near)]
    members = [one for group in groups for one in group]
    assert len(set(members)) == len(members)
    for kept, *others in groups:
        assert others
        for other in others:
            assert label[kept] == label[other]
            assert (min(kept, other), max(kept, other)) in alike
    # no two that are alike by themselves are both left over
    assert not [pair for pair in linked if not set(pair) & set(members)]


def test_the_end_of_a_chain_is_not_in_the_group():
    rows = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    near = Near(rows, np.ones(4), 1.1)
    together = Components(4)
    for left, right, _ in near_pairs(Codes(np.zeros((4, 1), np.uint8)), near, None):
        together.join(left, right)
    assert len(set(together.label.tolist())) == 1
    assert [star.tolist() for star in _stars(together.label, np.arange(4), near)] == [
        [0, 1],
        [2, 3],
    ]


def test_the_rule_chooses_among_those_that_most_are_like():
    rows = np.array([[-1.0], [0.0], [0.1], [0.2], [0.3], [0.4]], np.float32)
    near = Near(rows, np.ones(6), 1.05)
    # the first by the rule is like one other only: the kept one is the next
    stars = list(_stars(np.zeros(6, np.int64), np.arange(6), near))
    assert stars[0].tolist() == [1, 0, 2, 3, 4, 5]


def test_rows_that_are_not_finite_are_like_none():
    rows = np.array([[np.nan, 1.0], [np.nan, 1.0], [1.0, 1.0], [1.0, 1.0]], np.float32)
    every = np.arange(4)
    left, right, _ = Near(rows, np.ones(4), 1.0).pairs(every, every, 1.0)
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == {(2, 2), (2, 3), (3, 2), (3, 3)}


@given(some.arrays(np.float32, (30, 40), elements=st.floats(-3, 3, width=32)), st.floats(0.1, 9))
def test_fewer_dimensions_compared_first_lose_no_pair(rows, link):
    rows = rows + np.float32(50.0)
    every = np.arange(len(rows))
    left, right, _ = Near(rows, np.ones(len(rows)), link).pairs(every, every, 1.0)
    apart = np.square(rows[:, None].astype(np.float64) - rows[None]).sum(axis=2) ** 0.5
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == set(
        zip(*(one.tolist() for one in np.nonzero(apart / link <= 1.0)), strict=True)
    )


_SENTENCES = st.lists(st.sampled_from(["the", "cat", "sat", "mat", "on"]), max_size=8).map(" ".join)


@given(st.lists(_SENTENCES, min_size=1, max_size=8))
def test_texts_are_alike_by_the_share_of_common_shingles(texts):
    shares = of_texts(texts)
    every = np.arange(len(texts))
    left, right, unlike = shares.pairs(every, every, 1.0)
    found = dict(zip(zip(left.tolist(), right.tolist(), strict=True), unlike, strict=True))
    sets = [_shingles(text.split()) for text in texts]
    for i in every:
        for j in every:
            both = sets[i] | sets[j]
            share = len(sets[i] & sets[j]) / len(both) if both else 0.0
            assert ((i, j) in found) == (share >= 0.5)
            if (i, j) in found:
                assert found[i, j] == pytest.approx((1.0 - share) / 0.5)


def _shingles(words):
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))} if words else set()


@given(some.arrays(np.uint8, (9, 3)))
def test_bits_between_is_the_hamming_distance(packed):
    codes = Codes(packed)
    left, right = np.array([0, 1, 8]), np.array([3, 1, 2])
    differ = codes.bits[left] != codes.bits[right]
    assert bits_between(codes, left, right).tolist() == differ.sum(axis=1).tolist()
