"""The options of a training that a caller may choose: bits, seed, preset, and multiples."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from hashret.arguments import require_instance, require_number, shown, whole
from hashret.specs.encoders import INVARIANCES

#: The preset that learns nothing: packed bits are taken as the codes, whatever their length.
AS_GIVEN = "identity"
#: The longest codes in bits: of those that are learned, and of those that are taken as given.
_LEARNED_BITS, _GIVEN_BITS = 512, 1 << 16


@dataclass(frozen=True, slots=True)
class Multiples:
    """Factors, above 0, that multiply numbers of the preset.

    `epochs` are those of every stage of fine-tuning, `neighbours` those that a code must explain,
    `noise` is that before the code's sigmoid, `telling` how much it counts that a word tells themes
    apart (`recipe.TellingWords.strength`), `contrast` the weight of all terms besides the target
    (`recipe.Term`). Unlike a number of epochs or neighbours, a factor that was found on a sample
    (`tuning.tune`) also suits the whole corpus.
    """

    epochs: float = 1.0
    neighbours: float = 1.0
    noise: float = 1.0
    telling: float = 1.0
    contrast: float = 1.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            require_number(f"multiples: {name}", value)
            if not 0 < value < float("inf"):
                raise ValueError(
                    f"multiples: expected {name} above 0, got {value}; leave it out for the default"
                )


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """The options of one training; they are recorded with the model.

    `n_bits` from 8 to 512 in steps of 8; with the preset "identity" as many as the vectors have,
    at most 65,536. `device` is auto, cpu or cuda. `preset` None is the
    default for the kind of items (`presets.PRESETS`); a report says which. `epochs` (of each
    round of fine-tuning), `neighbours` (how many of an item's nearest its code must explain) and
    `rounds` (how often neighbours are found, each time but the first with the codes learned) are
    chosen by the preset if None; `multiples` scale them. `invariant` names what changes no code of
    an image: "mirror" (left for right), "rotation" (turns by quarters, of square images); None
    stands for nothing, or in a collection for what its former model ignored. `label` names the
    field of the items' metadata that is their class, which the codes are to tell as well; None: no
    label is looked at. With `decoder`, one is taught last, by which codes become features again
    (`training.decoder`). An option that has no effect with the preset is refused by the training
    (`presets.require_used`).
    """

    n_bits: int = 64
    seed: int = 0
    device: str = "auto"
    preset: str | None = None
    epochs: int | None = None
    neighbours: int | None = None
    rounds: int | None = None
    multiples: Multiples = Multiples()
    invariant: tuple[str, ...] | None = None
    label: str | None = None
    decoder: bool = True

    def __post_init__(self) -> None:
        most = _GIVEN_BITS if self.preset == AS_GIVEN else _LEARNED_BITS
        if not isinstance(self.n_bits, int) or self.n_bits not in range(8, most + 1, 8):
            raise ValueError(
                f"n_bits: expected 8 to {most} in steps of 8, got {shown(self.n_bits)}; "
                "choose one of these"
            )
        for name in ("epochs", "neighbours", "rounds"):
            value = getattr(self, name)
            if value is not None and whole(name, value) < 1:
                raise ValueError(
                    f"{name}: expected at least 1, got {value}; leave it out for the default"
                )
        if whole("seed", self.seed) < 0:
            raise ValueError(f"seed: expected 0 or more, got {self.seed}; choose another")
        require_instance("device", self.device, str)
        if self.preset is not None:
            require_instance("preset", self.preset, str)
        if self.label is not None:
            require_instance("label", self.label, str)
        require_instance("multiples", self.multiples, Multiples)
        require_instance("decoder", self.decoder, bool)
        if self.invariant is not None:
            require_instance("invariant", self.invariant, tuple)
        if unknown := [name for name in self.invariant or () if name not in INVARIANCES]:
            raise ValueError(
                f"invariant: expected some of {', '.join(INVARIANCES)}, got {unknown[0]!r}; "
                "leave it out"
            )
