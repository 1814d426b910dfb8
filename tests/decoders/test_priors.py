"""The tree of bits that go together, against brute force; and walks among likely codes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.codes import Codes, hamming
from hashret.decoders import priors
from hashret.decoders.priors import ChowLiuTree, TreeMixture
from hashret.decoders.walks import away, between
from hashret.errors import InputError

PARTS = (slice(0, 300), slice(300, 600))
PRIORS = (ChowLiuTree, TreeMixture)


def drawn(n=500, n_bits=8, seed=0, noise=0.2):
    """Codes in which each bit is an earlier one, turned now and then."""
    rng = np.random.default_rng(seed)
    bits = rng.random((n, n_bits)) < 0.4
    for bit in range(1, n_bits):
        bits[:, bit] = bits[:, rng.integers(bit)] ^ (rng.random(n) < noise)
    return Codes.pack(bits)


def frequencies(codes, i, j):
    """How often two bits have each pair of values, as counted with doubt."""
    bits = codes.bits
    count = {(a, b): ((bits[:, i] == a) & (bits[:, j] == b)).sum() for a in (0, 1) for b in (0, 1)}
    return {pair: (found + 0.25) / (len(codes) + 1) for pair, found in count.items()}


def mutual_information(codes, i, j):
    both = frequencies(codes, i, j)
    total = 0.0
    for (a, b), share in both.items():
        one, other = both[a, 0] + both[a, 1], both[0, b] + both[1, b]
        total += share * np.log(share / (one * other))
    return total


def heaviest_tree(weights):
    """The weight of the best spanning tree, by Kruskal's algorithm."""
    n = len(weights)
    group, total = list(range(n)), 0.0
    edges = [(weights[i, j], i, j) for i in range(n) for j in range(i)]
    for weight, i, j in sorted(edges, reverse=True):
        if group[i] != group[j]:
            total += weight
            old, new = group[j], group[i]
            group = [new if one == old else one for one in group]
    return total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_bits", [8, 16])
def test_the_tree_is_the_one_of_most_mutual_information(seed, n_bits):
    codes = drawn(seed=seed, n_bits=n_bits)
    tree = ChowLiuTree.of(codes)
    weights = np.array(
        [[mutual_information(codes, i, j) for j in range(n_bits)] for i in range(n_bits)]
    )
    total = sum(weights[bit, up] for bit, up in enumerate(tree.parents) if up >= 0)
    assert total == pytest.approx(heaviest_tree(weights))
    assert (tree.parents < 0).sum() == 1
    seen = set()
    for bit in tree.order.tolist():
        assert tree.parents[bit] in seen or not seen
        seen.add(bit)
    assert seen == set(range(n_bits))


def test_its_probabilities_are_frequencies():
    codes = drawn()
    tree = ChowLiuTree.of(codes)
    for bit, up in enumerate(tree.parents.tolist()):
        if up >= 0:
            both = frequencies(codes, bit, up)
            for value in (0, 1):
                share = both[1, value] / (both[0, value] + both[1, value])
                assert tree.ones[bit, value] == pytest.approx(share)


def test_probabilities_of_all_codes_sum_to_one():
    tree = ChowLiuTree.of(drawn())
    every = Codes.pack(np.array(list(product((0, 1), repeat=8))))
    assert np.exp(tree.log_probabilities(every)).sum() == pytest.approx(1.0)


def test_what_is_drawn_has_the_frequencies_of_the_tree():
    tree = ChowLiuTree.of(drawn())
    every = Codes.pack(np.array(list(product((0, 1), repeat=8))))
    expected = np.exp(tree.log_probabilities(every))
    n = 200_000
    found = np.bincount(tree.draw(n, np.random.default_rng(0)).packed[:, 0], minlength=256) / n
    shares = found[every.packed[:, 0]]
    # of each code: five standard deviations of a frequency among so many draws
    assert (np.abs(shares - expected) < 5 * np.sqrt(expected / n) + 1e-5).all()


def test_the_tree_finds_codes_more_likely_than_independent_bits_do():
    codes = drawn(2000, 16)
    fresh = drawn(2000, 16)[np.arange(1000, 2000)]
    shares = codes[np.arange(1000)].bits.mean(axis=0)
    independent = np.log(np.where(fresh.bits, shares, 1 - shares)).sum(axis=1).mean()
    assert ChowLiuTree.of(codes[np.arange(1000)]).log_probabilities(fresh).mean() > independent + 1


@pytest.mark.parametrize("codes", [Codes(np.full((3, 2), 255, np.uint8)), drawn(1)])
def test_bits_that_never_vary_and_one_code_are_fine(codes):
    tree = ChowLiuTree.of(codes)
    assert np.isfinite(tree.log_probabilities(codes)).all()
    found = tree.draw(2000, np.random.default_rng(0)).bits.mean(axis=0)
    assert (np.abs(found - codes.bits.mean(axis=0)) < 0.35).all()


def test_many_codes_are_sampled_and_long_ones_refused(monkeypatch):
    monkeypatch.setattr(priors, "_MOST_CODES", 100)
    codes = drawn(1000)
    evenly = codes[np.linspace(0, 999, 100).astype(int)]
    assert np.array_equal(ChowLiuTree.of(codes).ones, ChowLiuTree.of(evenly).ones)
    monkeypatch.setattr(priors, "_MOST_BITS", 8)
    with pytest.raises(InputError, match="at most 8 bits"):
        ChowLiuTree.of(drawn(10, 16))


@pytest.fixture(scope="module")
def mixture():
    """Of codes of three sorts, each with bits of its own that go together."""
    parts = [drawn(300, 8, seed).packed ^ np.uint8(seed * 77) for seed in range(3)]
    return TreeMixture.of(Codes(np.concatenate(parts)))


def test_a_mixture_is_a_distribution_and_draws_by_it(mixture):
    every = Codes(np.arange(256, dtype=np.uint8)[:, None])
    expected = np.exp(mixture.log_probabilities(every))
    assert expected.sum() == pytest.approx(1.0)
    assert len(mixture.trees) > 3
    n = 100_000
    found = np.bincount(mixture.draw(n, np.random.default_rng(0)).packed[:, 0], minlength=256) / n
    assert (np.abs(found - expected) < 5 * np.sqrt(expected / n) + 1e-5).all()


def test_codes_of_several_sorts_are_likelier_under_several_trees():
    packed = [drawn(600, 16, seed).packed ^ np.uint8(seed * 77) for seed in range(3)]
    train, fresh = (Codes(np.concatenate([one[part] for one in packed])) for part in PARTS)
    one, many = (prior.of(train).log_probabilities(fresh).mean() for prior in PRIORS)
    assert many > one + 0.3


def test_few_codes_have_one_tree():
    codes = drawn(30)
    mixture = TreeMixture.of(codes)
    assert len(mixture.trees) == 1
    alone = ChowLiuTree.of(codes).log_probabilities(codes)
    np.testing.assert_allclose(mixture.log_probabilities(codes), alone)


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1), st.integers(0, 20))
def test_walks_take_one_bit_at_a_time_and_arrive(first, last, n_steps):
    tree = ChowLiuTree.of(drawn(200, 16))
    one, other = (Codes(np.array([[x & 255, x >> 8]], np.uint8)) for x in (first, last))
    walk = between(one, other, tree)
    assert len(walk) == int(hamming(one, other)[0, 0]) + 1
    assert (walk.hex(0), walk.hex(len(walk) - 1)) == (one.hex(0), other.hex(0))
    assert (np.diag(hamming(walk, walk), 1) == 1).all()
    gone = away(one, n_steps, tree)
    assert hamming(one, gone)[0].tolist() == list(range(min(n_steps, 16) + 1))
    assert (np.diag(hamming(gone, gone), 1) == 1).all()


def test_each_step_is_the_likeliest():
    tree = ChowLiuTree.of(drawn(200, 16))
    code = drawn(1, 16, seed=5)
    step = away(code, 1, tree)[np.array([1])]
    flips = np.repeat(code.bits, 16, axis=0) ^ np.eye(16, dtype=bool)
    best = tree.log_probabilities(Codes.pack(flips)).max()
    assert tree.log_probabilities(step)[0] == pytest.approx(best)
