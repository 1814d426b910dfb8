"""How a question was answered: by which path, with how much work, how certain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Plan:
    """How one question, or some asked together, were answered.

    `path` names the ways taken (`hashret.indexes.INDEXES`; several joined by " + "), "by score"
    for a comparison with every code, "by confidence" for probes in the order of doubt. `n_tables`
    are the hash tables of the path, `probed` the look-ups in them and `compared` the codes
    compared in full, among `n_items`; they and `seconds`, wall-clock time of the search alone, are
    of all `n_queries` together. `kernels`: hashret's compiled code did it, not NumPy (Faiss is
    neither). `proved`: every item within so
    many bits (inclusive) was considered; -1 if that is not known. By confidence 0 says that the
    hits are the first by score, -1 that the probes ran out.
    """

    path: str
    n_tables: int
    probed: int
    compared: int
    n_items: int
    n_queries: int
    kernels: bool
    seconds: float
    proved: int

    def __str__(self) -> str:
        tables = f", {self.n_tables} table{'s' * (self.n_tables != 1)}" if self.n_tables else ""
        code = "compiled" if self.kernels else "NumPy"
        by = "" if self.path.startswith("faiss") else f" ({code})"
        if self.path == "by score":
            proved = "every code compared"
        elif self.path == "by confidence":
            proved = "surely the first by score" if self.proved >= 0 else "may miss some"
        else:
            proved = f"complete within {self.proved} bits" if self.proved >= 0 else "not proved"
        of = f" for {self.n_queries} queries together" if self.n_queries != 1 else ""
        return (
            f"path: {self.path}{tables}{by}; {self.probed:,} probes, {self.compared:,} "
            f"comparisons among {self.n_items:,} items, {1e3 * self.seconds:.2f} ms{of}; {proved}"
        )

    def to_json(self) -> dict[str, Any]:
        """The same under stable keys."""
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
