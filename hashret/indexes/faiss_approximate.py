"""Faiss's approximate binary indexes behind the protocol: HNSW, IVF, Hash and MultiHash.

They answer the k nearest and may miss some. Their recall is measured on the codes at hand: some
codes are left out while an index is built, used as queries, compared with the true neighbours, and
only then added. Sources: Malkov, Yashunin, "Efficient and robust approximate nearest neighbor
search using hierarchical navigable small world graphs", TPAMI 2020 (HNSW); Jegou, Douze, Schmid,
"Product quantization for nearest neighbor search", TPAMI 2011 (inverted lists); Norouzi, Punjani,
Fleet, "Fast exact search in Hamming space with multi-index hashing", TPAMI 2014 (MultiHash);
Douze et al., "The Faiss library", 2024.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import isqrt
from threading import Lock
from typing import Any, ClassVar

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes.base import OverCodes, check_search
from hashret.indexes.faiss_library import faiss
from hashret.indexes.gather import Pairs, with_ties
from hashret.indexes.scan import LazyScan
from hashret.items import Approximation

RECALL_AT = 10
"""Recall is measured among so many nearest, as recall@10 is among 10."""

_HELD_OUT = 256  # codes left out to measure recall: standard error .03 at worst


class FaissApproximateIndex(OverCodes, ABC):
    """Base class of the four approximate indexes.

    Every distance is exact, no row comes twice, and an answer has k rows if there are k codes: if
    Faiss finds fewer, every code is compared. With `ties`, those ties are added that Faiss happened
    to find. `Neighbors.complete_radius` is -1, and the work that Faiss does is not counted. Faiss
    uses as many threads as it is set to.
    """

    exact: ClassVar[bool] = False
    supports: ClassVar[frozenset[str]] = frozenset({"search"})
    name: ClassVar[str]

    def __init__(self, codes: Codes, *, seed: int = 0):
        """Build over codes, which must not change afterwards; `seed` chooses those left out."""
        if len(codes) >= 1 << 31:
            raise ValueError(
                f"codes: expected fewer than 2**31, got {len(codes)}; index them in parts"
            )
        super().__init__(codes)
        self._linear = LazyScan(codes)
        n_held = min(_HELD_OUT, len(codes) // 4)
        held = np.random.default_rng(seed).choice(len(codes), n_held, replace=False)
        kept = np.delete(np.arange(len(codes), dtype=np.int32), held)
        self._row_of = np.concatenate([kept, np.sort(held).astype(np.int32)])
        self._faiss: Any = None
        recall = None
        if len(codes):
            known = codes.packed[kept]
            self._faiss = self._trained(known)
            self._faiss.add(known)
            if n_held:
                queries = codes.packed[self._row_of[len(kept) :]]
                recall = self._recall(known, queries)
                self._faiss.add(queries)
        #: the name of the index, its parameters and its measured recall
        self.approximation = Approximation(
            self.name, self.parameters, recall, min(RECALL_AT, len(kept)), n_held
        )

    @property
    @abstractmethod
    def parameters(self) -> dict[str, int]:
        """Faiss's parameters by Faiss's names."""

    @abstractmethod
    def _trained(self, codes: np.ndarray) -> Any:
        """An empty Faiss index, ready for codes like these (n, n_bytes) uint8."""

    @abstractmethod
    def _structure_bytes(self) -> int:
        """Bytes that Faiss holds besides codes and row numbers."""

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves; Faiss's part is estimated."""
        held = self._row_of.nbytes + self._linear.n_bytes
        if self._faiss is None:
            return held
        return held + self._codes.packed.nbytes + self._structure_bytes()

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """k rows near each query, probably the nearest, by (distance, row)."""
        k = check_search(self._codes, queries, k)
        wanted = with_ties(k, len(self))
        pairs = Pairs(self.name)
        if len(queries) and wanted == len(self):  # all codes are wanted: nothing can be gained
            pairs.add_answers(self._linear().search(queries, k, ties=ties), np.arange(len(queries)))
        elif len(queries):
            rows, distances = self._ask(queries.packed, wanted)
            found = rows >= 0
            short = np.flatnonzero(found.sum(axis=1) < k)
            found[short] = False
            query, place = np.nonzero(found)
            pairs.add(query, self._row_of[rows[query, place]], distances[query, place])
            if len(short):
                pairs.add_answers(self._linear().search(queries[short], k, ties=ties), short)
        return pairs.neighbors(len(queries), -1).first(k, ties=ties)

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """Raises ValueError: an approximate index can't promise every row within a radius."""
        raise ValueError(
            f"index: expected one that finds every row within a radius, got {self.name}; "
            "ask it for the k nearest, or use an exact index"
        )

    def _ask(self, queries: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """(n_queries, n_rows) positions in the order of adding, -1 for none, and distances."""
        distances, rows = self._faiss.search(queries, n_rows)
        return rows, distances

    def _recall(self, known: np.ndarray, queries: np.ndarray) -> float:
        """The share of the k nearest that is found; ties at the k-th distance count as good."""
        k = min(RECALL_AT, len(known))
        wanted = with_ties(k, len(known))
        flat = faiss.IndexBinaryFlat(self.n_bits)
        flat.add(known)
        farthest = flat.search(queries, k)[0][:, -1:]
        rows, distances = self._ask(queries, wanted)
        right = ((rows >= 0) & (distances <= farthest)).sum(axis=1).clip(max=k)
        right[(rows >= 0).sum(axis=1) < k] = k  # short: completed exactly
        return float(right.mean() / k)


class FaissHNSWIndex(FaissApproximateIndex):
    """``IndexBinaryHNSW``: a layered graph of neighbours, walked greedily.

    The surest of the four on codes without repetition, and the slowest to build: about two
    minutes a million.
    """

    name: ClassVar[str] = "faiss-hnsw"

    def __init__(
        self,
        codes: Codes,
        *,
        M: int | None = None,
        efConstruction: int = 40,
        efSearch: int = 64,
        seed: int = 0,
    ):
        """`M` links a node (16, or 32 above 64 bits); `efConstruction`, `efSearch` candidates."""
        default = 16 if codes.n_bits <= 64 else 32
        self._m = _at_least(2, "M", default if M is None else M)
        self._construction = _at_least(1, "efConstruction", efConstruction)
        self._search = _at_least(1, "efSearch", efSearch)
        self._asking = (
            Lock()
        )  # held while searching: efSearch is a setting of Faiss's index that a search changes
        super().__init__(codes, seed=seed)

    @property
    def parameters(self) -> dict[str, int]:
        """M, efConstruction and efSearch; a search for more rows widens efSearch to them."""
        return {"M": self._m, "efConstruction": self._construction, "efSearch": self._search}

    def _trained(self, codes: np.ndarray) -> Any:
        index = faiss.IndexBinaryHNSW(self.n_bits, self._m)
        index.hnsw.efConstruction = self._construction
        return index

    def _ask(self, queries: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        with self._asking:
            self._faiss.hnsw.efSearch = max(self._search, n_rows)
            return super()._ask(queries, n_rows)

    def _structure_bytes(self) -> int:
        hnsw = self._faiss.hnsw
        return 4 * hnsw.neighbors.size() + 8 * hnsw.offsets.size() + 4 * hnsw.levels.size()


class FaissIVFIndex(FaissApproximateIndex):
    """``IndexBinaryIVF``: codes listed by the nearest of `nlist` centroids, `nprobe` lists read.

    Small and quick to build; good where codes are clustered.
    """

    name: ClassVar[str] = "faiss-ivf"

    def __init__(
        self, codes: Codes, *, nlist: int | None = None, nprobe: int | None = None, seed: int = 0
    ):
        """`nlist`: 4 sqrt(n), but 39 codes a list or more; `nprobe`: a sixty-fourth of them."""
        enough = max(1, len(codes) // 39)  # with fewer codes a list, centroids are poor
        default = min(max(1, 4 * isqrt(len(codes))), enough)
        self._nlist = _at_least(1, "nlist", default if nlist is None else nlist)
        if self._nlist > max(1, len(codes) // 2):
            raise ValueError(
                f"nlist: expected two codes a list or more, got {self._nlist} lists for "
                f"{len(codes)} codes; take fewer"
            )
        default = max(1, self._nlist // 64)
        self._nprobe = _at_least(1, "nprobe", default if nprobe is None else nprobe)
        super().__init__(codes, seed=seed)

    @property
    def parameters(self) -> dict[str, int]:
        """nlist and nprobe."""
        return {"nlist": self._nlist, "nprobe": self._nprobe}

    def _trained(self, codes: np.ndarray) -> Any:
        index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(self.n_bits), self.n_bits, self._nlist)
        index.cp.min_points_per_centroid = 1  # else Faiss writes a warning to standard error
        index.train(codes)
        index.nprobe = min(self._nprobe, self._nlist)
        return index

    def _structure_bytes(self) -> int:
        return 8 * len(self) + self._nlist * (self.n_bits // 8 + 48)


class FaissHashIndex(FaissApproximateIndex):
    """``IndexBinaryHash``: a table over the first `b` bits, looked up at up to `nflip` flips."""

    name: ClassVar[str] = "faiss-hash"

    def __init__(self, codes: Codes, *, b: int | None = None, nflip: int = 2, seed: int = 0):
        """`b`: two bits fewer than would number the codes, at most 32."""
        self._b = _key_bits(codes, b)
        self._nflip = _at_least(0, "nflip", nflip)
        super().__init__(codes, seed=seed)

    @property
    def parameters(self) -> dict[str, int]:
        """b and nflip."""
        return {"b": self._b, "nflip": self._nflip}

    def _trained(self, codes: np.ndarray) -> Any:
        index = faiss.IndexBinaryHash(self.n_bits, self._b)
        index.nflip = min(self._nflip, self._b)
        return index

    def _structure_bytes(self) -> int:
        # an entry of the table: key, link, two vectors, and a place among the slots
        return 8 * len(self) + self._faiss.hashtable_size() * (16 + 48 + 8)


class FaissMultiHashIndex(FaissApproximateIndex):
    """``IndexBinaryMultiHash``: `nhash` tables over `b` bits each, each looked up at `nflip` flips.

    Multi-index hashing without its certificate: what it misses depends on the flips chosen.
    """

    name: ClassVar[str] = "faiss-multihash"

    def __init__(
        self,
        codes: Codes,
        *,
        nhash: int | None = None,
        b: int | None = None,
        nflip: int = 1,
        seed: int = 0,
    ):
        """`b` as for `FaissHashIndex`; `nhash`: as many tables as there are bits for."""
        self._b = _key_bits(codes, b)
        default = codes.n_bits // self._b
        self._nhash = _at_least(1, "nhash", default if nhash is None else nhash)
        if self._nhash > default:
            raise ValueError(
                f"nhash: expected at most {default} tables over {self._b} of {codes.n_bits} bits, "
                f"got {self._nhash}; take fewer, or fewer bits for each"
            )
        self._nflip = _at_least(0, "nflip", nflip)
        super().__init__(codes, seed=seed)

    @property
    def parameters(self) -> dict[str, int]:
        """nhash, b and nflip."""
        return {"nhash": self._nhash, "b": self._b, "nflip": self._nflip}

    def _trained(self, codes: np.ndarray) -> Any:
        index = faiss.IndexBinaryMultiHash(self.n_bits, self._nhash, self._b)
        index.nflip = min(self._nflip, self._b)
        return index

    def _structure_bytes(self) -> int:
        return 8 * len(self) * self._nhash + self._faiss.hashtable_size() * (16 + 24 + 8)


def _key_bits(codes: Codes, b: int | None) -> int:
    most = min(codes.n_bits, 32)
    if b is None:
        return min(max(8, len(codes).bit_length() - 2), most)
    if not 1 <= b <= most:
        raise ValueError(f"b: expected 1 to {most} bits, got {b}; take another number")
    return b


def _at_least(least: int, name: str, value: int) -> int:
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}; take more")
    return value
