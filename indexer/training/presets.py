"""Presets: the recipes by which each kind of items can be learned, the default first.

A recipe chooses a trunk, a bottleneck, a target with further terms, and a corruption. Each choice
is a small dataclass of settings; `PARTS` names the class that carries them out. The reason for each
number is in docs/training-measurements.md.

To add a part, write its class beside similar ones (`networks`, `objectives`), and add here its
settings, its row of `PARTS` and a row of `PRESETS`. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

from hashret.arguments import resolve
from hashret.errors import UnknownKindError
from indexer.training.options import AS_GIVEN, TrainingOptions
from indexer.training.recipe import (
    Bottleneck,
    Corruption,
    IdentityRecipe,
    LinearMap,
    Neighbourhood,
    Pretraining,
    Recipe,
    Target,
    TellingWords,
    Term,
    TowersRecipe,
    Trunk,
)


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
    """Number of steps in which the cell learns to join two nodes so that they can be rebuilt."""


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

    fair_bits: ClassVar[bool] = True

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


_TEXT = Recipe(
    trunk=Dense(hidden=(500,), units_each=1.5, normalised=True, n_latent=50, input_scale=10.0),
    bottleneck=NoisySigmoid(),
    target=Words(),
    terms=(Neighbours(0.2),),
    corruption=Corruption(masked_share=0.2),
    neighbourhood=Neighbourhood(share=0.8, width=4.0, draws=8, rounds=1),
    pretraining=Greedy(),
    pretrain_epochs=1,
    epochs=8,
    least_steps=300,
    batch_size=256,
    learning_rate=4e-3,
    steps_each=0.75,
    telling=TellingWords(),
    linear=LinearMap(),
)
# the linear map averages what a network that is not done yet says, so a few epochs go a long way
_QUICK_TEXT = replace(_TEXT, epochs=2, least_steps=100)
# the text recipe where the network itself is the encoder, which needs its time
_TEXT_NETWORK = replace(_TEXT, linear=None, pretrain_epochs=2, epochs=10)
_IMAGE = Recipe(
    trunk=Dense(hidden=(512, 512)),
    bottleneck=NoisySigmoid(),
    target=Views(),
    terms=(Contrast(0.1),),
    corruption=Corruption(masked_share=0.1, gaussian=0.3),
    neighbourhood=Neighbourhood(share=0.8, width=0.5, draws=4, rounds=1),
    pretraining=Greedy(),
    pretrain_epochs=2,
    epochs=8,
    least_steps=300,
    batch_size=256,
    learning_rate=2e-3,
)
# one partner for long codes, all neighbours at once for short ones
_PATCHES = replace(
    _IMAGE,
    trunk=Patches(hidden=(512, 512), input_scale=1.0),
    terms=(Contrast(0.1), Neighbours(0.2, short_only=True)),
    least_steps=600,
)
_CONV = replace(
    _IMAGE, trunk=Conv(filters=(32, 64)), corruption=replace(_IMAGE.corruption, augmented=True)
)
# for vectors only near neighbours matter, which a mean over many would blur
_VECTOR = replace(
    _IMAGE,
    bottleneck=NoisySigmoid(noise=(0.1, 0.5)),
    target=Squared(),
    terms=(),
    neighbourhood=None,
)
_RECURSIVE = Recipe(
    trunk=Recursive(n_units=64, hidden=(256,)),
    bottleneck=NoisySigmoid(),
    target=Succession(),
    terms=(Neighbours(0.2),),
    corruption=Corruption(masked_share=0.1),
    neighbourhood=Neighbourhood(share=0.5, width=0.5, draws=4, rounds=1),
    pretraining=Greedy(),
    pretrain_epochs=2,
    epochs=8,
    least_steps=300,
    batch_size=256,
    learning_rate=2e-3,
)
_RECURRENT = replace(
    _RECURSIVE,
    trunk=Recurrent(n_units=64, hidden=(256,)),
    corruption=Corruption(masked_share=0.1, span_share=0.1),
)
# of texts the subject counts for more than the order; neighbours are those of the bag
_RECURSIVE_TEXT = replace(
    _TEXT,
    trunk=Recursive(n_units=64, hidden=(500,)),
    target=Succession(order_weight=0.1),
    linear=None,
    learning_rate=2e-3,
)
_RECURRENT_TEXT = replace(_RECURSIVE_TEXT, trunk=Recurrent(n_units=64, hidden=(500,)))


class Preset(NamedTuple):
    """The name of a trainer, and the recipe that it follows."""

    trainer: str
    recipe: Recipe | TowersRecipe | IdentityRecipe


def _family(
    recipe: Recipe,
    network: Recipe,
    *,
    noise: tuple[float, float],
    sparsity: float,
    contraction: float,
) -> dict[str, Preset]:
    """Presets that are a kind's recipe but for one part; `network` where that is of the encoder.

    The numbers are those of the parts. They depend on the kind: on the noise that it stands, the
    size of its target's loss, and that of a layer's inputs.
    """
    masked, gaussian = recipe.corruption.masked_share, recipe.corruption.gaussian
    noisier = replace(recipe.corruption, masked_share=2.0 * masked, gaussian=1.5 * gaussian)
    changed = {
        "variational": replace(network, bottleneck=Gaussian()),
        "bernoulli": replace(recipe, bottleneck=Bernoulli(gain=2.0 / noise[1])),
        "rounded": replace(recipe, bottleneck=Rounded(noise)),
        "sparse": replace(network, terms=(*network.terms, Sparsity(sparsity))),
        "denoising": replace(recipe, corruption=noisier),
        "contractive": replace(recipe, terms=(*recipe.terms, Contraction(contraction))),
        "recirculation": replace(recipe, pretraining=Recirculation()),
    }
    return {name: Preset("autoencoder", each) for name, each in changed.items()}


def _rebuilding(recipe: Recipe) -> Recipe:
    """The recipe for codes that are to be turned back: all that counts is the item itself."""
    return replace(
        recipe,
        trunk=Dense(hidden=(1024,)),
        bottleneck=NoisySigmoid(noise=(0.1, 0.5)),
        target=Squared(),
        terms=(),
        corruption=Corruption(masked_share=0.0),
        neighbourhood=None,
        epochs=16,
    )


#: The trainers (`training.Trainer`), by name.
TRAINERS: dict[str, str] = {
    "autoencoder": "indexer.training.trainer:AutoencoderTrainer",
    "identity": "indexer.training.vectors.identity:IdentityTrainer",
    "towers": "indexer.training.vectors.towers:TowersTrainer",
}


#: The presets of each kind of items, by name; the first is the default.
PRESETS: dict[str, dict[str, Preset]] = {
    "text": {
        "dense": Preset("autoencoder", _TEXT),
        "quick": Preset("autoencoder", _QUICK_TEXT),
        **_family(_TEXT, _TEXT_NETWORK, noise=(0.3, 1.0), sparsity=0.5, contraction=0.01),
        "recursive": Preset("autoencoder", _RECURSIVE_TEXT),
        "recurrent": Preset("autoencoder", _RECURRENT_TEXT),
    },
    "image": {
        "patches": Preset("autoencoder", _PATCHES),
        "dense": Preset("autoencoder", _IMAGE),
        "conv": Preset("autoencoder", _CONV),
        **_family(_PATCHES, _PATCHES, noise=(0.3, 1.0), sparsity=0.02, contraction=0.1),
        "rebuilding": Preset("autoencoder", _rebuilding(_IMAGE)),
    },
    "vector": {
        "towers": Preset("towers", TowersRecipe()),
        "dense": Preset("autoencoder", _VECTOR),
        **_family(_VECTOR, _VECTOR, noise=(0.1, 0.5), sparsity=0.02, contraction=0.1),
        "rebuilding": Preset("autoencoder", _rebuilding(_VECTOR)),
        AS_GIVEN: Preset("identity", IdentityRecipe()),
    },
    "sequence": {
        "recursive": Preset("autoencoder", _RECURSIVE),
        "recurrent": Preset("autoencoder", _RECURRENT),
    },
}


def preset_for(kind: str, preset: str | None) -> str:
    """The name of the preset for a kind of items: `preset` itself, or the default if it is None.

    Raises UnknownKindError, listing what is known, for another kind or preset.
    """
    if kind not in PRESETS:
        raise UnknownKindError(
            f"kind: expected one of {', '.join(sorted(PRESETS))}, got {kind!r}; choose one of these"
        )
    known: Mapping[str, Preset] = PRESETS[kind]
    if preset is not None and preset not in known:
        raise UnknownKindError(
            f"preset: expected one of {', '.join(sorted(known))} for items of kind {kind}, "
            f"got {preset!r}; choose one of these"
        )
    return next(iter(known)) if preset is None else preset


def recipe_with_labels(recipe: Recipe) -> Recipe:
    """The recipe for a training with labels: a code must tell them too."""
    return replace(recipe, terms=(*recipe.terms, Labels()))


def recipe_of(kind: str, options: TrainingOptions | None) -> Recipe | TowersRecipe | IdentityRecipe:
    """The recipe that items of a kind are learned by with these options."""
    return PRESETS[kind][preset_for(kind, options.preset if options else None)].recipe


def require_used(kind: str, options: TrainingOptions) -> None:
    """Raise ValueError for an option that would change nothing with the preset of `options`.

    Each option must be one of the recipe's knobs, or have its default value.
    """
    recipe, times = PRESETS[kind][str(options.preset)].recipe, options.multiples
    sees_patches = isinstance(getattr(recipe, "trunk", None), Patches)
    if options.invariant and not sees_patches:
        raise ValueError(
            f"invariant: expected none with the preset {options.preset!r} for items of kind "
            f"{kind}, got {', '.join(options.invariant)}; take images and the preset 'patches', "
            "or none"
        )
    if options.label is not None and not isinstance(recipe, Recipe):
        able = [name for name, row in PRESETS[kind].items() if isinstance(row.recipe, Recipe)]
        raise ValueError(
            f"label: expected none with the preset {options.preset!r} for items of kind {kind}, "
            f"which learns distances only, got {options.label!r}; take the preset {able[0]!r}, or "
            "leave it out"
        )
    no_rounds = "none or 1" if recipe.rounds else "none"
    checks = [
        ("neighbours", "neighbours", "none", options.neighbours, options.neighbours is None),
        ("neighbours", "multiples", "neighbours 1", times.neighbours, times.neighbours == 1.0),
        ("rounds", "rounds", no_rounds, options.rounds, options.rounds in (None, recipe.rounds)),
        ("noise", "multiples", "noise 1", times.noise, times.noise == 1.0),
        ("telling", "multiples", "telling 1", times.telling, times.telling == 1.0),
        ("contrast", "multiples", "contrast 1", times.contrast, times.contrast == 1.0),
        ("epochs", "epochs", "none", options.epochs, options.epochs is None),
        (
            "epochs",
            "seed",
            "0",
            options.seed,
            options.seed == 0,
        ),  # without learning, a seed has no effect
        ("epochs", "multiples", "epochs 1", times.epochs, times.epochs == 1.0),
    ]
    for knob, name, expected, got, unchanged in checks:
        if knob not in recipe.knobs and not unchanged:
            raise ValueError(
                f"{name}: expected {expected} with the preset {options.preset!r} for items of "
                f"kind {kind}, got {got}; leave it out"
            )
