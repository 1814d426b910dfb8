import numpy as np

from indexer.training.neighbours.lsa import latent_directions
from indexer.training.neighbours.term_weighting import rarity
from tests.training.corpora import grouped_words


def test_latent_directions_span_the_themes_and_are_few_for_few_items():
    rows, themes = grouped_words(300)
    weights = rarity(rows)
    directions = latent_directions(rows, weights, 50, np.random.default_rng(0))
    assert directions.shape == (rows.n_features, 10)  # one for 30 items
    assert latent_directions(rows, weights, 4, np.random.default_rng(0)).shape == (
        rows.n_features,
        4,
    )
    coordinates = rows.to_dense() @ directions
    coordinates /= np.linalg.norm(coordinates, axis=1, keepdims=True)
    alike = coordinates @ coordinates.T
    same = themes[:, None] == themes[None]
    assert alike[same].mean() > alike[~same].mean() + 0.3
