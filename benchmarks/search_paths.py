"""Everything that answers questions about the same codes: hashret's paths and their peers.

A path is built when it is first asked for; how long that took and what memory it added are kept.
The graphs of Faiss and usearch, which take minutes a million, are kept in a folder between runs.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log2
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks import environment
from hashret.arguments import resolve
from hashret.codes import Codes
from hashret.indexes import INDEXES

#: hashret's own paths, by the names of `hashret.indexes.INDEXES`.
OWN = ("auto", "table", "multi-index", "clusters", "scan")

Ask = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Built:
    """What it took to build a path: seconds of one thread, and bytes an item of memory."""

    seconds: float
    bytes_per_item: float


@dataclass(slots=True)
class Held:
    """One of hashret's indexes, which may change for another over the same codes."""

    index: Any


class Paths:
    """All paths over one array of codes, (n, n_bits // 8) uint8."""

    def __init__(self, packed: np.ndarray, *, graphs: Path | None = None):
        """`graphs` (a folder for these codes alone) keeps what takes minutes to build."""
        self.packed = packed
        self.n, self.n_bits = len(packed), 8 * packed.shape[1]
        self.codes = Codes(packed)
        self.built: dict[str, Built] = {}
        self._graphs = graphs
        self._indexes: dict[str, Any] = {}
        self._held: dict[str, Held] = {}

    def held(self, name: str) -> Held:
        """One of hashret's indexes, until `share` puts the planner's own in its place."""
        if name not in self._held:
            self._held[name] = Held(self.own(name))
        return self._held[name]

    def share(self) -> None:
        """Hold what the planner has built: where an index lies in memory makes a tenth of its time,
        which says nothing of the choice."""
        auto = self.own("auto")
        for name in auto.built & self._held.keys():
            self._held[name].index = auto.part(name)

    def own(self, name: str) -> Any:
        """One of hashret's indexes."""
        if name not in self._indexes:
            build = resolve(INDEXES, name, "index").build
            self._indexes[name] = self._timed(name, lambda: build(self.codes))
        return self._indexes[name]

    def _timed(self, name: str, build: Callable[[], Any]) -> Any:
        before = environment.resident_bytes()
        start = time.process_time()
        built = build()
        seconds = time.process_time() - start
        held = environment.resident_bytes() - before
        if isinstance(getattr(built, "n_bytes", None), int):
            held = built.n_bytes
        self.built[name] = Built(seconds, held / self.n)
        return built

    def _faiss(self, name: str, kind: Any, *arguments: int) -> Any:
        def build() -> Any:
            index = kind(self.n_bits, *arguments)
            index.add(self.packed)
            return index

        return self._timed(name, build)

    @cached_property
    def flat(self) -> Any:
        """Faiss Flat, the comparison of every code."""
        return self._faiss("Faiss Flat", faiss.IndexBinaryFlat)

    @property
    def hash_bits(self) -> tuple[int, ...]:
        """The first bits by which Faiss Hash is asked to address: its paper size, and log2 n."""
        return tuple(sorted({min(32, self.n_bits), min(self._digits, self.n_bits)}))

    def hash(self, b: int, nflip: int) -> Any:
        """Faiss Hash over the first b bits, told how many to flip."""
        name = f"Faiss Hash, b={b}"
        if name not in self._indexes:
            self._indexes[name] = self._faiss(name, faiss.IndexBinaryHash, b)
        self._indexes[name].nflip = min(nflip, b)
        return self._indexes[name]

    @property
    def _digits(self) -> int:
        return max(8, round(log2(self.n)) + 1)

    @cached_property
    def n_hashes(self) -> int:
        """Tables of Faiss MultiHash."""
        return max(1, self.n_bits // min(self._digits, self.n_bits))

    @cached_property
    def multi_hash(self) -> Any:
        """Faiss MultiHash over all bits."""
        b = min(self._digits, self.n_bits)
        return self._faiss("Faiss MultiHash", faiss.IndexBinaryMultiHash, self.n_hashes, b)

    @cached_property
    def ivf(self) -> Any:
        """Inverted lists, about as many as the square root of n; a sixty-fourth of them is read."""

        def build() -> Any:
            nlist = min(1 << round(log2(self.n) / 2), max(1, self.n // 39))
            quantizer = faiss.IndexBinaryFlat(self.n_bits)
            index = faiss.IndexBinaryIVF(quantizer, self.n_bits, nlist)
            index.cp.max_points_per_centroid = 64  # a quarter of the default, for time
            index.train(self.packed)
            index.add(self.packed)
            index.nprobe = max(1, nlist // 64)
            return index

        return self._timed("Faiss IVF", build)

    @cached_property
    def graph(self) -> Any:
        """Faiss HNSW, M = 16, efSearch = 64."""

        def build() -> Any:
            index = faiss.IndexBinaryHNSW(self.n_bits, 16)
            index.add(self.packed)
            return index

        index = self._kept(
            "Faiss HNSW",
            "faiss",
            build,
            lambda index, path: faiss.write_index_binary(index, path),
            faiss.read_index_binary,
        )
        index.hnsw.efSearch = 64
        return index

    @cached_property
    def usearch_graph(self) -> Any:
        """usearch's HNSW with its defaults."""
        from usearch.index import Index, MetricKind

        def build() -> Any:
            index = Index(ndim=self.n_bits, metric=MetricKind.Hamming, dtype="b1")
            index.add(np.arange(self.n), self.packed, threads=1)
            return index

        return self._kept(
            "usearch HNSW",
            "usearch",
            build,
            lambda index, path: index.save(path),
            lambda path: Index.restore(path, view=False),
        )

    def _kept(
        self,
        name: str,
        suffix: str,
        build: Callable[[], Any],
        write: Callable[[Any, str], Any],
        read: Callable[[str], Any],
    ) -> Any:
        """What an earlier run kept, with what building it took then; else built, and kept."""
        if self._graphs is None:
            return self._timed(name, build)
        path, about = self._graphs / f"graph.{suffix}", self._graphs / f"graph.{suffix}.txt"
        if about.exists():
            self.built[name] = Built(*map(float, about.read_text(encoding="utf-8").split()))
            return read(str(path))
        index = self._timed(name, build)
        self._graphs.mkdir(parents=True, exist_ok=True)
        write(index, str(path))
        took = self.built[name]
        about.write_text(f"{took.seconds} {took.bytes_per_item}", encoding="utf-8")
        return index

    def usearch_exact(self, queries: np.ndarray, k: int) -> Any:
        """usearch's comparison of every code."""
        from usearch.index import MetricKind, search

        kind = MetricKind.Hamming
        return search(self.packed, queries, k, kind, exact=True, threads=1)

    @cached_property
    def dict(self) -> dict[bytes, list[int]]:
        """A Python dict of lists of rows."""

        def build() -> dict[bytes, list[int]]:
            rows: dict[bytes, list[int]] = {}
            for row, code in enumerate(as_bytes(self.packed)):
                rows.setdefault(code, []).append(row)
            return rows

        return self._timed("dict", build)

    @cached_property
    def sqlite(self) -> sqlite3.Connection:
        """A table in memory with an index on the code: an integer, or a blob above 64 bits."""

        def build() -> sqlite3.Connection:
            connection = sqlite3.connect(":memory:")
            kind = "INTEGER" if self.n_bits <= 64 else "BLOB"
            connection.execute(f"CREATE TABLE codes (n INTEGER PRIMARY KEY, code {kind})")
            rows = enumerate(self.as_values(self.packed))
            connection.executemany("INSERT INTO codes VALUES (?, ?)", rows)
            connection.execute("CREATE INDEX by_code ON codes (code)")
            return connection

        return self._timed("SQLite", build)

    def as_values(self, packed: np.ndarray) -> list[Any]:
        """Codes as SQLite holds them."""
        if self.n_bits > 64:
            return as_bytes(packed)
        return Codes(packed).words[:, 0].view(np.int64).tolist()

    def sqlite_buckets(self, queries: np.ndarray) -> list[Any]:
        """The rows of each query's code, one statement each."""
        ask = self.sqlite.execute
        text = "SELECT n FROM codes WHERE code = ?"
        return [ask(text, (value,)).fetchall() for value in self.as_values(queries)]


def as_bytes(packed: np.ndarray) -> list[bytes]:
    """Each code as bytes."""
    return [code.tobytes() for code in packed]
