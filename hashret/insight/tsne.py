"""Where do vectors lie in a plane, so that near ones stay near? t-SNE, as openTSNE computes it.

van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 2008; Poličar, Stražar and Zupan,
"openTSNE: a modular Python library for t-SNE embedding", JSS 2024. Neighbours are found exactly and
the start is the principal plane, so that the same vectors always give the same picture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hashret.errors import MissingExtraError

#: How many neighbours a vector weighs, about: the usual number.
_PERPLEXITY = 30.0
#: Fewer vectors than this have no neighbourhoods to speak of: their principal plane is shown.
_FEWEST = 8
#: Steps of the descent while clusters form, and after that: the usual numbers.
_EARLY_STEPS, _STEPS = 250, 500
#: How much more neighbours attract each other in the early steps: the usual number.
_EXAGGERATION = 12.0
#: From so many vectors on, repulsion by interpolation (FIt-SNE) is faster than by a tree, and more
#: threads than one are: those that wait for one another are busy meanwhile.
_INTERPOLATED = 2_000
#: Steps between two reports of progress.
_STEPS_A_REPORT = 10
#: Vectors compared with all others at a time: a tile of 20,000 columns takes some 40 MB.
_TILE_ROWS = 512
#: The share of the work that finding neighbours takes, of 20,000 vectors.
_COMPARED = 0.2
#: Standard deviation of the start, small enough to leave the descent free (Kobak and Berens, "The
#: art of using t-SNE for single-cell transcriptomics", Nature Communications 2019).
_START = 1e-4

#: Told the share of the work that is done, 0 to 1. What it raises ends the work.
OnDone = Callable[[float], None]


def require_opentsne() -> None:
    """Raise `MissingExtraError` where openTSNE is not installed."""
    try:
        import openTSNE  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"map: expected the library openTSNE, got {error}; pip install 'hashret[map]'"
        ) from None


def tsne(
    vectors: np.ndarray, seed: int, *, n_threads: int = 1, on_done: OnDone = lambda done: None
) -> np.ndarray:
    """The place of each of n vectors in a plane, (n, 2) float64, about the origin.

    `vectors` (n, d) float32 are near by Euclidean distance. The same vectors and seed give the same
    places, whatever the number of threads. Raises `MissingExtraError`.
    """
    start, is_large = principal_plane(vectors), len(vectors) >= _INTERPOLATED
    if len(vectors) < _FEWEST:
        return start
    n_threads = n_threads if is_large else 1
    require_opentsne()
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    n_neighbours = min(len(vectors) - 1, int(3 * _PERPLEXITY))
    near = _neighbours(vectors, n_neighbours, lambda done: on_done(_COMPARED * done))
    weights = PerplexityBasedNN(
        knn_index=PrecomputedNeighbors(*near),
        perplexity=min(_PERPLEXITY, n_neighbours / 3),
        n_jobs=n_threads,
    )
    # copies of one vector need places that differ, or nothing moves them apart
    start += np.random.default_rng(seed).normal(0, 0.01 * (start[:, 0].std() or 1.0), start.shape)
    start *= _START / start[:, 0].std()
    taken = 0

    def told(step: int, *_: object) -> None:
        on_done(_COMPARED + (1.0 - _COMPARED) * (taken + step) / (_EARLY_STEPS + _STEPS))

    places = TSNEEmbedding(
        start,
        weights,
        negative_gradient_method="fft" if is_large else "bh",
        n_jobs=n_threads,
        random_state=seed,
        callbacks=told,
        callbacks_every_iters=_STEPS_A_REPORT,
    )
    places.optimize(_EARLY_STEPS, inplace=True, exaggeration=_EXAGGERATION)
    taken = _EARLY_STEPS
    places.optimize(_STEPS, inplace=True)
    return np.array(places, np.float64)


def principal_plane(vectors: np.ndarray) -> np.ndarray:
    """The first two principal coordinates of n vectors (n, d), each; (n, 2) float64.

    A coordinate that they don't have is 0. Its sign is such that the largest weight is positive.
    """
    places = np.zeros((len(vectors), 2))
    if not len(vectors):
        return places
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, :-3:-1]  # the last are the widest
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    places[:, : axes.shape[1]] = centred @ axes
    return places


def _neighbours(vectors: np.ndarray, k: int, on_done: OnDone) -> tuple[np.ndarray, np.ndarray]:
    """The k < n nearest others of each vector, and their Euclidean distances, both (n, k)."""
    n = len(vectors)
    rows = np.ascontiguousarray(vectors, np.float32)
    squares = np.square(rows).sum(axis=1)
    nearest, distances = np.empty((n, k), np.int64), np.empty((n, k))
    for start in range(0, n, _TILE_ROWS):
        tile = slice(start, min(start + _TILE_ROWS, n))
        apart = squares - 2.0 * (rows[tile] @ rows.T)
        apart += squares[tile, None]
        np.fill_diagonal(apart[:, start:], np.inf)  # not itself
        found = np.argpartition(apart, k - 1, axis=1)[:, :k]
        of_found = np.take_along_axis(apart, found, axis=1)
        order = np.argsort(of_found, axis=1, kind="stable")
        nearest[tile] = np.take_along_axis(found, order, axis=1)
        distances[tile] = np.take_along_axis(of_found, order, axis=1)
        on_done(tile.stop / n)
    return nearest, np.sqrt(np.maximum(distances, 0.0))
