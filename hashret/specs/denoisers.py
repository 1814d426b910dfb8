"""The settings of denoisers: what takes the noise out of images and vectors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from hashret.arguments import require_whole_fields


@dataclass(frozen=True, slots=True)
class PatchDenoiserSpec:
    """A dense network from a square patch of an image and its noise to the noise in it."""

    kind: ClassVar[str] = "patch-denoiser"
    channels: int
    """1: it sees one channel at a time; 3: red, green and blue together."""
    side: int = 8
    """Height and width of a patch, in pixels."""
    hidden: tuple[int, ...] = (256, 256)
    """The number of units in each hidden layer."""

    def __post_init__(self) -> None:
        require_whole_fields(self, channels=1, side=2)
        if self.channels not in (1, 3) or self.side % 2:
            raise ValueError(
                f"channels, side: expected 1 or 3 channels and an even side, got {self.channels} "
                f"and {self.side}; train it again"
            )

    def layer_shapes(self) -> list[tuple[int, int]]:
        """The shape of each layer's weight, (n_in, n_out); the noise enters beside the patch."""
        size = self.side * self.side * self.channels
        return list(pairwise((size + 1, *self.hidden, size)))


@dataclass(frozen=True, slots=True)
class VectorDenoiserSpec:
    """The best linear map from noisy vectors to clean ones."""

    kind: ClassVar[str] = "vector-denoiser"
    n_features: int
    n_directions: int
    """The number of principal directions whose variances it knows one by one."""

    def __post_init__(self) -> None:
        require_whole_fields(self, n_features=1, n_directions=1)
        if self.n_directions > self.n_features:
            raise ValueError(
                f"n_directions: expected at most {self.n_features}, got {self.n_directions}; train "
                "it again"
            )


DenoiserSpec = PatchDenoiserSpec | VectorDenoiserSpec
