"""The indexes of a snapshot: each is built on first use, and reused after small changes."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import NamedTuple

from hashret.arguments import require_call, require_name, resolve, shown
from hashret.codes import Codes
from hashret.indexes.base import APPROXIMATE, BOTH, INDEXES, Index
from hashret.indexes.planner.planner import PlannedIndex
from hashret.indexes.table.index import TableIndex
from hashret.indexes.views.delta import MAX_SHARE, UpdatedApproximateIndex, UpdatedIndex
from hashret.row_numbers import Moves, RowNumbers

#: A name in `INDEXES` or `APPROXIMATE`, or a function that builds an index from codes.
IndexKind = str | Callable[[Codes], Index]


_UNASKED = 16  # moves of the snapshot after which an index that was not used is dropped
_BUILDERS = 4  # functions whose indexes are kept: a lambda written inline is a new one each time


def require_known(kind: IndexKind) -> None:
    """Raise `UnknownKindError` for a name that is neither in `INDEXES` nor in `APPROXIMATE`.

    TypeError for what is neither a name nor a call.
    """
    if isinstance(kind, str):
        require_name(INDEXES | APPROXIMATE, kind, "index")
    else:
        require_call("index", kind)


class _Former(NamedTuple):
    """An index of former codes, their row numbers, and the moves since it was last used."""

    base: Index
    rows: RowNumbers
    n_moves: int = 0


class KeptIndexes:
    """The indexes over a snapshot's codes, and the last fully built ones of its former codes.

    The caller passes the codes and their row numbers, the same at every call. Threads may share it.
    """

    def __init__(self, table_of: Callable[[Codes], TableIndex] = TableIndex) -> None:
        """`table_of` builds hash tables over all codes, or reads them from the cache."""
        self._table_of = table_of
        # held while an index is built, so that threads do not build it twice; not while it is used
        self._building = RLock()
        self._with_table: dict[IndexKind, Callable[[Codes], Index]] = {
            "auto": lambda codes: PlannedIndex(codes, table_of),
            "table": table_of,
        }
        self._indexes: dict[IndexKind, Index] = {}
        self._bases: dict[IndexKind, _Former] = {}
        self._own_table: TableIndex | None = None  # used if no index has a table

    def of(self, kind: IndexKind, codes: Codes, rows: RowNumbers) -> Index:
        """The index of this kind over `codes`, whose row numbers are `rows`.

        Raises `UnknownKindError`.
        """
        found = self._indexes.get(kind)
        if found is None:
            with self._building:
                found = self._indexes.get(kind)
                if found is None:
                    found = self._updated(kind, codes, rows) or self._builder(kind)(codes)
                    if not hasattr(found, "exact"):  # a caller's function gave something else
                        raise TypeError(
                            "index: expected a function that gives an index of codes "
                            f"(`hashret.indexes.base.Index`), got {shown(found)} of it"
                        )
                    self._indexes = {**self._indexes, kind: found}
                    self._forget_builders()
        return found

    def _builder(self, kind: IndexKind) -> Callable[[Codes], Index]:
        if kind in self._with_table:
            return self._with_table[kind]
        known = INDEXES | APPROXIMATE
        return resolve(known, kind, "index").build if isinstance(kind, str) else kind

    def moved(self, former: RowNumbers) -> KeptIndexes:
        """The indexes for a snapshot that follows; `former` are the row numbers of this one.

        This object goes on to answer for the snapshot that it is of.
        """
        now = KeptIndexes(self._table_of)
        with self._building:
            bases = dict(self._bases)
            for kind, index in self._indexes.items():
                if isinstance(index, UpdatedIndex):
                    bases[kind] = bases[kind]._replace(n_moves=0)
                else:
                    bases[kind] = _Former(index, former)
        now._bases = {
            kind: base._replace(n_moves=base.n_moves + 1)
            for kind, base in bases.items()
            if base.n_moves < _UNASKED
        }
        return now

    def _forget_builders(self) -> None:
        """Drop the indexes of all builder functions but the last few, former ones first."""
        former = [kind for kind in self._bases if kind not in self._indexes]
        builders = [kind for kind in (*former, *self._indexes) if not isinstance(kind, str)]
        for oldest in builders[:-_BUILDERS]:
            self._indexes = {k: v for k, v in self._indexes.items() if k != oldest}
            self._bases.pop(oldest, None)

    def table(self, codes: Codes) -> TableIndex:
        """The hash table over all codes: the planner's if it is built, else one kept here."""
        planned = self._indexes.get("auto")
        if isinstance(planned, PlannedIndex):
            return planned.table
        with self._building:
            if self._own_table is None:
                self._own_table = TableIndex(codes)
            return self._own_table

    def _updated(self, kind: IndexKind, codes: Codes, rows: RowNumbers) -> Index | None:
        """The last fully built index of this kind, updated; None if it is not worth reusing."""
        if kind not in self._bases:
            return None
        base, former, _ = self._bases[kind]
        moved = Moves(former, rows)
        changed = len(former) + len(rows) - 2 * moved.n_kept
        suits = base.supports == BOTH or not base.exact
        suits = suits and base.n_bits == codes.n_bits
        if not suits or changed > MAX_SHARE * len(former):
            del self._bases[kind]  # of another model, or too much is new
            return None
        updated = UpdatedIndex if base.exact else UpdatedApproximateIndex
        return updated(base, moved, codes)
