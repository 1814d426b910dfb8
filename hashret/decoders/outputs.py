"""What a decoder's last layer says: a distribution over words, numbers, steps, or bits.

Each form of output turns the sums of the last layer into decoded features, and says how far these
are from an item's own.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hashret.sparse import Features, require_dense, require_sparse


class Output(Protocol):
    """A form of output; `sums` are the last layer's, (n, n_outputs) float32."""

    def decoded(self, sums: np.ndarray) -> np.ndarray:
        """What the sums stand for, (n, n_outputs) float32."""
        ...

    def errors(self, sums: np.ndarray, features: Features) -> np.ndarray:
        """How far what is decoded is from n rows of features, (n,) float64; 0: it is the same."""
        ...


class WordShares:
    """A distribution over the vocabulary: softmax of the sums.

    That of an item is its features over their sum. The error is the Kullback-Leibler divergence
    from it to the decoded one, in nats: how many more a word of the item takes to be written by the
    decoded distribution than by its own (Cover and Thomas, "Elements of information theory",
    section 2.3). It is 0 for an item without a known word.
    """

    def decoded(self, sums: np.ndarray) -> np.ndarray:
        """The share of each word, (n, n_words) float32, which sum to 1."""
        shares = np.exp(sums - sums.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def errors(self, sums: np.ndarray, features: Features) -> np.ndarray:
        """The divergences, (n,) float64."""
        rows = require_sparse(features, "decoded words")
        owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)
        values = np.maximum(rows.values, 0).astype(np.float64)
        shares = values / np.bincount(owner, values, len(rows))[owner]
        highest = sums.max(axis=1, keepdims=True)
        logarithms = np.log(np.exp(sums - highest).sum(axis=1)) + highest[:, 0]
        spoken = shares > 0
        own = np.log(shares, where=spoken, out=np.zeros_like(shares))
        decoded = sums[owner, rows.indices] - logarithms[owner]
        return np.bincount(owner, np.where(spoken, shares * (own - decoded), 0.0), len(rows))


class Numbers:
    """Numbers, one for each feature; the error is their mean squared difference."""

    def decoded(self, sums: np.ndarray) -> np.ndarray:
        """The numbers, (n, n_features) float32."""
        return sums

    def errors(self, sums: np.ndarray, features: Features) -> np.ndarray:
        """The mean squared errors, (n,) float64, in squared units of the features."""
        rows = require_dense(features, "decoded numbers")
        return np.square(sums - rows, dtype=np.float64).mean(axis=1)


class StepNumbers:
    """The numbers of steps in order, one step after the other, and how many steps there are.

    The last output is the share of the steps that there are. The error is the mean squared
    difference of an item's numbers, as far as there are outputs for them.
    """

    def decoded(self, sums: np.ndarray) -> np.ndarray:
        """The numbers, and in the last column the share of the steps, (n, n_outputs) float32."""
        return np.concatenate([sums[:, :-1], np.clip(sums[:, -1:], 0.0, 1.0)], axis=1)

    def errors(self, sums: np.ndarray, features: Features) -> np.ndarray:
        """The mean squared errors, (n,) float64; 0 for an item without a number."""
        rows = require_sparse(features, "decoded steps")
        owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)
        told = rows.indices < sums.shape[1] - 1
        owner, places = owner[told], rows.indices[told]
        squares = np.square(sums[owner, places] - rows.values[told], dtype=np.float64)
        counts = np.bincount(owner, minlength=len(rows))
        return np.bincount(owner, squares, len(rows)) / np.maximum(counts, 1)


#: The form of output by its name in a spec; bits are numbers, -1 and 1, that no layer changes.
OUTPUTS: dict[str, Output] = {
    "words": WordShares(),
    "numbers": Numbers(),
    "steps": StepNumbers(),
    "bits": Numbers(),
}
