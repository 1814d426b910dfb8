"""The protocol of an index, the table of all indexes, and the checks that they share."""

from __future__ import annotations

from operator import index as as_integer
from typing import ClassVar, Protocol, Self

import numpy as np

from hashret.codes import Codes, Neighbors, require_same_bits
from hashret.items import Approximation

#: The class of each exact index, by name; `hashret.arguments.resolve` imports it on first use.
INDEXES = {
    "auto": "hashret.indexes.planner.planner:PlannedIndex",
    "clusters": "hashret.indexes.clusters:ClusterIndex",
    "faiss-flat": "hashret.indexes.faiss_binary:FaissFlatIndex",
    "multi-index": "hashret.indexes.multi_index.index:MultiIndex",
    "scan": "hashret.indexes.scan:ScanIndex",
    "table": "hashret.indexes.table.index:TableIndex",
}

#: The indexes among which the planner chooses; each is a `hashret.indexes.costs.ExactIndex`.
PLANNED = ("scan", "faiss-flat", "table", "multi-index", "clusters")

#: The class of each approximate index, by name; these are used only when they are named.
APPROXIMATE = {
    "faiss-hash": "hashret.indexes.faiss_approximate:FaissHashIndex",
    "faiss-hnsw": "hashret.indexes.faiss_approximate:FaissHNSWIndex",
    "faiss-ivf": "hashret.indexes.faiss_approximate:FaissIVFIndex",
    "faiss-multihash": "hashret.indexes.faiss_approximate:FaissMultiHashIndex",
}


class Index(Protocol):
    """A search structure over fixed codes; a row is a position in these codes.

    `exact` promises that the answers are those of a full comparison, ties included. `supports`
    names the questions that the index answers: "search", "within" or both. The answer to a query is
    ordered by (distance, row), and its `work` says how it was found. An index keeps a reference to
    its codes. The indexes of this package may be used by any number of threads at a time: if two
    build the same part on first use, one of the results is kept. An approximate index states its
    recall in the attribute `approximation` (`hashret.items.Approximation`).
    """

    exact: ClassVar[bool]
    supports: ClassVar[frozenset[str]]

    @classmethod
    def build(cls, codes: Codes) -> Self:
        """Build an index over the codes, which must not change afterwards."""
        ...

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        ...

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves."""
        ...

    def __len__(self) -> int:
        """The number of codes."""
        ...

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query by (distance, row); all rows if there are fewer.

        With `ties`, also every other row at the distance of the k-th. Raises ValueError for
        k < 1 and for queries of another length.
        """
        ...

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within `radius` bits (inclusive) of each query; 0 is the query's bucket.

        An integer array (n_queries,) gives each query its own radius. Raises ValueError for a
        negative radius and for queries of another length.
        """
        ...


class OverCodes:
    """Base class of the indexes that keep a reference to the codes they were built from."""

    def __init__(self, codes: Codes):
        self._codes = codes

    @classmethod
    def build(cls, codes: Codes) -> Self:
        """Build an index over the codes, with default parameters."""
        return cls(codes)

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self._codes.n_bits

    def __len__(self) -> int:
        return len(self._codes)


def approximation_of(index: Index) -> Approximation | None:
    """The recall that an approximate index states for its answers; None for an exact index."""
    if index.exact:
        return None
    said = getattr(index, "approximation", None)
    return said if isinstance(said, Approximation) else Approximation(type(index).__name__)


BOTH = frozenset({"search", "within"})


def check_search(codes: Codes, queries: Codes, k: int) -> int:
    """The smaller of k and the number of codes, but at least 1.

    Raises ValueError or TypeError for a wrong call.
    """
    require_same_bits(codes, queries)
    k = as_integer(k)
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}; ask for one row or more")
    return max(1, min(k, len(codes.packed)))


def check_within(codes: Codes, queries: Codes, radius: int | np.ndarray) -> np.ndarray:
    """The radius of each query, (n_queries,) int64 cut at n_bits.

    Raises ValueError or TypeError for a wrong call.
    """
    require_same_bits(codes, queries)
    if type(radius) is int and radius >= 0:  # a single question: a tenth of the time
        return np.full(len(queries), min(radius, codes.n_bits), np.int64)
    radii = np.asarray(radius)
    if radii.dtype.kind not in "iu":
        # an empty list of radii is float64 to NumPy
        if radii.size:
            raise TypeError(
                f"radius: expected an integer or an array of them, got {radii.dtype}; "
                "count whole bits"
            )
        radii = radii.astype(np.int64)
    if radii.shape not in ((), (len(queries),)):
        raise ValueError(
            f"radius: expected one number or shape ({len(queries)},), got {radii.shape}; "
            "give one radius for all queries or one for each"
        )
    if radii.size and radii.min() < 0:
        raise ValueError(
            f"radius: expected 0 bits or more, got {radii.min()}; a radius includes its boundary"
        )
    radii = np.minimum(radii, codes.n_bits).astype(np.int64)
    return np.full(len(queries), radii) if radii.shape == () else radii


def certified(found: Neighbors, n: int, n_bits: int) -> Neighbors:
    """The same answers, of the k nearest among n rows, with their complete radius.

    It is the distance of an answer's last row, or n_bits if the answer holds every row.
    """
    lengths = np.diff(found.limits)
    radius = np.full(len(found), n_bits, np.int32)
    cut = np.flatnonzero(lengths < n)
    radius[cut] = found.distances[found.limits[cut + 1] - 1]
    return Neighbors(found.limits, found.rows, found.distances, radius, found.work)
