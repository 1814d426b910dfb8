"""Fixed binarisers and float quantisers at equal bytes, beside the codes of vectors.

Random rotation and ITQ (`controls`), asymmetric as well: the query's projection against stored
signs (Gordo et al., TPAMI 2014). OPQ+PQ (Ge et al., "Optimized product quantization", CVPR 2013)
and RaBitQ (Gao and Long, SIGMOD 2024) by Faiss. RaBitQ keeps 8 bytes of corrections beside its
bits, so at equal bytes it gets 64 dimensions fewer, by PCA and a random rotation. All learn on
the database only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.scoring import Distances
from hashret.codes import Codes, hamming
from indexer.training.vectors.itq import itq_projection

_FOUND = 50  # as many as are re-scored


def rotated(
    database: np.ndarray, queries: np.ndarray, n_bits: int, seed: int
) -> dict[str, Distances]:
    """Signs of the centred vectors, rotated at random; orthogonal up to as many bits as floats."""
    planes = np.random.default_rng(seed).standard_normal((database.shape[1], n_bits))
    width = min(planes.shape)
    planes[:, :width] = np.linalg.qr(planes[:, :width])[0] * np.sqrt(len(planes))
    return _projected(database, queries, planes)


def itq(database: np.ndarray, queries: np.ndarray, n_bits: int, seed: int) -> dict[str, Distances]:
    """Signs of the ITQ projection of the centred vectors."""
    centred = database - database.mean(axis=0, dtype=np.float64)
    planes = itq_projection(centred, n_bits, np.random.default_rng(seed))
    return _projected(database, queries, planes)


def _projected(
    database: np.ndarray, queries: np.ndarray, planes: np.ndarray
) -> dict[str, Distances]:
    mean = database.mean(axis=0, dtype=np.float64)
    stored, asked = (database - mean) @ planes, (queries - mean) @ planes
    codes, query_codes = Codes.pack(stored > 0), Codes.pack(asked > 0)
    signs = np.where(stored > 0, np.float32(1), np.float32(-1))
    weights = asked.astype(np.float32)
    return {
        "by distance": lambda tile: hamming(query_codes[tile], codes),
        "asymmetric": lambda tile: -(weights[tile] @ signs.T),
    }


def product_quantised(
    database: np.ndarray, queries: np.ndarray, n_bits: int, seed: int
) -> dict[str, Distances]:
    """OPQ+PQ of a byte a subvector. Faiss seeds it; `seed` shuffles what it learns from."""
    n_bytes = n_bits // 8
    return {"asymmetric": _searched(f"OPQ{n_bytes},PQ{n_bytes}", database, queries, seed)}


def rabitq(
    database: np.ndarray, queries: np.ndarray, n_bits: int, seed: int
) -> dict[str, Distances]:
    """PCA with a random rotation, as RaBitQ wants it, and RaBitQ, for more than 64 bits."""
    n_dimensions = min(n_bits - 64, database.shape[1])
    if n_dimensions <= 0:
        return {}
    return {"asymmetric": _searched(f"PCAR{n_dimensions},RaBitQ", database, queries, seed)}


def _searched(description: str, database: np.ndarray, queries: np.ndarray, seed: int) -> Distances:
    import faiss

    index = faiss.index_factory(database.shape[1], description)
    index.train(np.random.default_rng(seed).permutation(database))
    index.add(database)
    distances, rows = index.search(queries, _FOUND)

    def ranked(tile: slice) -> np.ndarray:
        # beyond what is re-scored nothing counts
        full = np.full((tile.stop - tile.start, len(database)), np.inf, np.float32)
        np.put_along_axis(full, rows[tile], distances[tile], axis=1)
        return full

    return ranked


#: What vectors are quantised by, each giving distances by measure of ranking.
CONTROLS: dict[str, Callable[[np.ndarray, np.ndarray, int, int], dict[str, Distances]]] = {
    "random rotation": rotated,
    "ITQ": itq,
    "PCA+RaBitQ (Faiss)": rabitq,
    "OPQ+PQ (Faiss)": product_quantised,
}
