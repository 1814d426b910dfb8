"""Time against the number of codes, the radius and the bits, as SVG files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.search_results import MILLION, Results


def plots(found: Results, docs: Path) -> dict[str, str]:
    """Three SVG files where they were measured; the names of those drawn, and what they show."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "hashret", "font.size": 9}
    curves = {
        "search-n": ("codes", "10 nearest of clustered 64-bit codes, batch of 500", _by_n(found)),
        "search-radius": (
            "radius, bits",
            "all within a radius, a million clustered 64-bit codes, batch of 200",
            _by_radius(found),
        ),
        "search-bits": (
            "bits",
            "10 nearest of a million clustered codes, batch of 500",
            _by_bits(found),
        ),
    }
    curves = {name: curve for name, curve in curves.items() if len(_places(curve[2])) > 1}
    for name, (axis, title, lines) in curves.items():
        figure, axes = plt.subplots(figsize=(6.4, 4))
        for path, points in lines.items():
            own = path == "auto"
            xs, ys = zip(*sorted(points), strict=True)
            label = "hashret" if own else path
            axes.plot(xs, ys, marker="o", markersize=3, linewidth=2.4 if own else 1.1, label=label)
        axes.set(xlabel=axis, ylabel="µs a query", title=title, yscale="log")
        if name == "search-n":
            axes.set_xscale("log")
        if name == "search-bits":
            axes.set_xscale("log", base=2)
            axes.set_xticks([16, 32, 64, 128, 256, 512], ["16", "32", "64", "128", "256", "512"])
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(docs / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)
    return {name: title for name, (_, title, _) in curves.items()}


_Curves = dict[str, list[tuple[float, float]]]


def _places(curves: _Curves) -> set[float]:
    return {at for points in curves.values() for at, _ in points}


def _by_n(found: Results) -> _Curves:
    return _nearest(found, lambda bits, n: n if bits == 64 else None)


def _by_bits(found: Results) -> _Curves:
    return _nearest(found, lambda bits, n: bits if n == MILLION else None)


def _nearest(found: Results, place: Callable[[int, int], int | None]) -> _Curves:
    """The times of 10-NN on clustered codes, wherever they were measured, at their places."""
    curves: _Curves = defaultdict(list)
    for record in found.records:
        if (record["family"], record["kind"]) != ("clustered", "nearest") or record["batch"] != 500:
            continue
        at = place(record["bits"], record["n"])
        if at is not None:
            curves[record["path"]].append((at, record["us"]))
    return curves


def _by_radius(found: Results) -> _Curves:
    curves: _Curves = defaultdict(list)
    for record in found.of("questions", "clustered", 64, MILLION):
        if record["kind"] == "within":
            curves[record["path"]].append((record["argument"], record["us"]))
    return curves
