"""Samples of a decoder have the distribution that it says."""

import numpy as np
import pytest

from hashret.decoders.sampling import sampled_numbers, sampled_words


def rng():
    return np.random.default_rng(0)


def test_words_are_drawn_by_their_shares():
    shares = np.array([[0.5, 0.3, 0.2, 0.0], [0.0, 0.0, 0.0, 1.0]], np.float32)
    counts = sampled_words(shares, 10_000, rng())
    assert counts.dtype == np.int64
    assert counts.sum(axis=1).tolist() == [10_000, 10_000]
    assert counts / 10_000 == pytest.approx(shares, abs=0.02)
    assert counts[0, 3] == 0
    assert sampled_words(shares, 0, rng()).sum() == 0


def test_shares_whose_sum_is_1_but_for_rounding_will_do():
    shares = np.full((2, 30_000), np.float32(1 / 30_000))
    assert sampled_words(1.001 * shares, 50, rng()).sum(axis=1).tolist() == [50, 50]


@pytest.mark.parametrize(("shares", "n_words"), [([[-0.1, 1.1]], 5), ([[0.5, 0.5]], -1)])
def test_what_is_no_distribution_is_refused(shares, n_words):
    with pytest.raises(ValueError, match="expected numbers of 0 or more"):
        sampled_words(np.array(shares), n_words, rng())


def test_numbers_are_as_far_from_the_means_as_held_out_items_are():
    means = np.linspace(-3, 3, 40_000, dtype=np.float32).reshape(400, 100)
    drawn = sampled_numbers(means, np.array([0.1, 0.4], np.float32), rng())
    assert drawn.dtype == np.float32
    apart = drawn - means
    assert np.square(apart).mean() == pytest.approx(0.25, rel=0.03)
    assert apart.mean() == pytest.approx(0.0, abs=0.01)
    assert np.corrcoef(apart[:, 0], apart[:, 1])[0, 1] == pytest.approx(0.0, abs=0.2)


def test_without_errors_or_noise_the_means_come_back_and_seeds_repeat():
    means = np.ones((3, 2), np.float32)
    assert np.array_equal(sampled_numbers(means, np.empty(0, np.float32), rng()), means)
    errors = np.ones(5, np.float32)
    first, again = (sampled_numbers(means, errors, rng()) for _ in range(2))
    assert np.array_equal(first, again)
