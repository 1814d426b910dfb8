"""How are numbers drawn? Curves over an axis, and bars, each a `Drawing` with its scales."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hashret.insight.colours import CATEGORIES
from hashret.insight.drawing import Drawing

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 40, 44
#: Height of a line of the legend.
_ROW = 18
#: Marks on an axis, about.
_TICKS = 6


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: what it measures, and from where to where."""

    name: str
    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value is, 0 to 1."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[float]:
        """Round values along the axis."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            every = [one * 10.0**power for power in powers for one in (1, 2, 5)]
            every = [tick for tick in every if self.low <= tick <= self.high]
            return every if len(every) <= 2 * _TICKS else every[::3]
        rough = (self.high - self.low) / _TICKS or 1.0
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(one * power for one in (1, 2, 5, 10) if one * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [step * number for number in range(first, last + 1)]


#: A curve: its x and y.
Curve = tuple[Sequence[float], Sequence[float]]


def curves(title: str, x: Axis, y: Axis, lines: Mapping[str, Curve]) -> Drawing:
    """A drawing of curves by name, with a legend where there are several."""
    n_rows = len(lines) if len(lines) > 1 else 0
    drawing = Drawing(_WIDTH, _HEIGHT + n_rows * _ROW, title)
    at = _frame(drawing, x, y)
    for number, (name, (xs, ys)) in enumerate(lines.items()):
        colour = CATEGORIES[number % len(CATEGORIES)]
        points = [at(*point) for point in zip(xs, ys, strict=True)]
        drawing.line(points, colour, 2.0)
        drawing.dots(np.array(points[-1:]).reshape(-1, 2), colour, 2.5)
        if n_rows:
            row = _HEIGHT + (number + 0.25) * _ROW
            drawing.line([(_LEFT, row), (_LEFT + 24, row)], colour, 3.0)
            drawing.text(_LEFT + 32, row, name)
    return drawing


def bars(title: str, x: Axis, y: Axis, edges: Sequence[float], heights: Sequence[float]) -> Drawing:
    """A drawing of n bars, which stand between the n + 1 `edges` on the x axis."""
    drawing = Drawing(_WIDTH, _HEIGHT, title)
    at = _frame(drawing, x, y)
    for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
        (x1, top), (x2, bottom) = at(left, height), at(right, y.low)
        if height > y.low:
            gap = 1.0 if x2 - x1 > 4 else 0.0
            drawing.rect(x1, top, max(0.5, x2 - x1 - gap), bottom - top, CATEGORIES[0])
    return drawing


def _frame(drawing: Drawing, x: Axis, y: Axis) -> Callable[[float, float], tuple[float, float]]:
    """Draw the title, the axes and their marks; from values to pixels."""

    def at(value: float, height: float) -> tuple[float, float]:
        column = _LEFT + x.share(value) * (_WIDTH - _LEFT - _RIGHT)
        return column, _HEIGHT - _BOTTOM - y.share(height) * (_HEIGHT - _TOP - _BOTTOM)

    drawing.text(_LEFT, 16, drawing.title, size=14)
    for tick in y.ticks():
        _, row = at(x.low, tick)
        drawing.line([(_LEFT, row), (_WIDTH - _RIGHT, row)], "line")
        drawing.text(_LEFT - 6, row, f"{tick:.6g}", anchor="end", colour="quiet", size=11)
    for tick in x.ticks():
        column, foot = at(tick, y.low)
        drawing.line([(column, foot), (column, foot + 4)], "quiet")
        drawing.text(column, foot + 14, f"{tick:.6g}", anchor="middle", colour="quiet", size=11)
    foot = at(x.low, y.low)[1]
    drawing.line([(_LEFT, foot), (_WIDTH - _RIGHT, foot)], "quiet")
    drawing.text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, x.name, anchor="middle", size=12)
    if y.name:
        drawing.text(_WIDTH - _RIGHT, 16, y.name, anchor="end", colour="quiet", size=12)
    return at
