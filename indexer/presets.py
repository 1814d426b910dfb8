"""Presets: named recipes of training, one for each kind of item.

A recipe is everything about training that does not depend on the corpus. What was measured to
choose it stands in ``docs/adr/0004-training.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hashret.errors import UnknownKindError


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one kind of item is learned."""

    objective: str
    """"words": cross-entropy against a distribution over the features; "squared": their error."""
    hidden: tuple[int, ...]
    """Units of the encoder's hidden layers; the decoder mirrors them."""
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
    most a fortieth of them: the themes of a small corpus are few."""
    neighbour_draws: int
    """Members drawn afresh for each item and step."""
    rounds: int
    """How often neighbourhoods are found, each time but the first with the codes learned."""
    neighbours: int = 0
    """The width for one corpus; set by `fitted`."""

    def fitted(
        self, n: int, epochs: int | None, neighbours: int | None, rounds: int | None
    ) -> Recipe:
        """The recipe for n >= 2 items, with the choices of a caller where they are not None."""
        batch_size = max(2, min(self.batch_size, n // 8))
        enough = -(-self.least_steps // max(1, n // batch_size))
        width = round(self.neighbour_width * n**0.5)
        return replace(
            self,
            batch_size=batch_size,
            epochs=epochs or max(self.epochs, enough),
            pretrain_epochs=max(self.pretrain_epochs, enough // 4),
            neighbours=neighbours or max(2, min(width, n // 40)),
            rounds=rounds or self.rounds,
        )


_TEXT = Recipe(
    objective="words",
    hidden=(500, 500),
    input_scale=10.0,
    masked_share=0.2,
    gaussian=0.0,
    pretrain_epochs=2,
    epochs=10,
    least_steps=300,
    batch_size=256,
    learning_rate=2e-3,
    noise=(0.3, 1.0),
    gain=(2.0, 16.0),
    neighbour_weight=0.8,
    neighbour_width=3.0,
    neighbour_draws=8,
    rounds=2,
)
_IMAGE = Recipe(
    objective="squared",
    hidden=(512, 512),
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
)
# a user's own vectors are compared by their near neighbours, which a wide mean would blur
_VECTOR = replace(_IMAGE, noise=(0.1, 0.5), neighbour_weight=0.0)

#: Preset name -> kind of item -> recipe.
PRESETS: dict[str, dict[str, Recipe]] = {
    "dense": {"text": _TEXT, "image": _IMAGE, "vector": _VECTOR},
}


def recipe_for(preset: str, kind: str) -> Recipe:
    """The recipe of a preset for a kind of item ("text", "image" or "vector").

    Raises UnknownKindError, listing what is known, for another preset or kind.
    """
    for what, name, known in (("preset", preset, PRESETS), ("kind", kind, PRESETS["dense"])):
        if name not in known:
            raise UnknownKindError(
                f"{what}: expected one of {', '.join(sorted(known))}, got {name!r}; "
                "choose one of these"
            )
    return PRESETS[preset][kind]
