"""What each preset was measured to give: written by `benchmarks.family --write-docs`, not by hand.

By data set and preset, the mean of the headline of the set at 64 bits (docs/family.md).
"""

from __future__ import annotations

#: For each kind of items, the data set whose figures a person is shown, and what they measure.
MEASURES = {
    "text": ("20ng-stripped", "P@100"),
    "image": ("fmnist", "mAP@1000"),
    "vector": ("20ng-minilm", "recall@10"),
}

FIGURES: dict[str, dict[str, float]] = {}
