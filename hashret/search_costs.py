"""What does searching cost on this machine: kept from an earlier run, or measured now."""

from __future__ import annotations

from dataclasses import asdict

from hashret.indexes import calibration, compiled, costs
from hashret.store.machine_costs import read_costs, write_costs

_CALIBRATE_AFTER = 5.0
"""Seconds of searching after which it is worth the second that measuring what it costs takes."""


class SearchCosts:
    """Lets the planner go by the costs of this machine, once so much is searched that it pays."""

    def __init__(self) -> None:
        self._searched = 0.0  # seconds since the costs were looked at

    def use_known(self) -> None:
        """Go by what an earlier run measured here, if one did."""
        self._know(measure=False)

    def spent(self, seconds: float) -> None:
        """Count time that searching took; after some seconds of it, measure."""
        self._searched += seconds
        if self._searched > _CALIBRATE_AFTER:
            self._searched = 0.0
            self._know(measure=True)

    def _know(self, *, measure: bool) -> None:
        kernels = compiled.loaded() is not None
        if costs.is_measured(kernels):
            return
        name = "kernels" if kernels else "numpy"
        known = calibration.from_numbers(read_costs(name))
        if known is None and measure:
            known = calibration.measure()
            write_costs(name, asdict(known))
        if known is not None:
            costs.use(known, kernels)
