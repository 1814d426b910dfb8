"""What may be tuned? Settings of training, and the steps from one to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from indexer.training.options import Multiples, TrainingOptions
from indexer.training.presets import PRESETS
from indexer.training.recipe import Knobs


def space_of(kind: str, preset: str) -> Knobs:
    """What is tuned of a preset for a kind of item, the weightiest first."""
    return PRESETS[kind][preset].recipe.knobs


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to train: multiples of the preset's, and the rounds (None: the preset has none)."""

    neighbours: float = 1.0
    rounds: int | None = None
    noise: float = 1.0
    epochs: float = 1.0

    @classmethod
    def default(cls, kind: str, preset: str) -> Setting:
        """The preset as it is."""
        return cls(rounds=PRESETS[kind][preset].recipe.rounds)

    def options(self, base: TrainingOptions) -> TrainingOptions:
        """`base` with this setting."""
        times = Multiples(self.epochs, self.neighbours, self.noise)
        return replace(base, rounds=self.rounds, multiples=times)

    @property
    def cost(self) -> float:
        """What a training takes, in any unit, as far as it depends on the setting."""
        return (self.rounds or 1) * max(1.0, self.epochs)

    def steps(self, name: str, values: tuple[float, ...]) -> Iterator[tuple[Setting, ...]]:
        """In each direction of one value, the settings on the way to its last."""
        here = values.index(getattr(self, name))
        for way in (values[here + 1 :], values[:here][::-1]):
            changes: list[dict[str, Any]] = [{name: value} for value in way]
            yield tuple(replace(self, **change) for change in changes)

    def beside(self, space: Knobs) -> list[Setting]:
        """Every setting one step away."""
        ways = [way for name, values in space.items() for way in self.steps(name, values)]
        return [way[0] for way in ways if way]

    def to_json(self) -> dict[str, Any]:
        """The values by name."""
        return asdict(self)
