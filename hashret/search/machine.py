"""What this machine knows from earlier searches: large hash tables, and what searching costs.

Both are kept in the user's cache folder, for the next process.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.indexes import kernels
from hashret.indexes.planner import calibration, cost_model
from hashret.indexes.table.index import TableIndex
from hashret.store.machine_cache import read_arrays, read_costs, write_arrays, write_costs

#: Number of codes from which on a table is kept; a smaller one is built in a tenth of a second.
MANY = 1 << 20
_LAYOUT = 1  # version of the layout, part of the name: tables of other versions are ignored


def table_of(codes: Codes) -> TableIndex:
    """The table of these codes; with `MANY` or more it is kept under a digest of the codes.

    What is kept is read only if each of its bytes is as it was written (`read_arrays`), so damage
    costs time but never a wrong answer. If the cache folder can't be read or written, the table is
    built.
    """
    if len(codes) < MANY:
        return TableIndex(codes)
    name = f"table-{_LAYOUT}-{codes.n_bits}-{sha256(codes.packed.data).hexdigest()}"
    if kept := read_arrays(name):
        with suppress(DamagedError):
            return TableIndex.from_tensors(codes, kept)
    built = TableIndex(codes)
    write_arrays(name, built.tensors())
    return built


_CALIBRATE_AFTER = 5.0
"""Seconds of searching after which costs are measured, which takes a second and then pays off."""


class SearchCosts:
    """Gives the planner the costs of this machine, measured once enough is searched to pay off."""

    def __init__(self) -> None:
        self._searched = 0.0  # seconds of searching since the costs were last looked up
        self._has_searched = False
        self._looked_for: set[bool] = set()  # True: costs with kernels; False: without

    def use_known(self, n_queries: int) -> None:
        """Before a search, load the costs that an earlier process measured, if there are any.

        A first single query needs no costs, because it is answered by a scan.
        """
        if n_queries > 1 or self._has_searched:
            self._know(measure=False)
        self._has_searched = True

    def spent(self, seconds: float) -> None:
        """Count seconds of searching; after `_CALIBRATE_AFTER` of them, measure the costs."""
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
