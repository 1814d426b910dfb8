"""Coordinate descent over settings within a time limit, one step at a time from the default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from indexer.training.recipe import Knobs
from indexer.tuning.settings import Setting


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time limit, counted from a moment on."""

    seconds: float
    began: float
    """The time of `time.monotonic` from which it counts."""

    @classmethod
    def within(cls, seconds: float) -> Deadline:
        """A time limit of so many seconds from now."""
        return cls(seconds, monotonic())

    @property
    def spent(self) -> float:
        """The seconds since it was set."""
        return monotonic() - self.began

    @property
    def left(self) -> float:
        """The seconds that are left; negative after the deadline."""
        return self.seconds - self.spent


class OutOfTimeError(Exception):
    """A measurement was stopped at the deadline."""


#: A function that returns the quality of a setting; larger is better. Raises OutOfTimeError.
Measure = Callable[[Setting], float]


@dataclass(slots=True)
class Search:
    """The search for the best setting in a space.

    A step is taken only if it improves the quality by the share `margin`, because a smaller
    improvement may be chance. The time of a setting is predicted from the others', and no setting
    is tried that would not finish before the deadline.
    """

    space: Knobs
    measure: Measure
    deadline: Deadline
    margin: float
    measured: dict[Setting, float] = field(default_factory=dict)
    """The quality of each setting that was tried."""
    _seconds_per_cost: float = 0.0

    def run(self, default: Setting) -> tuple[Setting, list[Setting]]:
        """The best setting, and those one step away that there was no time to try."""
        best = default
        if self._quality(best) is None:
            return best, [best, *best.beside(self.space)]
        while (better := self._round(best)) != best:
            best = better
        return best, [one for one in best.beside(self.space) if one not in self.measured]

    def _round(self, best: Setting) -> Setting:
        """The best setting after steps along each coordinate in turn."""
        for name, values in self.space.items():
            for path in best.steps(name, values):
                reached = self._along(path, best)
                if reached != best:  # an improvement; the other direction is not tried
                    best = reached
                    break
        return best

    def _along(self, path: tuple[Setting, ...], best: Setting) -> Setting:
        """The last setting on a path up to which every step is better than the one before."""
        for setting in path:
            quality = self._quality(setting)
            least = self.measured[best] + self.margin * abs(self.measured[best])
            if quality is None or not quality > least:  # NaN is not better
                break
            best = setting
        return best

    def _quality(self, setting: Setting) -> float | None:
        """The quality of a setting, measured only once; None if there is not enough time."""
        if setting not in self.measured:
            if self.deadline.left <= self._seconds_per_cost * setting.cost:
                return None
            before = self.deadline.spent
            try:
                self.measured[setting] = self.measure(setting)
            except OutOfTimeError:
                return None
            seconds_per_cost = (self.deadline.spent - before) / setting.cost
            self._seconds_per_cost = max(self._seconds_per_cost, seconds_per_cost)
        return self.measured[setting]
