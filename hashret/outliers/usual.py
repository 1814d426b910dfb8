"""How far an item is from the nearest usual ones, and how often a usual one is as far: p-values.

The error of an item in one view is the mean squared distance to its ten nearest usual items: how
badly one of these would do in its place. Over views it is the geometric mean. The p-value is that
of full conformal prediction: the item is put among the n usual ones, the error of each is taken
against all others, and p is the share of the n + 1 errors that are at least the item's own. If the
item is drawn as the usual ones were, then P(p <= a) <= a for every a, whatever the rule of the
error and the distribution.

Sources: Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005, section 2.2
(conformal p-values); Angiulli and Pizzuti, "Fast outlier detection in high dimensional spaces",
PKDD 2002 (the sum of the distances to the nearest); Benjamini and Hochberg, "Controlling the false
discovery rate", JRSS B 1995, and Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with
conformal p-values", Annals of Statistics 2023 (that it holds for these).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hashret.outliers.views import View

#: The nearest items whose mean distance counts; 5 and 20 do about as well.
NEAREST = 10
#: Fewest usual items: with fewer, all of them would be the nearest.
FEWEST = NEAREST + 1
#: Share of the median error below which errors are one: copies have 0, which has no logarithm.
_LEAST = 1e-6
#: Usual items whose distances to all others are in memory at a time.
_BLOCK = 1_024


class Usual:
    """n usual items, at least `FEWEST`, that others are compared with."""

    def __init__(self, views: Sequence[View]):
        self._views = views
        self._kth, self._mean = [], []
        for view in views:
            nearest = _nearest_of_all(view)
            self._kth.append(nearest[:, -1])
            self._mean.append(nearest.mean(axis=1, dtype=np.float64))
        medians = [float(np.median(mean)) for mean in self._mean]
        self._least = [max(_LEAST * median, 1e-12) for median in medians]
        self._logs = self._log(self._mean)

    def __len__(self) -> int:
        return len(self._views[0])

    def errors(self, views: Sequence[View], own: np.ndarray) -> np.ndarray:
        """The errors of m items with these views, (m,) float64; 1 is the median usual one's.

        `own` (m,) int64 says which of the usual items each is itself, -1 for none: it is not
        compared with itself.
        """
        return self._scaled(self._log(self._means(self._distances(views), own)))

    def judged(self, views: Sequence[View], own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The `errors` of m items and their p-values, (m,) float64.

        One that is itself a usual item is one of n, not of n + 1.
        """
        distances = self._distances(views)
        logs = self._log(self._means(distances, own))
        p_values = np.empty(len(own))
        for i, log in enumerate(logs.tolist()):
            if own[i] >= 0:
                p_values[i] = np.count_nonzero(self._logs >= log) / len(self)
                continue
            # the usual ones' errors with the item among them: it may be one of their nearest
            means = [
                mean - np.maximum(kth - each[i], 0.0) / NEAREST
                for mean, kth, each in zip(self._mean, self._kth, distances, strict=True)
            ]
            p_values[i] = (1 + np.count_nonzero(self._log(means) >= log)) / (len(self) + 1)
        return self._scaled(logs), p_values

    def _distances(self, views: Sequence[View]) -> list[np.ndarray]:
        return [view.distances(usual) for view, usual in zip(views, self._views, strict=True)]

    def _means(self, distances: Sequence[np.ndarray], own: np.ndarray) -> list[np.ndarray]:
        return [_nearest(each, own).mean(axis=1, dtype=np.float64) for each in distances]

    def _scaled(self, logs: np.ndarray) -> np.ndarray:
        return np.exp(logs - np.median(self._logs))

    def _log(self, means: Sequence[np.ndarray]) -> np.ndarray:
        """The logarithm of the geometric mean over views of the mean distances, (n,) float64."""
        logs = [
            np.log(np.maximum(mean, least)) for mean, least in zip(means, self._least, strict=True)
        ]
        return np.asarray(np.mean(logs, axis=0))


def _nearest_of_all(view: View) -> np.ndarray:
    """The squared distances of each item to the nearest others, the k-th last, (n, k)."""
    found = []
    for start in range(0, len(view), _BLOCK):
        own = np.arange(start, min(start + _BLOCK, len(view)))
        found.append(_nearest(view.between(start, start + len(own)).distances(view), own))
    return np.concatenate(found)


def _nearest(distances: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The squared distances of each row to the nearest usual ones, the k-th last, (n, k)."""
    masked = distances.copy()
    itself = np.flatnonzero(own >= 0)
    masked[itself, own[itself]] = np.inf
    return np.partition(masked, NEAREST - 1, axis=1)[:, :NEAREST]


def discoveries(p_values: np.ndarray, share: float) -> np.ndarray:
    """Which p-values (n,) are discoveries, of which at most `share` are expected to be false.

    By Benjamini and Hochberg, (n,) bool.
    """
    order = np.argsort(p_values, kind="stable")
    ranks = np.arange(1, len(order) + 1)
    below = np.flatnonzero(p_values[order] <= share * ranks / max(len(order), 1))
    found = np.zeros(len(order), bool)
    if len(below):
        found[order[: below[-1] + 1]] = True
    return found
