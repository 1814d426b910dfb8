"""Which label do the features of an item suggest? So few labels choose the neighbours of all items.

A linear discriminant of the items with a label is applied to all of them: the ridge regression from
their points to one number for each class (Hastie, Tibshirani and Friedman, "The elements of
statistical learning", 2009, sections 3.4.1 and 4.2). It does not ask what an item's label is, so an
item without one is treated like one with.
"""

from __future__ import annotations

import numpy as np

from indexer.training.neighbours.similarities import Points, cosine_points, mixed_points

#: The shrinkage of the discriminant, in items: as if so many more had been seen in which each
#: coordinate has the mean variance of all, and suggests nothing.
_PRIOR = 60.0


def with_suggested_labels(points: Points, labels: np.ndarray, rng: np.random.Generator) -> Points:
    """The similarity by points plus that of the labels that they suggest.

    `labels` (n,) are the numbers of the classes, -1 where the label is not known.
    """
    suggested = suggested_labels(points.queries, labels)
    return mixed_points(points, cosine_points(suggested), rng)


def suggested_labels(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows (n, d) turned so that their products are those of the scores of all classes, (n, d).

    So memory does not grow with the number of classes.
    """
    known = labels >= 0
    seen = rows[known].astype(np.float64)
    mean = seen.mean(axis=0)
    seen -= mean
    sizes = np.bincount(labels[known])
    sums = np.zeros((len(sizes), rows.shape[1]))
    np.add.at(sums, labels[known], seen)  # centred rows times centred indicators of the classes
    gram = seen.T @ seen
    gram[np.diag_indices_from(gram)] += (
        _PRIOR * max(np.trace(gram) / gram.shape[0], 1e-12) / len(seen)
    )
    weights = np.linalg.solve(gram, sums.T)  # (d, n_classes)
    values, vectors = np.linalg.eigh(weights @ weights.T)
    turned = vectors * np.sqrt(np.maximum(values, 0.0))
    found: np.ndarray = (rows - mean) @ turned
    return found
