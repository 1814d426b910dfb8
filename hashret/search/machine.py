"""The hash table of many codes: mapped from the user's cache folder, or built and kept there."""

from __future__ import annotations

from hashlib import sha256

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.indexes import kernels
from hashret.indexes.planner import calibration, cost_model
from hashret.indexes.table.index import TableIndex
from hashret.store.machine_cache import (
    forget_arrays,
    read_arrays,
    read_costs,
    write_arrays,
    write_costs,
)

#: Of fewer codes than this the table is built, in a fifth of a second, and not kept.
MANY = 1 << 20
_LAYOUT = 1  # part of the name: tables of another layout are not looked at


def table_of(codes: Codes) -> TableIndex:
    """The table of these codes; of `MANY` it is kept for the next process, by what they are.

    What was kept is compared with the codes, row by row: damage costs time, never answers. Where
    the cache folder can't be read or written the table is built.
    """
    if len(codes) < MANY:
        return TableIndex(codes)
    digest = sha256(codes.packed.data).hexdigest()[:32]
    name = f"table-{_LAYOUT}-{codes.n_bits}-{digest}"
    if kept := read_arrays(name):
        try:
            return TableIndex.from_tensors(codes, kept)
        except DamagedError:
            forget_arrays(name)
    built = TableIndex(codes)
    write_arrays(name, built.tensors())
    return built


_CALIBRATE_AFTER = 5.0
"""Seconds of searching after which it is worth the second that measuring what it costs takes."""


class SearchCosts:
    """Lets the planner go by the costs of this machine, once so much is searched that it pays."""

    def __init__(self) -> None:
        self._searched = 0.0  # seconds since the costs were looked at
        self._has_searched = False
        self._looked_for: set[bool] = set()  # the costs with kernels, without

    def use_known(self, n_queries: int) -> None:
        """Before a search, go by what an earlier run measured here, if one did.

        A first question alone needs no costs: it is a scan.
        """
        if n_queries > 1 or self._has_searched:
            self._know(measure=False)
        self._has_searched = True

    def spent(self, seconds: float) -> None:
        """Count time that searching took; after some seconds of it, measure."""
        self._searched += seconds
        if self._searched > _CALIBRATE_AFTER:
            self._searched = 0.0
            self._know(measure=True)

    def _know(self, *, measure: bool) -> None:
        compiled = kernels.loaded() is not None
        if cost_model.is_measured(compiled) or (compiled in self._looked_for and not measure):
            return
        self._looked_for.add(compiled)
        name = "kernels" if compiled else "numpy"
        known = cost_model.from_numbers(read_costs(name))
        if known is None and measure:
            known = calibration.measure()
            write_costs(name, cost_model.as_numbers(known))
        if known is not None:
            cost_model.use(known, compiled)
