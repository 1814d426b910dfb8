"""Weights of words by how far they tell a corpus's themes apart, without labels or a stop list.

A word tells themes apart if the texts that hold it are spread over the themes unlike all texts.
Themes are clusters of the texts by latent semantic coordinates. Rarity alone leaves to "how",
"using", "know" and "this" much of what chooses the neighbours of a short text; by this weight they
count little, in any language.

The measure is the Kullback-Leibler divergence of a word's distribution over themes from that of
all texts, the word's share of the information gain of Yang and Pedersen, "A comparative study on
feature selection in text categorization", ICML 1997, section 2.2, by clusters in place of labels.
Measurements: docs/adr/0004.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2, vq

from hashret.sparse import SparseRows, to_scipy
from indexer.training.neighbours.randomized_svd import principal_coordinates
from indexer.training.neighbours.similarities import EXACT_ITEMS, unit_rows
from indexer.training.neighbours.term_weighting import l2_normalised, rarity, weighted
from indexer.training.recipe import TellingWords

_ITERATIONS = 20  # of k-means; further ones hardly move a centre
_ITEMS_EACH = 8  # least number of texts per theme, so that a small corpus has fewer themes
_LEAST = 1e-4  # nats: no word of the vocabulary is without weight


def telling_weights(
    rows: SparseRows,
    settings: TellingWords,
    rng: np.random.Generator,
    labels: np.ndarray | None = None,
) -> np.ndarray:
    """The weight of each word, (n_features,) float64, positive: rarity times how far it tells.

    Words are weighted first by rarity, then `settings.turns` times by the themes that these weights
    gave. A word also tells what it tells of `labels` (n,), classes and -1 where they are unknown:
    else no later step could learn them from words that tell no themes.
    """
    told = 0.0 if labels is None else label_divergence(rows, labels, settings.prior)
    rare = weights = rarity(rows)
    n_themes = max(1, min(settings.n_themes, len(rows) // _ITEMS_EACH))
    for _ in range(settings.turns):
        words = to_scipy(l2_normalised(weighted(rows, weights)))
        rank = min(settings.n_latent, *rows.shape)
        coordinates = unit_rows(principal_coordinates(words, rank, rng))
        divergence = np.mean(
            [
                theme_divergence(rows, _clustered(coordinates, n_themes, rng), settings.prior)
                for _ in range(settings.clusterings)
            ],
            axis=0,
        )
        divergence = np.maximum(divergence, told)
        weights = rare * (divergence / (divergence + settings.half)) ** settings.strength
    return weights


def label_divergence(rows: SparseRows, labels: np.ndarray, prior: float) -> np.ndarray:
    """`theme_divergence` by the known of the labels, less what chance alone would give.

    Labels can be few, and classes many: of k classes a word in m texts that tells nothing comes to
    a divergence of (k - 1) / 2m nats (Miller, "Note on the bias of information estimates", 1955).
    """
    known = np.flatnonzero(labels >= 0)
    seen, classes = rows.take(known), np.unique(labels[known], return_inverse=True)[1]
    holders = np.bincount(seen.indices, minlength=rows.n_features)
    chance = classes.max() * holders / (2.0 * (holders + prior) ** 2)  # shrunk by the prior
    return np.maximum(theme_divergence(seen, classes, prior) - chance, 0.0)


def theme_divergence(rows: SparseRows, themes: np.ndarray, prior: float) -> np.ndarray:
    """How far each word tells themes apart, (n_features,) float64 nats, at least `_LEAST`.

    It is the divergence of p(theme | word) from p(theme). `themes` (n,) are those of the rows,
    numbered from 0. `prior` > 0 texts, spread as all texts are, are added to those that hold the
    word, so that a word of few texts tells little.
    """
    sizes = np.bincount(themes).astype(np.float64)
    overall = sizes / len(themes)
    owners = np.repeat(themes, rows.nnz_per_row)
    places = rows.indices.astype(np.int64) * len(sizes) + owners
    holders = np.bincount(places, minlength=rows.n_features * len(sizes))
    holders = holders.reshape(rows.n_features, len(sizes))
    given = (holders + prior * overall) / (holders.sum(axis=1, keepdims=True) + prior)
    ratio = np.divide(given, overall, out=np.ones_like(given), where=overall > 0)
    return np.maximum((given * np.log(ratio)).sum(axis=1), _LEAST)


def _clustered(coordinates: np.ndarray, n_themes: int, rng: np.random.Generator) -> np.ndarray:
    """A theme for each text, (n,); of many texts a sample is clustered, and all are assigned."""
    some = coordinates
    if len(some) > EXACT_ITEMS:
        some = some[np.sort(rng.choice(len(some), EXACT_ITEMS, replace=False))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster keeps its centre: no harm
        centres, _ = kmeans2(some, n_themes, _ITERATIONS, minit="++", rng=rng)
    return np.asarray(vq(coordinates, centres)[0])
