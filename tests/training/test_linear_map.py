"""The closed-form map from words to bits."""

import numpy as np
import pytest
from scipy.stats import norm as normal

from indexer.training.linear_map import LinearFit
from indexer.training.neighbours.randomized_svd import principal_directions
from indexer.training.options import TrainingOptions
from indexer.training.presets import PRESETS
from indexer.training.recipe import LinearMap
from indexer.training.trainer import AutoencoderTrainer, _Round
from indexer.training.training_set import TrainingSet
from tests.training.corpora import grouped_words

SCALE = 10.0


def fitted(rows, weights, bits, **settings):
    fit = LinearFit(rows, weights, LinearMap(**settings), SCALE, np.random.default_rng(0))
    return fit.fit(bits, 1.7)


def planted(rows, n_bits, seed=0):
    """Bits of -1 and 1 that are signs of a linear map of the words, each 1 for half of the texts."""
    planes = np.random.default_rng(seed).standard_normal((rows.n_features, n_bits))
    raw = rows.to_dense() @ planes
    return np.where(raw > np.median(raw, axis=0), np.float32(1), np.float32(-1))


def test_the_map_is_that_of_ridge_regression():
    rows, _ = grouped_words(150)
    weights = np.random.default_rng(1).uniform(0.5, 3.0, rows.n_features)
    bits = planted(rows, 8)
    encoder = fitted(rows, weights, bits, shrinkages=(3.0,), n_latent=7, latent_scale=2.0)

    words = rows.to_dense() * weights
    words /= np.sqrt(np.square(words).sum() / len(words))
    draws = np.random.default_rng(0)
    latent = words @ (2.0 * principal_directions(words.astype(np.float32), 7, draws))
    seen = np.hstack([words, latent])
    wanted = bits - bits.mean(axis=0)
    by_hand = np.linalg.solve(seen.T @ seen + 3.0 * np.eye(seen.shape[1]), seen.T @ wanted)
    raw = seen @ by_hand
    expected = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    assert encoder.logits(rows) == pytest.approx(expected, abs=0.01)


def test_bits_of_unseen_texts_are_predicted():
    rows, _ = grouped_words(500)
    bits = planted(rows, 16)
    seen = rows.rows(0, 400)
    encoder = fitted(seen, np.ones(rows.n_features), bits[:400])
    predicted = np.where(encoder.logits(rows.rows(400, 500)) > 0, 1, -1)
    assert (predicted == bits[400:]).mean() > 0.75  # chance is .5
    assert encoder.spec.hidden == ()
    assert set(encoder.tensors()) == {"layers.0.weight", "layers.0.bias"}


def test_more_shrinkage_is_chosen_where_bits_are_noise():
    rows, _ = grouped_words(300)
    clean = planted(rows, 16)
    flips = np.random.default_rng(0).random(clean.shape) < 0.3
    chosen = []
    for bits in (clean, np.where(flips, -clean, clean)):
        settings = LinearMap(shrinkages=(0.01, 10.0), n_latent=0)
        fit = LinearFit(rows, np.ones(rows.n_features), settings, SCALE, np.random.default_rng(0))
        chosen.append(fit._shrinkage(bits, bits - bits.mean(axis=0)))
    assert chosen == [0.01, 10.0]


def test_the_largest_of_equally_good_shrinkages_is_chosen():
    rows, _ = grouped_words(300)
    bits = planted(rows, 16)
    settings = LinearMap(shrinkages=(0.0101, 0.01, 0.0099), n_latent=0)
    fit = LinearFit(rows, np.ones(rows.n_features), settings, SCALE, np.random.default_rng(0))
    assert fit._shrinkage(bits, bits - bits.mean(axis=0)) == 0.0101


def test_the_bits_that_the_network_is_unsure_of_count_less(monkeypatch):
    given = []

    def spied(self, bits, logit_scale):
        given.append(bits)
        return fit(self, bits, logit_scale)

    fit = LinearFit.fit
    monkeypatch.setattr(LinearFit, "fit", spied)
    rows, _ = grouped_words(200)
    options = TrainingOptions(preset="dense", epochs=2)
    trainer = AutoencoderTrainer(TrainingSet(rows), options, PRESETS["text"]["dense"].recipe)
    trainer._near = trainer._neighbourhoods(trainer.recipe.neighbourhood)
    last = _Round(trainer, 1)
    network = last.learn(trainer._near, 16)
    last.linear(network)

    (bits,) = given
    logits = network.logits(rows)
    assert np.array_equal(bits > 0, logits > 0)
    # the noise of training leaves a bit of so many standard deviations as it is so often
    assert bits == pytest.approx(2.0 * normal.cdf(logits) - 1.0, abs=0.03)


def test_texts_too_few_to_hold_one_out_have_a_map():
    rows, _ = grouped_words(3)
    encoder = fitted(rows, np.ones(rows.n_features), planted(rows, 8))
    assert np.isfinite(encoder.logits(rows)).all()
