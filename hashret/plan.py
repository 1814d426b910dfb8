"""How a question was answered: by which path, with how much work, and how completely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Plan:
    """How one query, or a batch of queries, was answered; all numbers are for the whole batch."""

    path: str
    """The indexes that answered (`hashret.indexes.INDEXES`), joined by " + ". "by score" is a
    comparison with every code, "by confidence" opens buckets in the order of their score."""
    n_tables: int
    """The number of hash tables of the path."""
    probed: int
    """The number of look-ups in hash tables or cells."""
    compared: int
    """The number of codes that were compared with a query."""
    n_items: int
    """The number of items that were searched."""
    n_queries: int
    kernels: bool
    """Whether hashret's compiled kernels were used, and not NumPy; Faiss is neither."""
    seconds: float
    """Wall-clock time of the search, without encoding and without reading records."""
    proved: int
    """The answer is proved complete within so many bits, inclusive; -1 if nothing is proved. For
    the path "by confidence", 0 says that the hits are the best by score, -1 that the budget of
    probes was used up first."""

    def __str__(self) -> str:
        tables = f", {self.n_tables} table{'s' * (self.n_tables != 1)}" if self.n_tables else ""
        code = "compiled" if self.kernels else "NumPy"
        by = "" if self.path.startswith("faiss") else f" ({code})"
        if self.path == "by score":
            proved = "every code compared"
        elif self.path == "by confidence":
            proved = "proved to be the best by score" if self.proved >= 0 else "may miss some"
        elif self.proved >= 0:
            proved = f"complete within {self.proved} bits"
        else:
            proved = "not proved to be complete"
        of = f" for {self.n_queries} queries together" if self.n_queries != 1 else ""
        return (
            f"path: {self.path}{tables}{by}; {self.probed:,} probes, {self.compared:,} "
            f"comparisons among {self.n_items:,} items, {1e3 * self.seconds:.2f} ms{of}; {proved}"
        )

    def to_json(self) -> dict[str, Any]:
        """The plan as a JSON object; its keys are stable."""
        return {
            "path": self.path,
            "tables": self.n_tables,
            "probes": self.probed,
            "compared": self.compared,
            "items": self.n_items,
            "queries": self.n_queries,
            "kernels": self.kernels,
            "seconds": round(self.seconds, 6),
            "complete_radius": self.proved,
        }
