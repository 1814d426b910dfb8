"""What is a recipe? Everything about a training that does not depend on the corpus.

A deep autoencoder is four choices: trunk x bottleneck x objectives x corruption. `Recipe` holds one
settings object for each, and the numbers of the course. The settings there are to choose from, and
the classes that do what they say, stand in `presets`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from indexer.training.options import TrainingOptions

#: What `hashret tune` may change of a training -> the values worth trying, in order.
Knobs = dict[str, tuple[float, ...]]

_WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # multiples of the preset's neighbourhood
_LENGTHS = (0.5, 1.0, 2.0)  # multiples of the preset's noise, and of its epochs
_ROUNDS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Trunk:
    """Settings of the layers from features to logits, and of those back."""

    needs_shape: ClassVar[bool] = False
    """Whether it learns from images only, (height, width, channels)."""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """Settings of what the decoder sees of the logits while they learn to be bits."""

    has_noise: ClassVar[bool] = False
    """Whether it has noise of a size that `Multiples.noise` scales."""

    def with_noise(self, times: float) -> Self:
        """The settings with the noise so many times as large; as they are, if there is none."""
        return self


@dataclass(frozen=True, slots=True)
class Target:
    """Settings of what the decoder rebuilds."""


@dataclass(frozen=True, slots=True)
class Term:
    """Settings of one more loss of the code, beside that of the target."""

    weight: float
    """What the term is multiplied by in the sum of losses."""
    last_round_only: ClassVar[bool] = False
    """Whether codes of earlier rounds, which only find neighbours, do without it."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """How the network's input differs from what it has to rebuild (a denoising autoencoder)."""

    masked_share: float
    """This share of each layer's inputs is set to zero."""
    gaussian: float = 0.0
    """The standard deviation of noise added to dense features, in units of the scaled features."""
    augmented: bool = False
    """Whether images are shifted, mirrored and brightened."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """How an item's nearest others, found without labels, take part in its target."""

    share: float
    """The share of the target that is the neighbourhood's mean; the rest is the item itself."""
    width: float
    """The neighbourhood has this times the square root of the number of items, and at most a
    thirtieth of them: the themes of a small corpus are few."""
    draws: int
    """Members drawn afresh for each item and step."""
    rounds: int
    """How often neighbourhoods are found, each time but the first with the codes learned."""
    size: int = 0
    """The number of neighbours for one corpus; set by `Recipe.fitted`."""

    def fitted(self, n: int, options: TrainingOptions) -> Neighbourhood:
        """The neighbourhood in a corpus of n >= 2 items, with what a caller chose."""
        size = max(2, min(round(self.width * n**0.5), n // 30))
        size = max(2, min(round(size * options.multiples.neighbours), n // 2))
        rounds = options.rounds or self.rounds
        return replace(self, size=options.neighbours or size, rounds=rounds)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the deep autoencoder of one kind of item is learned."""

    trunk: Trunk
    bottleneck: Bottleneck
    target: Target
    terms: tuple[Term, ...]
    """Further losses of the code, summed in this order."""
    corruption: Corruption
    neighbourhood: Neighbourhood | None
    """None: each item is rebuilt from itself alone, in one round."""
    pretrain_epochs: int
    """Of each layer; 0: no greedy pre-training."""
    epochs: int
    """Of fine-tuning, in each round."""
    least_steps: int
    """A small corpus gets as many epochs as make this many steps of fine-tuning."""
    batch_size: int
    learning_rate: float

    def fitted(self, n: int, options: TrainingOptions) -> Recipe:
        """The recipe for n >= 2 items, with what a caller chose in place of its own."""
        batch_size = max(2, min(self.batch_size, n // 8))
        enough = -(-self.least_steps // max(1, n // batch_size))
        epochs = max(1, round(max(self.epochs, enough) * options.multiples.epochs))
        near = self.neighbourhood
        return replace(
            self,
            bottleneck=self.bottleneck.with_noise(options.multiples.noise),
            neighbourhood=near and near.fitted(n, options),
            pretrain_epochs=self.pretrain_epochs and max(self.pretrain_epochs, enough // 4),
            epochs=options.epochs or epochs,
            batch_size=batch_size,
        )

    @property
    def needs_shape(self) -> bool:
        """Whether it learns from images only."""
        return self.trunk.needs_shape

    @property
    def rounds(self) -> int:
        """The number of networks trained, each on neighbours that the former one helped to find."""
        return self.neighbourhood.rounds if self.neighbourhood else 1

    @property
    def knobs(self) -> Knobs:
        """What may be tuned, the weightiest first; nothing else of `Multiples` and rounds acts."""
        knobs: Knobs = {}
        if self.neighbourhood:
            knobs |= {"neighbours": _WIDTHS, "rounds": _ROUNDS}
        if self.bottleneck.has_noise:
            knobs["noise"] = _LENGTHS
        return knobs | {"epochs": _LENGTHS}


@dataclass(frozen=True, slots=True)
class IdentityRecipe:
    """Nothing is learned: vectors that are bits are the codes (`vectors.identity`)."""

    needs_shape: ClassVar[bool] = False
    rounds: ClassVar[None] = None
    knobs: ClassVar[Knobs] = {}


@dataclass(frozen=True, slots=True)
class TowersRecipe:
    """How the codes of a user's own vectors are learned (`vectors.towers`)."""

    hidden: int = 1024
    """Units of the shallow network beside the linear map of the code."""
    steps: int = 600
    """At least so many; whole epochs. A small corpus gets fewer: it has less to teach."""
    block: int = 4096
    """Items that are compared in a step."""
    queries: int = 512
    """Items of a block whose neighbours are to be found."""
    perplexity: float = 20.0
    """The number of neighbours that an item has in a block: the exponential of their entropy."""
    symmetric_weight: float = 8.0
    """The weight of the same loss by the query's bits in place of its weights: this divided by
    the number of bits, and at most 1. Short codes are asked as buckets, long ones by weights."""
    learning_rate: float = 0.6
    """Divided by the number of bits, at `rate_features` features."""
    rate_features: float = 384.0
    needs_shape: ClassVar[bool] = False
    rounds: ClassVar[None] = None
    knobs: ClassVar[Knobs] = {"neighbours": _WIDTHS, "epochs": (*_LENGTHS, 4.0)}

    def steps_for(self, n: int) -> int:
        """The steps for n items."""
        return min(self.steps, self.steps // 6 + n // 20)
