"""Weights of words by how far they tell themes apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.training.neighbours.telling_words import telling_weights, theme_divergence
from indexer.training.neighbours.term_weighting import rarity
from indexer.training.recipe import TellingWords
from tests.models.encoders import as_sparse
from tests.training.corpora import grouped_words

N_FUNCTION_WORDS = 20


def with_function_words(n: int, seed: int = 0):
    """`grouped_words` with further words that each text has by chance, as often as its own."""
    rows, groups = grouped_words(n, seed=seed)
    rng = np.random.default_rng(seed)
    share = (rows.to_dense() > 0).mean()
    chance = (rng.random((n, N_FUNCTION_WORDS)) < share).astype(np.float32)
    dense = np.hstack([(rows.to_dense() > 0).astype(np.float32), chance])
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    return as_sparse(dense), groups


def weights_of(rows, seed=0, **settings):
    return telling_weights(rows, TellingWords(**settings), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_words_of_no_theme_lose_their_weight_and_words_of_a_theme_keep_it(seed):
    rows, _ = with_function_words(400, seed)
    kept = weights_of(rows, seed) / rarity(rows)
    telling, function = kept[:-N_FUNCTION_WORDS], kept[-N_FUNCTION_WORDS:]
    assert function.max() < telling.min()
    assert np.median(function) < 0.4 * np.median(telling)


def test_weights_are_positive_and_at_most_the_rarity():
    rows, _ = with_function_words(60)
    weights = weights_of(rows)
    assert (weights > 0).all()
    assert (weights <= rarity(rows)).all()


def test_without_strength_a_weight_is_the_rarity_and_with_more_it_is_less():
    rows, _ = with_function_words(80)
    assert weights_of(rows, strength=1e-9) == pytest.approx(rarity(rows))
    assert (weights_of(rows, strength=2.0, turns=1) < weights_of(rows, turns=1)).all()


def test_the_same_seed_gives_the_same_weights_and_another_nearly_the_same():
    rows, _ = with_function_words(300)
    weights, other = weights_of(rows), weights_of(rows, seed=1)
    assert np.array_equal(weights, weights_of(rows))
    assert np.corrcoef(weights, other)[0, 1] > 0.95


@pytest.mark.parametrize("n", [2, 3, 9])
def test_the_smallest_corpora_have_weights(n):
    rows, _ = grouped_words(n)
    weights = weights_of(rows)
    assert np.isfinite(weights).all()
    assert (weights > 0).all()


@given(st.integers(2, 12), st.integers(1, 4), st.floats(0.1, 9.0), st.integers(0, 99))
def test_the_divergence_is_that_of_its_definition(n, n_themes, prior, seed):
    rng = np.random.default_rng(seed)
    dense = (rng.random((n, 5)) < 0.5).astype(np.float32)
    dense[0] = 1.0  # each word is somewhere
    themes = rng.integers(0, n_themes, n)
    found = theme_divergence(as_sparse(dense), themes, prior)
    for word in range(5):
        expected = 0.0
        for theme in set(themes.tolist()):
            overall = (themes == theme).mean()
            holders = float(dense[themes == theme, word].sum()) + prior * overall
            given_word = holders / (float(dense[:, word].sum()) + prior)
            expected += given_word * np.log(given_word / overall)
        assert found[word] == pytest.approx(max(expected, 1e-4), abs=1e-9)


def test_the_order_of_texts_and_words_and_copies_of_all_texts_change_no_divergence():
    rows, themes = with_function_words(40)
    dense, rng = rows.to_dense(), np.random.default_rng(0)
    before = theme_divergence(rows, themes, 5.0)
    texts, words = rng.permutation(len(dense)), rng.permutation(dense.shape[1])
    moved = theme_divergence(as_sparse(dense[texts][:, words]), themes[texts], 5.0)
    assert moved == pytest.approx(before[words])
    twice = theme_divergence(as_sparse(np.vstack([dense, dense])), np.tile(themes, 2), 10.0)
    assert twice == pytest.approx(before)
