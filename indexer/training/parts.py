"""Parts: what the recipe of an autoencoder can be made of.

Each part is a small dataclass of settings; `PARTS` names the class that carries them out. To add
one, write its class beside similar ones (`networks`, `objectives`, `layers`), and add here its
settings and its row of `PARTS`; a row of `presets.PRESETS` makes it a choice. Nothing here imports
torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from hashret.arguments import resolve
from indexer.training.recipe import Bottleneck, Pretraining, Target, Term, Trunk


@dataclass(frozen=True, slots=True)
class Dense(Trunk):
    """Linear layers with ReLUs between them; the decoder mirrors the encoder."""

    hidden: tuple[int, ...]
    """Number of units in each hidden layer."""
    units_each: float = float("inf")
    """Largest number of units of a hidden layer for each training item."""
    normalised: bool = False
    """Whether the sums of a hidden layer are normalised for each item (layer normalisation)."""
    n_latent: int = 0
    """Number of latent semantic coordinates that enter the code layer beside the hidden units; for
    sparse rows only."""
    input_scale: float | None = None
    """Factor of the features; None: the factor that makes their root mean square 1."""


@dataclass(frozen=True, slots=True)
class Folded(Dense):
    """Linear layers, one of them hidden, that begin as the principal components in bits."""


@dataclass(frozen=True, slots=True)
class Patches(Dense):
    """Linear layers over filter responses to patches of the images."""

    needs_shape: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Conv(Trunk):
    """Convolutions of stride 2, transposed in the decoder."""

    filters: tuple[int, ...]
    """Number of output channels of each convolution."""
    needs_shape: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class InOrder(Trunk):
    """Steps in order, which become one vector, and dense layers behind it."""

    n_units: int
    """Number of units of the cell that steps go through."""
    hidden: tuple[int, ...]
    """Number of units in each hidden dense layer; there is one at least."""
    normalised: bool = True
    """Whether the sums of a hidden dense layer are normalised for each item."""
    least_words: int = 1000
    """From so many different tokens on, their vectors start as latent semantic coordinates."""
    in_order: ClassVar[int] = 256


@dataclass(frozen=True, slots=True)
class Recursive(InOrder):
    """One cell joins steps in pairs, up a balanced binary tree."""

    pair_steps: int = 300
    """Number of steps in which the cell learns to join two nodes so that they can be rebuilt; of
    fewer items than these as many as there are, and 60 at least."""


@dataclass(frozen=True, slots=True)
class Recurrent(InOrder):
    """A gated cell takes one step after the other."""

    embedding: int = 64
    """The width of the vector of a token."""


@dataclass(frozen=True, slots=True)
class NoisySigmoid(Bottleneck):
    """A steep sigmoid of normalised logits with noise, both growing as fine-tuning goes on."""

    noise: tuple[float, float] = (0.3, 1.0)
    """Standard deviation of the noise at the start and at the end, in those of a bit's logit."""
    gain: tuple[float, float] = (2.0, 16.0)
    """Factor of the noisy logit before its sigmoid, at the start and at the end."""
    has_noise: ClassVar[bool] = True

    def with_noise(self, times: float) -> Self:
        """The settings with the noise multiplied by `times`."""
        return replace(self, noise=(self.noise[0] * times, self.noise[1] * times))


@dataclass(frozen=True, slots=True)
class Rounded(Bottleneck):
    """Bits from the first step on, with or without noise before they are rounded."""

    noise: tuple[float, float] = (0.3, 1.0)
    """Standard deviation of the noise at the start and at the end, in those of a bit's logit."""
    gain: float = 2.0
    """Slope of the sigmoid whose gradient stands for that of the rounding."""
    has_noise: ClassVar[bool] = True

    def with_noise(self, times: float) -> Self:
        """The settings with the noise multiplied by `times`."""
        return replace(self, noise=(self.noise[0] * times, self.noise[1] * times))


@dataclass(frozen=True, slots=True)
class Bernoulli(Bottleneck):
    """Stochastic: each bit of an item has a probability, and is drawn anew in every step."""

    gain: float = 2.0
    """Factor of the normalised logit before the sigmoid that gives the probability."""
    divergence: tuple[float, float] = (0.0, 0.0)
    """Weight of the divergence from fair coins, at the start and at the end, as of `Gaussian`."""


@dataclass(frozen=True, slots=True)
class Gaussian(Bottleneck):
    """Variational: each item has a normal distribution for each bit, sampled in every step."""

    divergence: tuple[float, float] = (0.0, 0.01)
    """Weight of the divergence from the prior, at the start and at the end. The target's loss is a
    mean over words or features, so the last is what 1 would be for a sum over a hundred of them."""


@dataclass(frozen=True, slots=True)
class Words(Target):
    """The item's word distribution, by cross-entropy; features are sparse and not negative."""


@dataclass(frozen=True, slots=True)
class Squared(Target):
    """The features themselves, which are dense, by squared error."""


@dataclass(frozen=True, slots=True)
class Views(Target):
    """The views of an image (`neighbours.image_views`), by squared error.

    If the shape of the images is unknown, the pixels are rebuilt instead.
    """


@dataclass(frozen=True, slots=True)
class Succession(Target):
    """Steps in order: which there are, and which follow which; of numbers, their course."""

    order_weight: float = 1.0
    """Weight of the order of tokens beside which there are."""
    n_parts: int = 32
    """Number of equal parts in which a series of numbers is rebuilt, by squared error."""


@dataclass(frozen=True, slots=True)
class Contrast(Term):
    """The code of each item's partner, a neighbour, must be nearer than the rest of the batch."""

    temperature: float = 0.3
    """Divisor of the mean agreement of two codes' bits, which is from -1 to 1."""
    own_share: float = 0.0
    """Share of the items whose partner is the item itself under fresh corruption; without
    neighbourhoods it is all of them."""
    last_round_only: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Neighbours(Term):
    """The codes of all neighbours in the batch must be nearer than the rest of the batch."""

    temperature: float = 0.3
    """Divisor of the mean agreement of two codes' bits, which is from -1 to 1."""
    short_only: bool = False
    """Whether the weight falls from 16 bits on to 0 for codes of 32 bits and more."""
    last_round_only: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Independence(Term):
    """Bits must not repeat one another."""


@dataclass(frozen=True, slots=True)
class Balance(Term):
    """Each bit must be 1 for half of the items, beyond what normalised logits achieve."""


@dataclass(frozen=True, slots=True)
class Sparsity(Term):
    """Few hidden units may be active for an item."""

    rate: float | None = None
    """How often each unit is to be active; None: as seldom as the target allows."""


@dataclass(frozen=True, slots=True)
class Contraction(Term):
    """The hidden units must change little as the input does; while layers are pre-trained."""


@dataclass(frozen=True, slots=True)
class Greedy(Pretraining):
    """Gradient descent on the reconstruction error of each layer."""


@dataclass(frozen=True, slots=True)
class Recirculation(Pretraining):
    """Each layer learns from what changes as its input goes up, down, and up again."""

    inertia: float = 0.75
    """Share of the input that stays in it as the reconstruction comes down."""


@dataclass(frozen=True, slots=True)
class Labels(Term):
    """A softmax of the code must tell the item's label, where there is one.

    It is a term of every recipe of a deep autoencoder, but only in a training with labels.
    """

    weight: float = 1.0
    learns: ClassVar[bool] = True


#: The class that carries out the settings of each part; it is loaded when a training begins.
PARTS: dict[str, str] = {
    "Dense": "indexer.training.networks.dense:DenseTrunk",
    "Folded": "indexer.training.networks.folded:FoldedTrunk",
    "Patches": "indexer.training.networks.patches:PatchesTrunk",
    "Conv": "indexer.training.networks.conv:ConvTrunk",
    "Recursive": "indexer.training.networks.recursive:RecursiveTrunk",
    "Recurrent": "indexer.training.networks.recurrent:RecurrentTrunk",
    "NoisySigmoid": "indexer.training.networks.bottleneck:NoisySigmoidBottleneck",
    "Rounded": "indexer.training.networks.bottleneck:RoundedBottleneck",
    "Bernoulli": "indexer.training.networks.bottleneck:BernoulliBottleneck",
    "Gaussian": "indexer.training.networks.bottleneck:GaussianBottleneck",
    "Words": "indexer.training.objectives:WordsTarget",
    "Squared": "indexer.training.objectives:SquaredTarget",
    "Views": "indexer.training.objectives:ViewsTarget",
    "Succession": "indexer.training.objectives:SuccessionTarget",
    "Contrast": "indexer.training.objectives:ContrastTerm",
    "Neighbours": "indexer.training.objectives:NeighboursTerm",
    "Independence": "indexer.training.objectives:IndependenceTerm",
    "Balance": "indexer.training.objectives:BalanceTerm",
    "Sparsity": "indexer.training.layers.hidden_terms:SparsityTerm",
    "Contraction": "indexer.training.layers.hidden_terms:ContractionTerm",
    "Greedy": "indexer.training.layers.greedy:GreedyPretraining",
    "Recirculation": "indexer.training.layers.recirculation:RecirculationPretraining",
    "Labels": "indexer.training.labels.head:LabelsTerm",
    "Corruption": "indexer.training.corruption:Corruptor",
}


def made(settings: Any, *arguments: Any) -> Any:
    """The part that carries out the settings, constructed with them and the arguments."""
    return resolve(PARTS, type(settings).__name__, "part")(settings, *arguments)
