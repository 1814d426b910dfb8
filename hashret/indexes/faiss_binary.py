"""Faiss's exact binary index behind the protocol, which hides its peculiarities.

In Faiss a radius excludes its boundary, missing answers are -1, the choice among rows at the k-th
distance is arbitrary, and an empty index or radius fails an assertion. Source: Douze et al.,
"The Faiss library", 2024; ``IndexBinaryFlat``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes.base import certified, check_search, check_within
from hashret.indexes.costs import Call, ExactIndex, Seen, Size
from hashret.indexes.gather import Pairs, with_ties
from hashret.indexes.scan import LazyScan, measured_linear

_LOAD_NS = 150e6  # ns of importing Faiss
_BUILD_NS = 2.0  # ns per word of 64 bits
_FEW_CODES = 1 << 13  # codes of a measurement that must fit the first-level cache


@dataclass(frozen=True, slots=True)
class FlatCosts:
    """ns of a call, of each of its queries, and of each word of 64 bits compared."""

    call: float
    query: float
    word: float


class FaissFlatIndex(ExactIndex[FlatCosts]):
    """``IndexBinaryFlat``: every query against every code, in compiled code.

    Uses as many threads as Faiss is set to. Faiss keeps a copy of the codes.
    """

    name: ClassVar[str] = "faiss-flat"
    NUMPY: ClassVar[FlatCosts] = FlatCosts(call=100e3, query=5e3, word=0.6)
    COMPILED: ClassVar[FlatCosts] = NUMPY  # it uses no kernels

    def __init__(self, codes: Codes):
        # imported here, because loading it takes longer than many a query
        from hashret.indexes.faiss_library import faiss

        super().__init__(codes)
        self._linear = LazyScan(codes)
        self._flat = faiss.IndexBinaryFlat(codes.n_bits)
        if len(codes):
            self._flat.add(codes.packed)

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves, Faiss's copy first."""
        return self._codes.packed.nbytes + self._linear.n_bytes

    @classmethod
    def expected(cls, call: Call, size: Size, costs: FlatCosts, seen: Seen) -> float:
        """The ns of comparing every code."""
        return costs.call + call.n_queries * (costs.query + costs.word * size.words)

    @classmethod
    def to_build(cls, size: Size, costs: FlatCosts) -> float:
        """The ns of loading Faiss and of its copy."""
        return _LOAD_NS + _BUILD_NS * size.words

    @classmethod
    def calibrate(cls, codes: Codes, queries: Codes, known: FlatCosts, slower: float) -> FlatCosts:
        """The costs as measured if Faiss is loaded, else the known ones times `slower`."""
        if "faiss" not in sys.modules:
            return replace(known, query=slower * known.query, word=slower * known.word)
        return FlatCosts(*measured_linear(cls(codes[:_FEW_CODES]), cls(codes), queries))

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        pairs = Pairs(self.name)
        if len(queries) and len(self):
            n_wanted = with_ties(k, len(self))
            distances, rows = self._flat.search(queries.packed, n_wanted)
            pairs.compared += len(self) * len(queries)
            everyone = np.repeat(np.arange(len(queries)), n_wanted)
            pairs.add(everyone, rows.ravel(), distances.ravel())
            kth = distances[:, k - 1]
            cut = np.flatnonzero(distances[:, -1] == kth) if n_wanted < len(self) else kth[:0]
            if len(cut):  # there may be more rows at the k-th distance than were returned
                caps = np.full(len(queries), self.n_bits)
                caps[cut] = -1
                pairs.keep_within(caps)
                if ties:
                    pairs.add_answers(self.within(queries[cut], kth[cut]), cut)
                else:  # a scan keeps only the first k, of what may be very many ties
                    pairs.add_answers(self._linear().search(queries[cut], k), cut)
        found = pairs.neighbors(len(queries), self.n_bits).first(k, ties=ties)
        return certified(found, len(self), self.n_bits)

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        radii = check_within(self._codes, queries, radius)
        pairs = Pairs(self.name)
        for each in np.unique(radii) if len(self) else ():
            same = np.flatnonzero(radii == each)
            limits, distances, rows = self._flat.range_search(queries.packed[same], int(each) + 1)
            pairs.add(np.repeat(same, np.diff(limits).astype(np.int64)), rows, distances)
            pairs.compared += len(self) * len(same)
        return pairs.neighbors(len(queries), radii)
