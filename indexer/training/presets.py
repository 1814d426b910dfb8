"""Presets: named recipes of training, one for each kind of item.

A recipe is everything about training that does not depend on the corpus. What was measured to
choose it stands in ``docs/adr/0004-training.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hashret.errors import UnknownKindError

if TYPE_CHECKING:
    from indexer.training.options import TrainingOptions

CONTRAST_BITS = 64
"""Codes of so many bits or more are trained with all of a recipe's weight of the contrast."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one kind of item is learned."""

    objective: str
    """"words": cross-entropy against a distribution over the features; "squared": their error;
    "views": that of an image's views (`image_views`) in place of its pixels."""
    hidden: tuple[int, ...]
    """Units of the encoder's hidden layers; the decoder mirrors them."""
    normalised: bool
    """Whether what a hidden layer sums up is normalised, item by item."""
    n_latent: int
    """So many latent semantic coordinates enter the layer of the code, besides the hidden units;
    of sparse rows only."""
    input_scale: float | None
    """Multiplies the features; None: whatever makes their root mean square 1."""
    masked_share: float
    """Corruption: this share of each layer's inputs is set to zero."""
    gaussian: float
    """Corruption: the standard deviation of noise added to dense features."""
    pretrain_epochs: int
    epochs: int
    least_steps: int
    """A small corpus gets as many epochs as make this many steps of fine-tuning."""
    batch_size: int
    learning_rate: float
    noise: tuple[float, float]
    """On the logits in fine-tuning, first and last, in standard deviations of a bit's logit."""
    gain: tuple[float, float]
    """Multiplies the noisy logit before its sigmoid, first and last."""
    neighbour_weight: float
    """The share of the target that is the neighbourhood's mean; the rest is the item itself."""
    neighbour_width: float
    """The neighbourhood's width is this times the square root of the number of items, and at
    most a thirtieth of them: the themes of a small corpus are few."""
    neighbour_draws: int
    """Members drawn afresh for each item and step."""
    rounds: int
    """How often neighbourhoods are found, each time but the first with the codes learned."""
    contrast_weight: float = 0.0
    """Of telling a neighbour from the rest of the batch (`objectives.contrast`), in the last round;
    of shorter codes than `CONTRAST_BITS` it falls as the square of their length."""
    contrast_temperature: float = 0.3
    agreement_share: float = 0.0
    """Of the contrast's partners, this share is the item itself, corrupted anew; without
    neighbourhoods all are."""
    independence_weight: float = 0.0
    """Of bits that say the same as others (`objectives.independence`)."""
    balance_weight: float = 0.0
    """Of bits that are seldom or mostly 1 (`objectives.balance`), besides normalised logits."""
    patches: bool = False
    """Whether images are seen through a dictionary of their patches (`patch_dictionary`)."""
    filters: tuple[int, ...] = ()
    """Of images, in place of `hidden`: a convolution of stride 2 for each, its channels."""
    augmented: bool = False
    """Corruption: images are shifted, mirrored, brightened (`augment`)."""
    neighbours: int = 0
    """The width for one corpus; set by `fitted`."""

    def fitted(self, n: int, options: TrainingOptions) -> Recipe:
        """The recipe for n >= 2 items, with what a caller chose in place of its own."""
        batch_size = max(2, min(self.batch_size, n // 8))
        enough = -(-self.least_steps // max(1, n // batch_size))
        times = options.multiples
        epochs = max(1, round(max(self.epochs, enough) * times.epochs))
        width = max(2, min(round(self.neighbour_width * n**0.5), n // 30))
        width = max(2, min(round(width * times.neighbours), n // 2))
        return replace(
            self,
            batch_size=batch_size,
            epochs=options.epochs or epochs,
            pretrain_epochs=self.pretrain_epochs and max(self.pretrain_epochs, enough // 4),
            neighbours=options.neighbours or width,
            rounds=options.rounds or self.rounds,
            noise=(self.noise[0] * times.noise, self.noise[1] * times.noise),
        )


_TEXT = Recipe(
    objective="words",
    hidden=(500,),
    normalised=True,
    n_latent=50,
    input_scale=10.0,
    masked_share=0.2,
    gaussian=0.0,
    pretrain_epochs=2,
    epochs=10,
    least_steps=300,
    batch_size=256,
    learning_rate=4e-3,
    noise=(0.3, 1.0),
    gain=(2.0, 16.0),
    neighbour_weight=0.8,
    neighbour_width=4.0,
    neighbour_draws=8,
    rounds=2,
    contrast_weight=0.05,
)
_IMAGE = Recipe(
    objective="views",
    hidden=(512, 512),
    normalised=False,
    n_latent=0,
    input_scale=None,
    masked_share=0.1,
    gaussian=0.3,
    pretrain_epochs=2,
    epochs=8,
    least_steps=300,
    batch_size=256,
    learning_rate=2e-3,
    noise=(0.3, 1.0),
    gain=(2.0, 16.0),
    neighbour_weight=0.8,
    neighbour_width=0.5,
    neighbour_draws=4,
    rounds=1,
    contrast_weight=0.1,
)
_PATCHES = replace(_IMAGE, patches=True, input_scale=1.0, least_steps=600)
_CONV = replace(_IMAGE, hidden=(), filters=(32, 64), augmented=True)
# a user's own vectors are compared by their near neighbours, which a wide mean would blur
_VECTOR = replace(
    _IMAGE, objective="squared", noise=(0.1, 0.5), neighbour_weight=0.0, contrast_weight=0.0
)


@dataclass(frozen=True, slots=True)
class TowersRecipe:
    """How the codes of vectors are learned (`indexer.training.vectors.towers`)."""

    hidden: int = 1024
    """Units of the shallow network beside the linear map of the code."""
    steps: int = 600
    """At least so many; whole epochs. A small corpus gets fewer: it has less to teach."""
    block: int = 4096
    """Items that are compared in a step."""
    queries: int = 512
    """Of a block, the items whose neighbours are wanted."""
    perplexity: float = 20.0
    """How many neighbours in a block an item has by the floats, in the sense of its entropy."""
    symmetric_weight: float = 8.0
    """What the same loss counts for by the query's bits in place of its weights: this divided by
    the number of bits, and at most 1. Short codes are asked as buckets, long ones by weights."""
    learning_rate: float = 0.6
    """Divided by the number of bits, at `rate_features` features."""
    rate_features: float = 384.0

    def steps_for(self, n: int) -> int:
        """The steps for n items."""
        return min(self.steps, self.steps // 6 + n // 20)


TOWERS = TowersRecipe()

#: Kind of item -> the presets there are for it, the default first.
PRESETS_OF: dict[str, tuple[str, ...]] = {
    "text": ("dense",),
    "image": ("patches", "dense", "conv"),
    "vector": ("towers", "dense"),
}

#: Preset name -> kind of item -> recipe.
PRESETS: dict[str, dict[str, Recipe]] = {
    "conv": {"image": _CONV},
    "dense": {"text": _TEXT, "image": _IMAGE, "vector": _VECTOR},
    "patches": {"image": _PATCHES},
}


def preset_for(kind: str, preset: str | None) -> str:
    """The preset of this name, or the default where it is None, for a kind of item.

    Raises UnknownKindError, listing what is known, for another kind or preset.
    """
    if kind not in PRESETS_OF:
        raise UnknownKindError(
            f"kind: expected one of {', '.join(sorted(PRESETS_OF))}, got {kind!r}; "
            "choose one of these"
        )
    known = PRESETS_OF[kind]
    if preset is not None and preset not in known:
        raise UnknownKindError(
            f"preset: expected one of {', '.join(sorted(known))} for items of kind {kind}, "
            f"got {preset!r}; choose one of these"
        )
    return known[0] if preset is None else preset


def require_used(kind: str, options: TrainingOptions) -> None:
    """Raise ValueError for an option that would change nothing with the preset of `options`.

    "towers" finds nothing again and has no noise; "dense" of vectors learns without neighbours,
    so that it has one round.
    """
    times = options.multiples
    if options.preset == "towers":
        checks = [
            (options.rounds is None, "rounds", "none", options.rounds),
            (times.noise == 1.0, "multiples", "noise 1", times.noise),
        ]
    elif PRESETS[str(options.preset)][kind].neighbour_weight:
        return
    else:
        checks = [
            (options.neighbours is None, "neighbours", "none", options.neighbours),
            (times.neighbours == 1.0, "multiples", "neighbours 1", times.neighbours),
            (options.rounds in (None, 1), "rounds", "none or 1", options.rounds),
        ]
    for fine, name, expected, got in checks:
        if not fine:
            raise ValueError(
                f"{name}: expected {expected} with the preset {options.preset!r} for items of "
                f"kind {kind}, got {got}; leave it out"
            )
