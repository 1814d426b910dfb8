"""Presets: the recipes by which each kind of items can be learned, the default first.

A recipe chooses a trunk, a bottleneck, a target with further terms, and a corruption (`parts`). The
reason for each number is in docs/training-measurements.md. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from hashret.errors import UnknownKindError
from indexer.training.options import AS_GIVEN, TrainingOptions
from indexer.training.parts import (
    Bernoulli,
    Contraction,
    Contrast,
    Conv,
    Dense,
    Folded,
    Gaussian,
    Greedy,
    Labels,
    Neighbours,
    NoisySigmoid,
    Patches,
    Recirculation,
    Recurrent,
    Recursive,
    Rounded,
    Sparsity,
    Squared,
    Succession,
    Views,
    Words,
)
from indexer.training.recipe import (
    Corruption,
    IdentityRecipe,
    LinearMap,
    Neighbourhood,
    Recipe,
    TellingWords,
    TowersRecipe,
)

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


def _rebuilding(recipe: Recipe, gaussian: float) -> Recipe:
    """The recipe for codes that are to be turned back: all that counts is the item itself.

    Long codes have fine bits, which noise and steps of descent spoil: they stay as they begin.
    `gaussian` is noise on the features: few numbers that hang together little are learned by heart
    without it.
    """
    return replace(
        recipe,
        trunk=Folded(hidden=(1024,)),
        bottleneck=NoisySigmoid(noise=(0.1, 0.5)),
        target=Squared(),
        terms=(),
        corruption=Corruption(masked_share=0.0, gaussian=gaussian),
        neighbourhood=None,
        pretrain_epochs=0,
        epochs=16,
        learning_rate=1e-3,
        learned_bits=64,
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
        "rebuilding": Preset("autoencoder", _rebuilding(_IMAGE, 0.0)),
    },
    "vector": {
        "towers": Preset("towers", TowersRecipe()),
        "dense": Preset("autoencoder", _VECTOR),
        **_family(_VECTOR, _VECTOR, noise=(0.1, 0.5), sparsity=0.02, contraction=0.1),
        "rebuilding": Preset("autoencoder", _rebuilding(_VECTOR, 0.5)),
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
