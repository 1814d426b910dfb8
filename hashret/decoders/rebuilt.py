"""What of an item's features does a decoder rebuild? All of them; of steps in order, what it can.

Of texts in word order it rebuilds their words, of tokens in order how often each comes, and of
series their numbers up to the longest that it was taught with. In which order words or tokens come,
it does not say.
"""

from __future__ import annotations

import numpy as np

from hashret.sparse import Features, SparseRows, columns_between, require_sparse
from hashret.specs.decoders import DecoderSpec
from hashret.specs.encoders import EncoderSpec
from hashret.specs.ordering import Ordering


def ordering_of(encoder: EncoderSpec) -> Ordering | None:
    """Where the features of an encoder hold steps in order; None if they hold none."""
    return getattr(encoder, "ordering", None)


def token_counts(rows: SparseRows, n_tokens: int) -> SparseRows:
    """How often each token comes in rows that hold their numbers, from 1; (n, n_tokens)."""
    owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)
    known = (rows.values >= 1) & (rows.values <= n_tokens)
    keys = owner[known] * n_tokens + rows.values[known].astype(np.int64) - 1
    places, counts = np.unique(keys, return_counts=True)
    owner, tokens = np.divmod(places, n_tokens)
    indptr = np.append(0, np.cumsum(np.bincount(owner, minlength=len(rows))))
    return SparseRows(indptr, tokens.astype(np.int32), counts.astype(np.float32), n_tokens)


def rebuilt(features: Features, ordering: Ordering | None) -> Features:
    """The part of the features that a decoder rebuilds, row for row."""
    if ordering is None:
        return features
    rows = require_sparse(features, "steps in order")
    if ordering.first:
        return columns_between(rows, 0, ordering.first)
    return token_counts(rows, ordering.n_tokens) if ordering.n_tokens else rows


def fits(spec: DecoderSpec, encoder: EncoderSpec) -> bool:
    """Whether a decoder is one of the codes and the features of an encoder."""
    ordering = ordering_of(encoder)
    if spec.n_bits != encoder.n_bits or spec.ordering != ordering:
        return False
    if spec.outputs == "steps":
        return ordering is not None and (spec.n_outputs - 1) % ordering.width == 0
    n_expected = encoder.n_features
    if ordering is not None:
        n_expected = ordering.first or ordering.n_tokens
    return spec.n_outputs == n_expected
