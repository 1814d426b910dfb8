"""The settings of decoders: how codes become features again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

from hashret.arguments import require_whole_fields
from hashret.specs.ordering import Ordering


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """The decoder half of an autoencoder: linear layers with ReLU between them."""

    kind: ClassVar[str] = "decoder"
    #: Fields of former models, which say nothing any more: codes are drawn from trees for all.
    DROPPED: ClassVar[tuple[str, ...]] = ("prior",)
    outputs: Literal["words", "numbers", "steps", "bits"]
    """What is decoded (`decoders.outputs`): a distribution over words, numbers, the numbers of
    steps in order and how many steps there are, or the bits."""
    n_bits: int
    n_outputs: int
    """The width of what is decoded."""
    hidden: tuple[int, ...] = ()
    """The number of units in each hidden layer."""
    scale: float = 1.0
    """The factor by which decoded numbers are multiplied last."""
    width: int = 0
    """How many numbers a step has, where features hold steps in order; 0: they hold none."""
    n_tokens: int = 0
    """The number of different tokens, where these are the steps."""
    first: int = 0
    """The column of the first step (`specs.ordering.Ordering`)."""

    def __post_init__(self) -> None:
        require_whole_fields(self, n_bits=1, n_outputs=1, width=0, n_tokens=0, first=0)
        if self.outputs == "bits" and (self.n_outputs != self.n_bits or self.hidden):
            raise ValueError(
                f"n_outputs: expected {self.n_bits} and no layers where the bits are what is "
                f"decoded, got {self.n_outputs} and {len(self.hidden)}; train it again"
            )

    @property
    def ordering(self) -> Ordering | None:
        """Where the features hold steps in order; None if they hold none."""
        return Ordering(self.width, self.n_tokens, self.first) if self.width else None

    def layer_shapes(self) -> list[tuple[int, int]]:
        """The shape of each layer's weight, (n_in, n_out); none where the bits are decoded."""
        if self.outputs == "bits":
            return []
        return list(pairwise((self.n_bits, *self.hidden, self.n_outputs)))
