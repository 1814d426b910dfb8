"""The settings of decoders: how codes become features again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

from hashret.specs.fields import require_whole


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """The decoder half of an autoencoder: linear layers with ReLU between them."""

    kind: ClassVar[str] = "decoder"
    outputs: Literal["words", "numbers", "bits"]
    """What is decoded (`decoders.outputs`): a distribution over words, numbers, or the bits."""
    n_bits: int
    n_outputs: int
    """The width of what is decoded."""
    hidden: tuple[int, ...] = ()
    """The number of units in each hidden layer."""
    scale: float = 1.0
    """The factor by which decoded numbers are multiplied last."""
    prior: Literal["trees", "fair"] = "trees"
    """Which codes are likely (`decoders.priors`): those that are like stored ones; or any, by fair
    bits, where the model was taught to have such codes."""

    def __post_init__(self) -> None:
        require_whole(self, n_bits=1, n_outputs=1)
        if self.outputs == "bits" and (self.n_outputs != self.n_bits or self.hidden):
            raise ValueError(
                f"n_outputs: expected {self.n_bits} and no layers where the bits are what is "
                f"decoded, got {self.n_outputs} and {len(self.hidden)}; train it again"
            )

    def layer_shapes(self) -> list[tuple[int, int]]:
        """The shape of each layer's weight, (n_in, n_out); none where the bits are decoded."""
        if self.outputs == "bits":
            return []
        return list(pairwise((self.n_bits, *self.hidden, self.n_outputs)))
