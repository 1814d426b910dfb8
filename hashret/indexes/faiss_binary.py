"""Faiss's exact binary index behind the protocol; its peculiarities end here.

Faiss's radii exclude their boundary, missing answers are -1, which of several rows at the k-th
distance come back is arbitrary, and an empty index or radius asserts. Source: Douze et al.,
"The Faiss library", 2024; ``IndexBinaryFlat``.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes.base import BOTH, OverCodes, certified, check_search, check_within
from hashret.indexes.faiss_library import faiss
from hashret.indexes.gather import Pairs
from hashret.indexes.scan import ScanIndex

# so many rows more than asked for show in most cases that no tie was cut
_MORE = 50


class FaissFlatIndex(OverCodes):
    """``IndexBinaryFlat``: every query against every code, in compiled code.

    Uses as many threads as Faiss is set to. Faiss keeps a copy of the codes.
    """

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH
    path: ClassVar[str] = "faiss-flat"

    def __init__(self, codes: Codes):
        super().__init__(codes)
        self._scan: ScanIndex | None = None
        self._flat = faiss.IndexBinaryFlat(codes.n_bits)
        if len(codes):
            self._flat.add(codes.packed)

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves, Faiss's copy first."""
        return self._codes.packed.nbytes + (self._scan.n_bytes if self._scan else 0)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        pairs = Pairs()
        if len(queries) and len(self):
            asked = min(len(self), k + _MORE)
            distances, rows = self._flat.search(queries.packed, asked)
            pairs.compared += len(self) * len(queries)
            everyone = np.repeat(np.arange(len(queries)), asked)
            pairs.add(everyone, rows.ravel(), distances.ravel())
            kth = distances[:, k - 1]
            cut = np.flatnonzero(distances[:, -1] == kth) if asked < len(self) else kth[:0]
            if len(cut):  # more rows may lie at the k-th distance than came back
                caps = np.full(len(queries), self.n_bits)
                caps[cut] = -1
                pairs.keep_within(caps)
                if ties:
                    pairs.add_answers(self.within(queries[cut], kth[cut]), cut)
                else:  # the first k of perhaps very many ties: a scan keeps no more than these
                    pairs.add_answers(self._linear.search(queries[cut], k), cut)
        found = pairs.neighbors(len(queries), self.n_bits).first(k, ties=ties)
        return certified(found, len(self), self.n_bits)

    @property
    def _linear(self) -> ScanIndex:
        if self._scan is None:
            self._scan = ScanIndex(self._codes)
        return self._scan

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        radii = check_within(self._codes, queries, radius)
        pairs = Pairs()
        for each in np.unique(radii) if len(self) else ():
            asked = np.flatnonzero(radii == each)
            limits, distances, rows = self._flat.range_search(queries.packed[asked], int(each) + 1)
            pairs.add(np.repeat(asked, np.diff(limits).astype(np.int64)), rows, distances)
            pairs.compared += len(self) * len(asked)
        return pairs.neighbors(len(queries), radii)
