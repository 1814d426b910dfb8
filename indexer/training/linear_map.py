"""The last map again, in closed form: one linear map of the words that predicts the learned bits.

The network says which bits the training texts have, and how sure each is; ridge regression then
finds the linear map from words to the bits that are expected (Hoerl and Kennard, Technometrics
1970), so that a bit that could be either asks for nothing. It is fitted to no text more than the
shrinkage allows, so it answers for unseen texts at least as well as the network that taught it, in
an eighth of its size. Learning codes first and functions of the features second is the two-step
hashing of Zhang et al., "Self-taught hashing", SIGIR 2010, and Lin et al., ICCV 2013.

Predictors are the weighted words and, beside them, latent semantic coordinates, which are linear in
the words: so the whole is one matrix, and coordinates only make it cheap to use directions in which
many words agree. Measurements: docs/adr/0004.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from hashret.models.dense import DenseEncoder
from hashret.sparse import SparseRows, to_scipy
from hashret.specs.encoders import DenseSpec
from indexer.training.neighbours.randomized_svd import principal_directions
from indexer.training.neighbours.similarities import EXACT_ITEMS
from indexer.training.neighbours.term_weighting import weighted
from indexer.training.networks.bottleneck import LogitMoments
from indexer.training.networks.export import on_grid
from indexer.training.recipe import LinearMap

#: Iterations of conjugate gradients; the shrinkage makes the problem well conditioned.
_ITERATIONS = 30
#: To choose the shrinkage, one text in so many is held out, of `EXACT_ITEMS` at most.
_HELD_OUT_PART = 10


class _Predictors(NamedTuple):
    """The matrix [words, words @ directions] of n texts, without forming it."""

    words: csr_array
    directions: np.ndarray

    def of(self, weights: np.ndarray) -> np.ndarray:
        """The product with (n_words + n_latent, n_bits) weights: (n, n_bits) float32."""
        found: np.ndarray = self.words @ self.combined(weights)
        return found

    def transposed(self, rows: np.ndarray) -> np.ndarray:
        """The transpose times (n, n_bits) rows."""
        by_word = self.words.T @ rows
        return np.vstack([by_word, self.directions.T @ by_word])

    def combined(self, weights: np.ndarray) -> np.ndarray:
        """The one (n_words, n_bits) matrix that the weights amount to."""
        n_words = len(self.directions)
        return np.asarray(weights[:n_words] + self.directions @ weights[n_words:])

    def take(self, rows: np.ndarray) -> _Predictors:
        return _Predictors(self.words[rows], self.directions)


class LinearFit:
    """Fits linear maps to bits of the same texts; what all lengths of codes share is kept."""

    def __init__(
        self,
        rows: SparseRows,
        word_weights: np.ndarray,
        settings: LinearMap,
        input_scale: float,
        rng: np.random.Generator,
    ):
        values = weighted(rows, word_weights).values
        mean_square = float(np.square(values, dtype=np.float64).sum()) / len(rows)
        scale = 1.0 / max(mean_square, 1e-12) ** 0.5
        words = to_scipy(weighted(rows, scale * word_weights))
        rank = min(settings.n_latent, *words.shape)
        directions = settings.latent_scale * principal_directions(words, rank, rng)
        self._predictors = _Predictors(words, directions.astype(np.float32))
        self._settings = settings
        #: From a map of the scaled words to one of what the exported encoder takes.
        self._input_scale, self._factors = input_scale, scale * word_weights / input_scale
        order = rng.permutation(len(rows))[:EXACT_ITEMS]
        self._unseen, self._seen = np.split(order, [len(rows) // _HELD_OUT_PART])

    def fit(self, bits: np.ndarray, logit_scale: float) -> DenseEncoder:
        """An encoder that predicts bits (n, n_bits) of the texts, from -1 (surely 0) to 1.

        Raises ValueError if the weights are too large for exact sums.
        """
        wanted = np.asarray(bits - bits.mean(axis=0), np.float32)
        weights = _ridge(self._predictors, wanted, self._shrinkage(bits, wanted))
        raw = self._predictors.of(weights)
        matrix = self._predictors.combined(weights).astype(np.float64) * self._factors[:, None]
        return self._exported(matrix, raw, logit_scale)

    def _shrinkage(self, bits: np.ndarray, wanted: np.ndarray) -> float:
        """The largest shrinkage that predicts the bits of held-out texts about as well as any.

        About as well is within a standard error of the best (Breiman, Friedman, Olshen and Stone,
        Classification and regression trees, 1984, section 3.4.3).
        """
        candidates = self._settings.shrinkages
        if len(self._unseen) < 2:
            return max(candidates)
        seen, unseen = (self._predictors.take(rows) for rows in (self._seen, self._unseen))
        agreements = []
        for shrinkage in candidates:
            found = unseen.of(_ridge(seen, wanted[self._seen], shrinkage))
            agreements.append(((found > 0) == (bits[self._unseen] > 0)).mean(axis=1))
        best = max(agreements, key=np.mean)
        least = best.mean() - best.std(ddof=1) / len(best) ** 0.5
        pairs = zip(candidates, agreements, strict=True)
        return max(shrinkage for shrinkage, each in pairs if each.mean() >= least)

    def _exported(self, matrix: np.ndarray, raw: np.ndarray, logit_scale: float) -> DenseEncoder:
        n_words, n_bits = matrix.shape
        moments = LogitMoments.of(raw)
        weights, biases, clamps = on_grid([matrix], [np.zeros(n_bits)], moments)
        spec = DenseSpec(
            n_features=n_words,
            n_bits=n_bits,
            hidden=(),
            input_scale=self._input_scale,
            clamps=clamps,
            logit_scale=logit_scale,
        )
        return DenseEncoder(spec, weights, biases)


def _ridge(predictors: _Predictors, wanted: np.ndarray, shrinkage: float) -> np.ndarray:
    """Weights that minimise the squared error plus `shrinkage` times their squares.

    All columns at once by conjugate gradients on the normal equations (Hestenes and Stiefel, 1952).
    """
    residual = predictors.transposed(wanted)
    weights = np.zeros_like(residual)
    direction = residual.copy()
    squares = _sums(residual, residual)
    for _ in range(_ITERATIONS):
        product = predictors.transposed(predictors.of(direction))
        product += np.float32(shrinkage) * direction
        step = squares / np.maximum(_sums(direction, product), 1e-20)
        weights += step * direction
        residual -= step * product
        before, squares = squares, _sums(residual, residual)
        direction *= squares / np.maximum(before, 1e-20)
        direction += residual
    return weights


def _sums(one: np.ndarray, other: np.ndarray) -> Any:
    return np.einsum("ij,ij->j", one, other)
