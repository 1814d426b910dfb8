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

FIGURES: dict[str, dict[str, float]] = {
    "20ng-stripped": {
        "bernoulli": 0.578,
        "contractive": 0.581,
        "denoising": 0.583,
        "dense": 0.582,
        "quick": 0.576,
        "recirculation": 0.577,
        "recurrent": 0.538,
        "recursive": 0.519,
        "rounded": 0.582,
        "sparse": 0.574,
        "variational": 0.559,
    },
    "r8": {
        "bernoulli": 0.916,
        "contractive": 0.919,
        "denoising": 0.921,
        "dense": 0.922,
        "quick": 0.920,
        "recirculation": 0.915,
        "recurrent": 0.908,
        "recursive": 0.896,
        "rounded": 0.921,
        "sparse": 0.911,
        "variational": 0.903,
    },
    "20ng-minilm": {
        "bernoulli": 0.241,
        "contractive": 0.260,
        "denoising": 0.246,
        "dense": 0.258,
        "rebuilding": 0.276,
        "recirculation": 0.255,
        "rounded": 0.251,
        "sparse": 0.252,
        "towers": 0.338,
        "variational": 0.237,
    },
    "fmnist": {
        "bernoulli": 0.788,
        "contractive": 0.792,
        "conv": 0.757,
        "denoising": 0.790,
        "dense": 0.777,
        "patches": 0.791,
        "rebuilding": 0.708,
        "recirculation": 0.789,
        "rounded": 0.790,
        "sparse": 0.791,
        "variational": 0.773,
    },
}
