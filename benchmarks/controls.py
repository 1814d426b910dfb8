"""What learned codes are measured against, on the very same features.

Float rankings (cosine, Euclidean) and fixed binarisers: sign-LSH (Charikar, "Similarity estimation
techniques from rounding algorithms", STOC 2002) and ITQ (Gong and Lazebnik, "Iterative
quantization: a Procrustean approach to learning binary codes", CVPR 2011) on LSA or PCA. All are
fitted on the database and seeded; a seed and a machine give the same codes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD

from hashret.codes import Codes
from hashret.sparse import Features, by_layout, to_scipy
from indexer.training.vectors.itq import itq_rotation


def as_matrix(features: Features) -> sparse.csr_array | np.ndarray:
    """Features as what SciPy and scikit-learn multiply, without a copy."""
    return by_layout(features, to_scipy, np.asarray)


def cosine_distances(queries: Features, database: Features) -> Callable[[slice], np.ndarray]:
    """A function from a slice of queries to 1 - cosine, (n, n_database) float32."""
    asked, stored = _unit(as_matrix(queries)), _unit(as_matrix(database))

    def distances(tile: slice) -> np.ndarray:
        product = asked[tile] @ stored.T
        return 1 - (product.toarray() if sparse.issparse(product) else product)

    return distances


def euclidean_distances(queries: Features, database: Features) -> Callable[[slice], np.ndarray]:
    """A function from a slice of dense queries to squared L2 distances, (n, n_database) float64."""
    asked, stored = np.asarray(queries, np.float64), np.asarray(database, np.float64)
    lengths = (stored**2).sum(axis=1)

    def distances(tile: slice) -> np.ndarray:
        part = asked[tile]
        return (part**2).sum(axis=1)[:, None] + lengths[None, :] - 2 * (part @ stored.T)

    return distances


def sign_lsh(database: Features, queries: Features, n_bits: int, seed: int) -> tuple[Codes, Codes]:
    """The signs of random Gaussian projections: codes of the database and of the queries."""
    planes = np.random.default_rng(seed).standard_normal((database.shape[1], n_bits))
    planes = planes.astype(np.float32)
    stored, asked = as_matrix(database) @ planes, as_matrix(queries) @ planes
    return Codes.pack(stored > 0), Codes.pack(asked > 0)


def itq(database: Features, queries: Features, n_bits: int, seed: int) -> tuple[Codes, Codes]:
    """ITQ on the `n_bits` leading directions: codes of the database and of the queries.

    Sparse features are reduced by LSA (truncated SVD, then unit length), dense ones by PCA.
    """
    stored, asked = _reduce(as_matrix(database), as_matrix(queries), n_bits, seed)
    mean = stored.mean(axis=0)
    stored, asked = stored - mean, asked - mean
    rotation = itq_rotation(stored, np.random.default_rng(seed))
    return Codes.pack(stored @ rotation > 0), Codes.pack(asked @ rotation > 0)


def _reduce(
    stored: sparse.csr_array | np.ndarray,
    asked: sparse.csr_array | np.ndarray,
    n_dimensions: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    if sparse.issparse(stored):
        svd = TruncatedSVD(n_dimensions, random_state=seed)
        return _unit(svd.fit_transform(stored)), _unit(svd.transform(asked))
    mean = stored.mean(axis=0, dtype=np.float64)
    centred = stored - mean
    directions = np.linalg.eigh(centred.T @ centred)[1][:, : -n_dimensions - 1 : -1]
    return centred @ directions, (asked - mean) @ directions


def _unit(rows: sparse.csr_array | np.ndarray) -> sparse.csr_array | np.ndarray:
    """Every row divided by its length; a row of zeros stays one."""
    if sparse.issparse(rows):
        lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
        scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return sparse.csr_array(rows.multiply(scale[:, None]), dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
