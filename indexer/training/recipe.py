"""A recipe: everything about a training that does not depend on the corpus.

A deep autoencoder is four choices: trunk x bottleneck x objectives x corruption. `Recipe` holds one
settings object for each, how layers are pre-trained, and the numbers of epochs and steps. The
available settings, and the classes that carry them out, are in `presets`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from indexer.training.options import TrainingOptions

#: For each setting that `hashret tune` may change, the values worth trying, in order.
Knobs = dict[str, tuple[float, ...]]

_WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # factors of the preset's number of neighbours
_LENGTHS = (0.5, 1.0, 2.0)  # factors of every other number
_ROUNDS = (1, 2, 3)
_FEWEST_STEPS = 60  # steps of fine-tuning; with fewer the learning rate has hardly warmed up


@dataclass(frozen=True, slots=True)
class Trunk:
    """Settings of the layers from features to logits, and of those from a code to the output."""

    needs_shape: ClassVar[bool] = False
    """Whether it can learn only from images, rows of (height, width, channels)."""
    in_order: ClassVar[int] = 0
    """How many words of a text it takes in order, besides all as a bag; 0: it takes the bag."""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """Settings of how logits become the decoder's input while they learn to be bits."""

    has_noise: ClassVar[bool] = False
    """Whether it has noise that `Multiples.noise` scales."""

    def with_noise(self, times: float) -> Self:
        """The settings with the noise multiplied by `times`; unchanged if there is no noise."""
        return self


@dataclass(frozen=True, slots=True)
class Target:
    """Settings of the target, which the decoder rebuilds."""


@dataclass(frozen=True, slots=True)
class Term:
    """Settings of a further loss of the code, besides that of the target."""

    weight: float
    """Factor of the term in the sum of losses."""
    last_round_only: ClassVar[bool] = False
    """Whether only the last round uses it; codes of earlier ones only serve to find neighbours."""
    learns: ClassVar[bool] = False
    """Whether it has parameters of its own (`parameters`), of which the training set, the number of
    bits and the device are told when it is made."""


@dataclass(frozen=True, slots=True)
class Pretraining:
    """Settings of how the layers are learned one by one, before all are fine-tuned together."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """How the network's input is corrupted; the target stays clean (a denoising autoencoder)."""

    masked_share: float
    """Share of each layer's inputs that is set to zero."""
    gaussian: float = 0.0
    """The standard deviation of noise added to dense features, in units of the scaled features."""
    augmented: bool = False
    """Whether images are shifted, mirrored and brightened."""
    span_share: float = 0.0
    """Share of the steps of an ordered item that one run of them loses, on average."""


@dataclass(frozen=True, slots=True)
class TellingWords:
    """How words are weighted by how far they tell a corpus's themes apart (`telling_words`)."""

    n_themes: int = 10
    """Number of clusters of texts; at most one for 8 texts."""
    clusterings: int = 8
    """Number of clusterings, from different starts, whose divergences are averaged."""
    n_latent: int = 50
    """Number of latent semantic coordinates of the texts that are clustered."""
    prior: float = 5.0
    """Number of texts, spread over the themes as all texts are, that are added to a word's own."""
    half: float = 0.3
    """The divergence, in nats, at which a word keeps half of its rarity."""
    turns: int = 2
    """Number of times that themes are found, each time with the weights found before."""
    strength: float = 1.0
    """Exponent of the share of its rarity that a word keeps; near 0 words are weighted by rarity
    alone."""


@dataclass(frozen=True, slots=True)
class LinearMap:
    """How the learned bits are predicted by one linear map of the words (`linear_map`)."""

    n_latent: int = 300
    """Number of latent semantic coordinates that are predictors beside the words."""
    latent_scale: float = 4.0
    """Factor of these coordinates beside the words, whose mean squared length is 1: the larger, the
    less is a map of few directions shrunk."""
    shrinkages: tuple[float, ...] = (4.0, 8.0, 16.0)
    """The factors of the squared weights to choose from."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """How an item's nearest neighbours, found without labels, take part in its target."""

    share: float
    """The share of the target that is the neighbourhood's mean; the rest is the item itself."""
    width: float
    """A neighbourhood has this times the square root of the number of items, but at most a
    thirtieth of them, because a small corpus has few themes."""
    draws: int
    """Number of members that are drawn for each item in each step."""
    rounds: int
    """Number of times neighbourhoods are found: after the first, with the codes learned so far."""
    size: int = 0
    """The number of neighbours for one corpus; set by `Recipe.fitted`."""

    def fitted(self, n: int, options: TrainingOptions) -> Neighbourhood:
        """The settings for a corpus of n >= 2 items, with the caller's options."""
        size = max(2, min(round(self.width * n**0.5), n // 30))
        size = max(2, min(round(size * options.multiples.neighbours), n // 2))
        rounds = options.rounds or self.rounds
        return replace(self, size=options.neighbours or size, rounds=rounds)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a deep autoencoder is trained for one kind of items."""

    trunk: Trunk
    bottleneck: Bottleneck
    target: Target
    terms: tuple[Term, ...]
    """Further losses of the code, added in this order."""
    corruption: Corruption
    neighbourhood: Neighbourhood | None
    """None: the target of each item is the item alone, and there is one round."""
    pretraining: Pretraining
    pretrain_epochs: int
    """Number of epochs for each layer; 0: no pre-training."""
    epochs: int
    """Number of epochs of fine-tuning in each round."""
    least_steps: int
    """Least number of steps of fine-tuning; a small corpus gets more epochs to reach it."""
    batch_size: int
    learning_rate: float
    steps_each: float = float("inf")
    """Largest number of those least steps for each item, but at least `_FEWEST_STEPS`: a tiny
    corpus has little to learn."""
    learned_bits: float = float("inf")
    """Codes of more bits stay as the trunk begins them; they are not fine-tuned."""
    telling: TellingWords | None = None
    """How words are weighted in neighbourhoods, targets and latent coordinates; None: by rarity."""
    linear: LinearMap | None = None
    """The linear map that replaces the learned encoder; None: the encoder is the network's."""

    def fitted(self, n: int, options: TrainingOptions) -> Recipe:
        """The recipe for n >= 2 items, with the caller's options in place of its own values."""
        batch_size = max(2, min(self.batch_size, n // 8))
        steps = min(self.least_steps, max(_FEWEST_STEPS, self.steps_each * n))
        enough = math.ceil(steps / max(1, n // batch_size))
        epochs = max(1, round(max(self.epochs, enough) * options.multiples.epochs))
        near, times = self.neighbourhood, options.multiples
        return replace(
            self,
            bottleneck=self.bottleneck.with_noise(times.noise),
            terms=tuple(replace(t, weight=t.weight * times.contrast) for t in self.terms),
            telling=self.telling
            and replace(self.telling, strength=self.telling.strength * times.telling),
            neighbourhood=near and near.fitted(n, options),
            pretrain_epochs=self.pretrain_epochs and max(self.pretrain_epochs, enough // 4),
            epochs=options.epochs or epochs,
            batch_size=batch_size,
        )

    @property
    def needs_shape(self) -> bool:
        """Whether it can learn only from images."""
        return self.trunk.needs_shape

    @property
    def in_order(self) -> int:
        """How many words of a text the features must hold in order; 0: none."""
        return self.trunk.in_order

    @property
    def rounds(self) -> int:
        """The number of networks trained; each finds neighbours for the next."""
        return self.neighbourhood.rounds if self.neighbourhood else 1

    @property
    def knobs(self) -> Knobs:
        """What may be tuned, the most effective first; all else in `Multiples` has no effect."""
        knobs: Knobs = {}
        if self.neighbourhood:
            knobs |= {"neighbours": _WIDTHS, "rounds": _ROUNDS}
        if self.telling:
            knobs["telling"] = _LENGTHS
        if self.terms:
            knobs["contrast"] = _LENGTHS
        if self.bottleneck.has_noise:
            knobs["noise"] = _LENGTHS
        return knobs | {"epochs": _LENGTHS}


@dataclass(frozen=True, slots=True)
class IdentityRecipe:
    """Nothing is learned: packed bits are taken as the codes (`vectors.identity`)."""

    needs_shape: ClassVar[bool] = False
    in_order: ClassVar[int] = 0
    rounds: ClassVar[None] = None
    knobs: ClassVar[Knobs] = {}


@dataclass(frozen=True, slots=True)
class TowersRecipe:
    """How the codes of a user's own vectors are learned (`vectors.towers`)."""

    hidden: int = 1024
    """Number of units in the shallow network beside the linear map of the code."""
    steps: int = 600
    """Least number of steps, in whole epochs; fewer for a small corpus, which has less to teach."""
    block: int = 4096
    """Number of items in a block, which are compared in a step."""
    queries: int = 512
    """Number of items of a block that serve as queries."""
    perplexity: float = 20.0
    """Perplexity: the effective number of neighbours of an item in a block."""
    symmetric_weight: float = 8.0
    """Weight of the loss by the query's bits instead of its confidences: this divided by the number
    of bits, at most 1. Short codes are searched as buckets, long ones by confidences."""
    learning_rate: float = 0.6
    """Learning rate times the number of bits, for `rate_features` features."""
    rate_features: float = 384.0
    needs_shape: ClassVar[bool] = False
    in_order: ClassVar[int] = 0
    rounds: ClassVar[None] = None
    knobs: ClassVar[Knobs] = {"neighbours": _WIDTHS, "epochs": (*_LENGTHS, 4.0)}

    def steps_for(self, n: int) -> int:
        """The number of steps for n items."""
        return min(self.steps, self.steps // 6 + n // 20)
