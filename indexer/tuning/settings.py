"""The settings of training that can be tuned, and the steps from one to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from indexer.training.options import Multiples, TrainingOptions
from indexer.training.presets import PRESETS
from indexer.training.recipe import Knobs


def space_of(kind: str, preset: str) -> Knobs:
    """The values to try for each setting of a preset, the most important setting first."""
    return PRESETS[kind][preset].recipe.knobs


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to train, as multiples of the preset's values."""

    neighbours: float = 1.0
    rounds: int | None = None
    """The number of rounds; None if the preset has no rounds."""
    noise: float = 1.0
    epochs: float = 1.0
    telling: float = 1.0
    contrast: float = 1.0

    @classmethod
    def default(cls, kind: str, preset: str) -> Setting:
        """The setting of the preset itself."""
        return cls(rounds=PRESETS[kind][preset].recipe.rounds)

    def options(self, base: TrainingOptions) -> TrainingOptions:
        """The options `base` with this setting."""
        names = [field.name for field in fields(Multiples)]
        multiples = Multiples(**{name: getattr(self, name) for name in names})
        return replace(base, rounds=self.rounds, multiples=multiples)

    @property
    def cost(self) -> float:
        """The time of a training relative to that of other settings."""
        return (self.rounds or 1) * max(1.0, self.epochs)

    def steps(self, name: str, values: tuple[float, ...]) -> Iterator[tuple[Setting, ...]]:
        """For both directions along one coordinate, the settings up to its last value."""
        here = values.index(getattr(self, name))
        for path in (values[here + 1 :], values[:here][::-1]):
            changes: list[dict[str, Any]] = [{name: value} for value in path]
            yield tuple(replace(self, **change) for change in changes)

    def beside(self, space: Knobs) -> list[Setting]:
        """Every setting that is one step away."""
        paths = [path for name, values in space.items() for path in self.steps(name, values)]
        return [path[0] for path in paths if path]

    def to_json(self) -> dict[str, Any]:
        """The setting as a JSON object."""
        return asdict(self)
