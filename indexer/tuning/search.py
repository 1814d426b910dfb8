"""Coordinate descent over settings within a time: the default first, then one step at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from indexer.training.recipe import Knobs
from indexer.tuning.settings import Setting


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which nothing should be begun or go on."""

    seconds: float
    began: float

    @classmethod
    def within(cls, seconds: float) -> Deadline:
        """So many seconds from now."""
        return cls(seconds, monotonic())

    @property
    def spent(self) -> float:
        """Seconds since it was set."""
        return monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds that are left; below 0 where it is over."""
        return self.seconds - self.spent


class OutOfTimeError(Exception):
    """A measurement was broken off at the deadline."""


#: The quality of a setting, the larger the better; raises OutOfTimeError.
Measure = Callable[[Setting], float]


@dataclass(slots=True)
class Search:
    """The search for the best setting of a space.

    The default stands unless a step is better by the share `margin` of the quality: less is
    chance. What a setting will take is foretold from what others took, and none is begun that would
    not end in time.
    """

    space: Knobs
    measure: Measure
    deadline: Deadline
    margin: float
    measured: dict[Setting, float] = field(default_factory=dict)
    _seconds_per_cost: float = 0.0

    def run(self, default: Setting) -> tuple[Setting, list[Setting]]:
        """The best setting, and those one step from it that there was no time to measure."""
        best = default
        if self._quality(best) is None:
            return best, [best, *best.beside(self.space)]
        while (better := self._round(best)) != best:
            best = better
        return best, [one for one in best.beside(self.space) if one not in self.measured]

    def _round(self, best: Setting) -> Setting:
        """The best after a step, or several in one direction, of each value in turn."""
        for name, values in self.space.items():
            for way in best.steps(name, values):
                reached = self._along(way, best)
                if reached != best:  # then the other direction need not be tried
                    best = reached
                    break
        return best

    def _along(self, way: tuple[Setting, ...], best: Setting) -> Setting:
        for setting in way:
            found = self._quality(setting)
            least = self.measured[best] + self.margin * abs(self.measured[best])
            if found is None or not found > least:  # a quality that is no number is no better
                break
            best = setting
        return best

    def _quality(self, setting: Setting) -> float | None:
        """Measured once; None where there is not the time."""
        if setting not in self.measured:
            if self.deadline.left <= self._seconds_per_cost * setting.cost:
                return None
            before = self.deadline.spent
            try:
                self.measured[setting] = self.measure(setting)
            except OutOfTimeError:
                return None
            took = (self.deadline.spent - before) / setting.cost
            self._seconds_per_cost = max(self._seconds_per_cost, took)
        return self.measured[setting]
