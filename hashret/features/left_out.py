"""What the features of one payload would be without each of its parts.

The parts of a text are its words, those of an image its places, those of a vector its numbers, and
those of a sequence its tokens or stretches of its steps. To leave one out and to encode again says,
exactly, which bits of the code it carries.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from hashret.sparse import Features


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, as it is written there."""

    word: str

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle of an image, in shares of its width and height from the upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def __str__(self) -> str:
        """Where its middle is."""
        return f"{self.x + self.width / 2:.0%} across, {self.y + self.height / 2:.0%} down"


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a vector, or a bit where these are packed, by its position from 0."""

    number: int

    def __str__(self) -> str:
        return f"number {self.number}"


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of a series in a row, by their positions from 0."""

    first: int
    last: int

    def __str__(self) -> str:
        """Such as "steps 8 to 15"."""
        if self.first == self.last:
            return f"step {self.first}"
        return f"steps {self.first} to {self.last}"


Part = Word | Place | Number | Steps


@dataclass(frozen=True, slots=True)
class LeftOut:
    """n parts of one payload, and the features that it has without each of them."""

    parts: Sequence[Part]
    keys: Sequence[Hashable]
    """The same for the same part of another payload, as a word is in any spelling."""
    signs: np.ndarray
    """(n,) float64: -1 for a number below that of other items, else 1."""
    features: Features
    """(n, n_features): row i is of the payload without part i."""
    n_parts: int
    """How many parts the payload has, of which these n are those of the greatest features."""


def heaviest(weights: np.ndarray, most: int) -> np.ndarray:
    """The positions of the `most` greatest weights, or of all, increasing; of equals the first."""
    return np.sort(np.argsort(-weights, kind="stable")[:most])
