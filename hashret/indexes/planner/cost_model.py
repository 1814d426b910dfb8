"""Estimate the time of a call by each exact index, from its costs and from earlier calls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from hashret.arguments import resolve
from hashret.codes import Codes, Neighbors
from hashret.indexes.base import INDEXES, PLANNED
from hashret.indexes.clusters import ClusterIndex, n_centres
from hashret.indexes.costs import Call, ExactIndex, Experience, Seen, Size, fading

#: The classes of the indexes that the planner may choose, called paths, by name.
PATHS: dict[str, type[ExactIndex[Any]]] = {
    name: resolve(INDEXES, name, "index") for name in PLANNED
}
#: The default costs of each path, with NumPy (False) and with kernels (True).
GIVEN: dict[bool, dict[str, Any]] = {
    False: {name: path.NUMPY for name, path in PATHS.items()},
    True: {name: path.COMPILED for name, path in PATHS.items()},
}
_measured: dict[bool, Mapping[str, Any]] = {}  # costs measured on this machine

LOOK = 8e6  # ns of `Prospects.look`, which clusters a sample of the codes
KERNELS_LOAD = 500e6  # ns of importing Numba and reading what it has compiled
KERNELS_COMPILE = 40e9  # ns, if they were not compiled on this machine yet

# Largest number of codes in the sample of `look`, of its centres, and of queries: more take longer
# and tell the same.
_LOOKED, _CENTRES, _ASKED = 4096, 256, 256
_FEW = 256  # number of codes up to which that is not worth while


def current(with_kernels: bool) -> Mapping[str, Any]:
    """The costs of each path: those measured on this machine, else the defaults."""
    return _measured.get(with_kernels, GIVEN[with_kernels])


def is_measured(with_kernels: bool) -> bool:
    """Whether `use` was called, with costs of kernels or without."""
    return with_kernels in _measured


def use(costs: Mapping[str, Any], with_kernels: bool) -> None:
    """Make all planners of this process use these costs from now on."""
    _measured[with_kernels] = costs


def as_numbers(costs: Mapping[str, Any]) -> dict[str, float]:
    """The costs of all paths as numbers by names: "scan.word"."""
    return {
        f"{name}.{field}": value
        for name, each in costs.items()
        for field, value in asdict(each).items()
    }


def from_numbers(numbers: Mapping[str, float]) -> dict[str, Any] | None:
    """The costs that `as_numbers` gave; None if a number is missing, negative or not finite."""
    given = as_numbers(GIVEN[True])
    if set(numbers) != given.keys() or not all(
        isinstance(value, float) and (0 < value < math.inf or value == given[name] == 0)
        for name, value in numbers.items()
    ):
        return None
    return {
        name: type(costs)(**{f.name: numbers[f"{name}.{f.name}"] for f in fields(costs)})
        for name, costs in GIVEN[True].items()
    }


class Prospects:
    """Estimates of times over fixed codes; those of clusters are known only after `look`."""

    def __init__(self, codes: Codes):
        self._codes = codes
        self._size = Size(len(codes), codes.n_bits)
        self._experience: dict[
            tuple[str, tuple[int, bool]], Experience
        ] = {}  # by path and kind of call
        self._reach: dict[tuple[int, bool], float] = {}  # bits to the k-th, by kind of call
        self._sample: ClusterIndex | None = None
        self._asked = codes[:0]
        self._shares: dict[int, float] = {}  # share of all codes that clusters compare, by radius

    def expected(self, call: Call, with_kernels: bool, linear: str) -> dict[str, float]:
        """The estimated ns of each path that is worth considering for the call.

        `linear` names the path that answers queries which another path gives up.
        """
        costs, share, size = current(with_kernels), self._share(call), self._size
        none = Seen(Experience(), None, 0.0)
        alone = PATHS[linear].expected(call._replace(n_queries=1), size, costs[linear], none) or 0.0
        expected = {}
        for name, path in PATHS.items():
            seen = Seen(self._known(name, call, with_kernels), share, alone)
            ns = path.expected(call, size, costs[name], seen)
            if ns is not None:
                expected[name] = ns
        return expected

    def to_build(self, name: str, with_kernels: bool) -> float:
        """The estimated ns of building a path."""
        return PATHS[name].to_build(self._size, current(with_kernels)[name])

    @property
    def may_look(self) -> bool:
        """Whether `look` was not called yet and there are enough codes to be worth it."""
        return self._sample is None and len(self._codes) >= _FEW

    def look(self) -> None:
        """Estimate the share of codes that clusters compare, by clustering a small sample.

        Codes of the sample serve as queries, so real ones are assumed to resemble the codes. This
        takes about `LOOK` ns.
        """
        n = len(self._codes)
        looked = min(n, _LOOKED)
        sample = self._codes[np.arange(looked) * n // looked]
        self._sample = ClusterIndex(sample, at_most=min(_CENTRES, n_centres(n)))
        self._asked = sample[:: max(1, looked // _ASKED)]

    def learn(self, call: Call, n_queries: int, found: Neighbors) -> None:
        """Update the experience with the answers to n_queries: the work, and how far they reach."""
        if not n_queries:
            return
        experience = self._experience.get((found.work.path.split(" + ")[0], call.kind))
        if experience is not None:
            experience.learn(n_queries, found.work)
        if call.k is not None:
            reach = float(found.complete_radius.mean())
            before = self._reach.get(call.kind)
            self._reach[call.kind] = fading(before, reach, n_queries)

    def forget_expected(self) -> None:
        """Drop what was only expected, because kernels replace NumPy; keep what was seen."""
        seen = {key: each for key, each in self._experience.items() if each.known}
        self._experience = seen

    def _known(self, name: str, call: Call, with_kernels: bool) -> Experience:
        key = name, call.kind
        if key not in self._experience:
            self._experience[key] = PATHS[name].unseen(call, self._size, compiled=with_kernels)
        return self._experience[key]

    def _share(self, call: Call) -> float | None:
        """The share of all codes that clusters would compare; None if it is not known."""
        is_known = call.k is None or call.kind in self._reach
        if self._sample is None or not is_known:
            return None
        radius = call.radius if call.k is None else round(self._reach[call.kind])
        if radius not in self._shares:
            self._shares[radius] = self._sample.share(self._asked, radius)
        return self._shares[radius]
