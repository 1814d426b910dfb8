"""What each preset was measured to give: written by `benchmarks.family --write-docs`, not by hand.

By data set and preset, the mean of the headline of the set at 64 bits (docs/family.md).
"""

from __future__ import annotations

#: Each data set with the kind of its items and what is measured; the first of a kind is shown.
SETS = {
    "20ng-stripped": ("text", "P@100"),
    "r8": ("text", "P@100"),
    "20ng-minilm": ("vector", "recall@10"),
    "fmnist": ("image", "mAP@1000"),
}

FIGURES: dict[str, dict[str, float]] = {}
