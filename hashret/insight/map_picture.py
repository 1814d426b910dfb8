"""What does a map show besides places? Names, texts and colours; drawn as one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hashret.collection import Collection
from hashret.insight.code_map import CodeMap, values_of
from hashret.insight.colours import Colouring, coloured
from hashret.insight.drawing import Drawing

_SIDE, _MARGIN, _HEAD, _LEGEND, _ROW = 720, 16, 56, 240, 20
#: Letters of the name of a value that the legend has room for.
_LETTERS = 24
#: Radius of a dot in pixels: so many items cover a part of the square, and a few are still seen.
_LARGEST, _SMALLEST, _OF_ROOT = 5.0, 0.8, 120.0


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """The map of a collection with all that is shown of its m items."""

    title: str
    facts: str
    """In a sentence, what is shown and how it was made."""
    code_map: CodeMap
    ids: list[str]
    previews: list[str]
    field: str | None
    values: list[Any] | None
    """Those of the `field`, by which items are coloured."""
    colouring: Colouring


def view_of(collection: Collection, code_map: CodeMap, field: str | None, name: str) -> MapView:
    """What is shown of the items on a map of the collection at this commit.

    `name` is the collection's. Raises `InputError` for a field that no item has.
    """
    snapshot = collection.snapshot
    values = None if field is None else values_of(collection, field, code_map.positions)
    told = snapshot.shown(snapshot.rows[code_map.positions].tolist())
    return MapView(
        f"Map of {name}",
        _facts(collection, code_map),
        code_map,
        [item_id for item_id, _, _ in told],
        [preview for _, _, preview in told],
        field,
        values,
        coloured(values, len(code_map)),
    )


def _facts(collection: Collection, code_map: CodeMap) -> str:
    """What is shown, and how it was made, in a few sentences."""
    n, n_coded = len(code_map), len(collection.codes)
    shown = f"All {n:,} items" if n == n_coded else f"A sample of {n:,} of {n_coded:,} items"
    shown = "1 item" if n == n_coded == 1 else shown
    uncoded = len(collection) - n_coded
    without = f"; {uncoded:,} without a code are left out" if uncoded else ""
    seen = "real-valued codes" if code_map.real_valued else "the bits of codes"
    n_laid_out = int(code_map.laid_out.sum())
    beside = ""
    if n_laid_out < n:
        some = f"{n_laid_out:,} item{'s' * (n_laid_out > 1)}"
        beside = f" of {some}; each other one lies beside one of near code"
    return f"{shown}, commit {collection.commit}{without}. By t-SNE of {seen}{beside}."


def map_drawing(view: MapView) -> Drawing:
    """The map as a picture with its title and a legend."""
    colouring = view.colouring
    has_legend = view.field is not None
    width = _SIDE + 2 * _MARGIN + (_LEGEND if has_legend else 0)
    drawing = Drawing(width, _SIDE + _MARGIN + _HEAD, view.title)
    drawing.text(_MARGIN, 18, view.title, size=16)
    drawing.text(_MARGIN, 40, view.facts, size=11, colour="quiet")
    edge = 8
    corners = ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))
    drawing.line([(_MARGIN + x * _SIDE, _HEAD + y * _SIDE) for x, y in corners], "line")
    n = max(1, len(view.code_map))
    radius = float(np.clip(_OF_ROOT / np.sqrt(n), _SMALLEST, _LARGEST))
    flipped = view.code_map.places * (1, -1) + (0, 1)
    points = (_MARGIN + edge, _HEAD + edge) + flipped * (_SIDE - 2 * edge)
    # what is rare is drawn last, so that it is not covered
    for number in np.argsort(-np.array(colouring.counts), kind="stable").tolist():
        drawing.dots(points[colouring.numbers == number], colouring.colours[number], radius)
    if has_legend:
        _legend(drawing, view)
    return drawing


def _legend(drawing: Drawing, view: MapView) -> None:
    left, colouring = _SIDE + 2 * _MARGIN, view.colouring
    drawing.text(left, _HEAD + 8, _cut(view.field or ""), size=13)
    row = _HEAD + 1.6 * _ROW
    for number, (colour, name) in enumerate(zip(colouring.colours, colouring.names, strict=True)):
        is_step = colouring.is_scale and number < colouring.n_steps
        if is_step:
            drawing.rect(left, row - _ROW / 2, 14, _ROW, colour)
        else:
            drawing.dots(np.array([[left + 7, row]]), colour, 5)
        count = "" if is_step else f" ({colouring.counts[number]:,})"
        if name:
            drawing.text(left + 22, row, _cut(name) + count, size=12)
        row += _ROW


def _cut(name: str) -> str:
    return name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "…"
