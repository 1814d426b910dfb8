"""Coordinates in which near items are as near as can be: what sets neighbours apart says little.

Where the nearest neighbours of items differ, items of one kind differ: by light, place or a detail.
Directions are divided by how far neighbours differ in them, and those are kept in which all items
differ most, so measured. This is relevant component analysis (Bar-Hillel, Hertz, Shental and
Weinshall, JMLR 2005, sections 2 and 5) with nearest neighbours for the groups of like items, so
that no label is needed; the directions are those of locality preserving projections (He and Niyogi,
NIPS 2003, section 2).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from indexer.training.neighbours.neighbourhoods import find_neighbourhoods
from indexer.training.neighbours.similarities import cosine_points

_SAMPLED = 10_000  # number of items whose neighbours are found, for any number of items
_NEAREST = 8  # number of nearest neighbours of each, but at most a thirtieth of the items
#: How far neighbours differ, as a share of how far any two items do, from which on directions are
#: divided by it: .47 of photographs, which gain much; .16 of clothes, each in the middle of its
#: image, which would lose a little, and .19 of digits (docs/adr/0017).
_FAR = 1 / 3
_FLOOR = 0.03  # added to the differences of neighbours, as a share of their mean over directions
_TINY = 1e-9  # added besides, if no neighbours differ at all


def neighbours_differ_much(rows: np.ndarray, alike: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether neighbours differ by at least a third of what any two of n >= 2 centred rows do.

    If not, `alike` (n, any), by whose cosines neighbours are found, finds items of one kind well
    enough.
    """
    spread, between = _differences(rows, alike, rng)
    return bool(np.trace(between) >= _FAR * np.trace(spread))


def relevant_coordinates(
    rows: np.ndarray, alike: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """(n, at most `count`) float32, of unit length, from n >= 2 centred rows of (n, d) numbers.

    `alike` (n, any) are vectors by whose cosines neighbours are found.
    """
    found = rows @ _directions(*_differences(rows, alike, rng), count)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-9), np.float32)


def _differences(
    rows: np.ndarray, alike: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(d, d) each: how far any two items differ, and how far items and their neighbours do."""
    some = np.sort(rng.permutation(len(rows))[:_SAMPLED])
    sample = rows[some].astype(np.float64)
    width = max(1, min(_NEAREST, len(sample) // 30))
    near = find_neighbourhoods(cosine_points(alike[some]), width, rng).members
    return sample.T @ sample / len(sample), _between(sample, near)


def _between(sample: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(d, d): how far items and their neighbours differ; of any two it is the covariance.

    `near` (n, m) are the rows of each one's neighbours.
    """
    between = np.zeros((sample.shape[1],) * 2)
    for column in near.T:
        difference = sample - sample[column]
        between += difference.T @ difference
    return between / (2.0 * near.size)


def _directions(spread: np.ndarray, between: np.ndarray, count: int) -> np.ndarray:
    """(d, at most `count`) float32: directions in which all differ most, and neighbours by 1."""
    between = between.copy()
    floor = _FLOOR * np.trace(between) / len(between) + _TINY
    between[np.diag_indices_from(between)] += floor
    last = len(spread) - 1
    found = eigh(spread, between, subset_by_index=(max(0, last - count + 1), last))[1]
    return np.ascontiguousarray(found[:, ::-1], np.float32)
