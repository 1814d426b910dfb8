"""The picture of `hashret evaluate --plot`: how precision falls with the rank and the radius."""

from __future__ import annotations

from pathlib import Path

from hashret.errors import InputError
from hashret.insight.charts import Axis, curves
from hashret.insight.drawing import Drawing, stacked
from hashret.outside.outputs import require_output, write_output
from indexer.evaluation.label_measures import PrecisionCurves

#: What says at the beginning of a picture that it is one of these.
_MARK = "hashret evaluate"
_WHAT = "the plot"
_SUFFIXES = (".svg", ".png")


def require_plot(path: Path) -> None:
    """Raise `InputError` unless a plot may be written to `path`; asked before long work."""
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(
            f"--plot {path}: expected a file name with {' or '.join(_SUFFIXES)}, got "
            f"{path.name!r}; the suffix is the format"
        )
    require_output(path, _WHAT, _MARK)


def write_plot(path: Path, found: PrecisionCurves) -> None:
    """Write the curves into an .svg or .png file."""
    write_output(path, _WHAT, _drawn(found).file(path.suffix.lower(), _MARK), _MARK)


def _drawn(found: PrecisionCurves) -> Drawing:
    """Precision by rank, and below it by radius."""
    precision, last = Axis("", 0, 1), found.ranks[-1]
    by_rank = curves(
        "Precision among the first items",
        Axis("number of first items", 1, max(2, last), logarithmic=True),
        precision,
        {name: (found.ranks, values) for name, values in found.by_rank.items()},
    )
    radii = list(range(len(found.by_radius)))
    by_radius = curves(
        "Precision among all items within a radius",
        Axis("radius, bits", 0, radii[-1]),
        precision,
        {"distance": (radii, found.by_radius)},
    )
    return stacked("Precision by rank and by radius", [by_rank, by_radius])
