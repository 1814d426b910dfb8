"""What may a caller choose of a training? Bits, seed, preset, and how much of everything."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from hashret.arguments import require_instance, require_number, shown, whole

#: The preset that learns nothing: vectors that are bits already are the codes, however long.
AS_GIVEN = "identity"
#: The longest codes, in bits: learned ones, and any that a collection can have.
_LEARNED_BITS, _GIVEN_BITS = 512, 1 << 16


@dataclass(frozen=True, slots=True)
class Multiples:
    """How much more or less than its preset a training does; each above 0.

    `epochs` of every stage of fine-tuning, `neighbours` that a code must explain, `noise` before
    the code's sigmoid. Unlike a number of epochs or neighbours, a multiple that was found on a
    sample (`tuning.tune`) means the same for all of a corpus.
    """

    epochs: float = 1.0
    neighbours: float = 1.0
    noise: float = 1.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            require_number(f"multiples: {name}", value)
            if not 0 < value < float("inf"):
                raise ValueError(
                    f"multiples: expected {name} above 0, got {value}; leave it out for the default"
                )


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What a caller may choose; recorded with the model.

    `n_bits` from 8 to 512 in steps of 8; with the preset "identity" as many as the vectors have,
    at most 65,536. `device` is auto, cpu or cuda. `preset` None is the
    default for the kind of items (`presets.PRESETS`); a report says which. `epochs` (of each
    round of fine-tuning), `neighbours` (how many of an item's nearest its code must explain) and
    `rounds` (of neighbours found again from the codes learned) are the preset's choice where None;
    `multiples` scale that. What would change nothing with a preset is refused by the
    training (`presets.require_used`).
    """

    n_bits: int = 64
    seed: int = 0
    device: str = "auto"
    preset: str | None = None
    epochs: int | None = None
    neighbours: int | None = None
    rounds: int | None = None
    multiples: Multiples = Multiples()

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
        require_instance("multiples", self.multiples, Multiples)
