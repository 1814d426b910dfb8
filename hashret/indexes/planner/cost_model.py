"""What each exact path would take for a call: it is asked, with what was seen of such calls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes.base import INDEXES, PLANNED
from hashret.indexes.clusters import ClusterIndex, n_centres
from hashret.indexes.costs import Call, ExactIndex, Experience, Seen, Size, fading
from hashret.registry import resolve

#: The paths that the planner takes, by name.
PATHS: dict[str, type[ExactIndex[Any]]] = {
    name: resolve(INDEXES, name, "index") for name in PLANNED
}
#: The costs of each path by NumPy (False) and by kernels (True), where none were measured.
GIVEN: dict[bool, dict[str, Any]] = {
    False: {name: path.NUMPY for name, path in PATHS.items()},
    True: {name: path.COMPILED for name, path in PATHS.items()},
}
_measured: dict[bool, Mapping[str, Any]] = {}  # on this machine

LOOK = 8e6  # ns of a look at a sample of the codes
KERNELS_LOAD = 500e6  # ns of importing Numba and reading what it has compiled
KERNELS_COMPILE = 40e9  # ns, if nobody has compiled them yet

# At most so many codes of a look, centres of them and queries among them: more take longer and say
# the same.
_LOOKED, _CENTRES, _ASKED = 4096, 256, 256
_FEW = 256  # codes that are not worth a look


def current(with_kernels: bool) -> Mapping[str, Any]:
    """The costs of each path as known best: as measured on this machine, or those given."""
    return _measured.get(with_kernels, GIVEN[with_kernels])


def is_measured(with_kernels: bool) -> bool:
    """Whether `use` has been told."""
    return with_kernels in _measured


def use(costs: Mapping[str, Any], with_kernels: bool) -> None:
    """Plan by these costs from now on, in the whole process."""
    _measured[with_kernels] = costs


def as_numbers(costs: Mapping[str, Any]) -> dict[str, float]:
    """The costs of all paths as numbers by names: "scan.word"."""
    return {
        f"{name}.{field}": value
        for name, each in costs.items()
        for field, value in asdict(each).items()
    }


def from_numbers(numbers: Mapping[str, float]) -> dict[str, Any] | None:
    """Costs as they were kept; None unless every number is there and none is below 0 or endless."""
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
    """Estimates over fixed codes. What clusters would compare is known only after `look`."""

    def __init__(self, codes: Codes):
        self._codes = codes
        self._size = Size(len(codes), codes.n_bits)
        self._experience: dict[tuple[str, tuple[int, bool]], Experience] = {}  # by path and kind
        self._reach: dict[tuple[int, bool], float] = {}  # bits to the k-th, by kind of call
        self._sample: ClusterIndex | None = None
        self._asked = codes[:0]
        self._shares: dict[int, float] = {}  # of all codes, by radius

    def expected(self, call: Call, with_kernels: bool, linear: str) -> dict[str, float]:
        """The ns that each path would take that comes into question.

        `linear` names the path that answers the queries that another gives up.
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
        """The ns that building a path takes."""
        return PATHS[name].to_build(self._size, current(with_kernels)[name])

    @property
    def may_look(self) -> bool:
        """Whether `look` would say something new, and of codes that are not just a few."""
        return self._sample is None and len(self._codes) >= _FEW

    def look(self) -> None:
        """Make clusters of a small sample, and see from its own codes what they leave to compare.

        As if queries were like codes. It takes about `LOOK` ns.
        """
        n = len(self._codes)
        looked = min(n, _LOOKED)
        sample = self._codes[np.arange(looked) * n // looked]
        self._sample = ClusterIndex(sample, at_most=min(_CENTRES, n_centres(n)))
        self._asked = sample[:: max(1, looked // _ASKED)]

    def learn(self, call: Call, n_queries: int, found: Neighbors) -> None:
        """Take in how so many queries were answered, and how far their answers reach."""
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
        """Drop what was expected of kernels, or of NumPy, but not what was seen."""
        seen = {key: each for key, each in self._experience.items() if each.known}
        self._experience = seen

    def _known(self, name: str, call: Call, with_kernels: bool) -> Experience:
        key = name, call.kind
        if key not in self._experience:
            self._experience[key] = PATHS[name].unseen(call, self._size, compiled=with_kernels)
        return self._experience[key]

    def _share(self, call: Call) -> float | None:
        """The share of all codes that clusters would compare; None if that is not known."""
        is_known = call.k is None or call.kind in self._reach
        if self._sample is None or not is_known:
            return None
        radius = call.radius if call.k is None else round(self._reach[call.kind])
        if radius not in self._shares:
            self._shares[radius] = self._sample.share(self._asked, radius)
        return self._shares[radius]
