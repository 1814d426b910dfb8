"""Send each question to the cheapest exact path, and build a path when it has paid for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np

from hashret.codes import Codes, Neighbors, ball_size, merge
from hashret.indexes.base import BOTH, Index, check_search, check_within
from hashret.indexes.multi_index import MultiIndex
from hashret.indexes.scan import ScanIndex
from hashret.indexes.substrings import cut, work_within
from hashret.indexes.table import TableIndex

# What things cost, in ns, measured by benchmarks/search.py on one thread of a recent x86-64
# server; only their ratios matter.
_SCAN_QUERY, _SCAN_WORD = 40e3, 0.9  # a query; one 64-bit word of one code
_FLAT_CALL, _FLAT_QUERY, _FLAT_WORD = 100e3, 5e3, 0.6
_TABLE_CALL, _TABLE_QUERY, _TABLE_PROBE = 15e3, 60.0, 12.0
_MULTI_STEP, _MULTI_QUERY, _MULTI_WORK = 60e3, 500.0, 22.0  # work: a probe or a candidate
_MULTI_STEPS = 10  # that a search for the k nearest takes, more or less
_TABLE_BUILD, _MULTI_BUILD, _FLAT_BUILD = 150.0, 35.0, 2.0  # a code (and substring, and word)
_FLAT_LOAD = 150e6  # importing Faiss
# The share of queries given up before anything is known. A ball is looked for by substrings
# only if its size allows it.
_GIVEN_UP = {"search": 0.05, "within": 0.0}
_SAMPLE = 32  # queries that show whether multi-index hashing suits the data


class PlannedIndex:
    """The default: all exact paths behind one, each built on need.

    The rule: a path's cost is estimated from the number of queries and codes, the ball or the
    substrings to probe. Of the paths that stand, the cheapest answers. One that doesn't stand
    is credited what it would have saved, and built as soon as its credit covers its build: so a
    single question in a fresh process is a scan and loads nothing, a large batch builds what
    suits it at once, and no sequence of questions costs much over twice the best. Whether
    multi-index hashing suits the data is learned from how many queries it gives up.
    """

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH

    def __init__(self, codes: Codes):
        self._codes = codes
        self._parts: dict[str, Index] = {}
        self._credit = dict.fromkeys(("table", "multi-index", "faiss-flat"), 0.0)
        # the share of queries that multi-index hashing gave up lately, by the kind of question:
        # "search" and k's number of binary digits, or "within" and the radius
        self._given_up: dict[tuple[str, int], float] = {}
        self._builders: dict[str, Callable[[], Index]] = {
            "scan": lambda: ScanIndex(codes),
            "table": lambda: TableIndex(codes),
            "multi-index": lambda: MultiIndex(codes, linear=self._linear),
            "faiss-flat": self._build_flat,
        }
        self._cut = cut(codes.n_bits, len(codes))
        #: the name of the path that answered last, for whoever wants to explain
        self.last_path = ""

    @classmethod
    def build(cls, codes: Codes) -> Self:
        """Plan over these codes; nothing is built yet."""
        return cls(codes)

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self._codes.n_bits

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves, by what is built so far."""
        return sum(part.n_bytes for part in self._parts.values())

    @property
    def built(self) -> frozenset[str]:
        """The names of the paths that stand."""
        return frozenset(self._parts)

    def __len__(self) -> int:
        return len(self._codes)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        kind = ("search", k.bit_length())
        costs = self._linear_costs(len(queries))
        base = _MULTI_STEPS * (_MULTI_STEP + len(queries) * 4 * _MULTI_QUERY)
        costs["multi-index"] = base + self._lost(kind, len(queries))
        index = self._choose(costs)
        known = kind in self._given_up or len(queries) <= _SAMPLE
        if known or not isinstance(index, MultiIndex):
            return self._learn(kind, index.search(queries, k, ties=ties))
        found = self._learn(kind, index.search(queries[:_SAMPLE], k, ties=ties))
        return merge([found, self.search(queries[_SAMPLE:], k, ties=ties)])

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        radii = check_within(self._codes, queries, radius)
        widest = int(radii.max()) if len(radii) else 0
        index = self._choose(self._within_costs(len(queries), widest))
        return self._learn(("within", widest), index.within(queries, radii))

    def _within_costs(self, n_queries: int, radius: int) -> dict[str, float]:
        costs = self._linear_costs(n_queries)
        ball = ball_size(self.n_bits, radius)
        if 10 * ball <= len(self):
            costs["table"] = _TABLE_CALL + n_queries * (_TABLE_QUERY + ball * _TABLE_PROBE)
        work = work_within(self._cut, len(self), radius)
        if 60 * work <= len(self):
            each = _MULTI_QUERY * (radius + 1) + _MULTI_WORK * work
            base = _MULTI_STEP * (radius + 1) + n_queries * each
            costs["multi-index"] = base + self._lost(("within", radius), n_queries)
        return costs

    def _lost(self, kind: tuple[str, int], n_queries: int) -> float:
        """What multi-index hashing is expected to lose on the queries that it gives up."""
        standing = self._linear_costs(n_queries)
        linear = standing["faiss-flat" if "faiss-flat" in self._parts else "scan"]
        budget = n_queries * _MULTI_WORK * len(self) / 60
        return self._given_up.get(kind, _GIVEN_UP[kind[0]]) * (budget + linear)

    def _learn(self, kind: tuple[str, int], found: Neighbors) -> Neighbors:
        """Note the share of queries given up, which shows in their comparing every code."""
        if self.last_path == "multi-index" and len(found) and len(self):
            share = min(1.0, found.compared / (len(found) * len(self)))
            self._given_up[kind] = 0.5 * (self._given_up.get(kind, share) + share)
        return found

    def _linear_costs(self, n_queries: int) -> dict[str, float]:
        words = -(-self.n_bits // 64) * len(self)
        return {
            "scan": n_queries * (_SCAN_QUERY + _SCAN_WORD * words),
            "faiss-flat": _FLAT_CALL + n_queries * (_FLAT_QUERY + _FLAT_WORD * words),
        }

    def _build_cost(self, name: str) -> float:
        n = len(self)
        if name == "table":
            return _TABLE_BUILD * n
        if name == "multi-index":
            return _MULTI_BUILD * n * len(self._cut)
        return _FLAT_LOAD + _FLAT_BUILD * n * -(-self.n_bits // 64)

    def _choose(self, costs: dict[str, float]) -> Index:
        """The path to take, built if it is not yet and has earned it."""
        standing = [name for name in costs if name == "scan" or name in self._parts]
        best = min(standing, key=costs.__getitem__)
        gains = {name: costs[best] - costs[name] for name in costs if name not in standing}
        earned = []
        for name, gain in gains.items():
            self._credit[name] += max(0.0, gain)
            if gain > 0 and self._credit[name] >= self._build_cost(name):
                earned.append(name)
        self.last_path = max(earned, key=gains.__getitem__, default=best)
        return self._part(self.last_path)

    def _part(self, name: str) -> Index:
        if name not in self._parts:
            self._parts[name] = self._builders[name]()
        return self._parts[name]

    def _linear(self) -> Index:
        """What answers the queries that multi-index hashing gives up."""
        return self._part("faiss-flat" if "faiss-flat" in self._parts else "scan")

    def _build_flat(self) -> Index:
        # only here: loading Faiss takes longer than many a question
        from hashret.indexes.faiss_binary import FaissFlatIndex

        return FaissFlatIndex(self._codes)
