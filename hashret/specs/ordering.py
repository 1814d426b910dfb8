"""Where among the columns of sparse rows the steps of an item lie, in order."""

from __future__ import annotations

from dataclasses import dataclass

from hashret.arguments import require_whole_fields

#: The largest number of a token, so that float32 holds each exactly.
MOST_TOKENS = (1 << 24) - 1


@dataclass(frozen=True, slots=True)
class Ordering:
    """How an item's steps are stored in a row of features: from column `first` on, one by one.

    Every number of a step is stored, zeros too, so a row has as many steps as it stores numbers
    there, divided by `width`. What stands before `first` is something else, as the bag of words of
    a text.
    """

    width: int = 1
    """How many numbers a step has; 1 for tokens."""
    n_tokens: int = 0
    """The number of different tokens, which are 1 to this; 0 is an unknown one. 0 if steps are of
    numbers instead."""
    first: int = 0
    """The column of the first number of the first step."""

    def __post_init__(self) -> None:
        require_whole_fields(self, width=1, n_tokens=0, first=0)
        if self.n_tokens > MOST_TOKENS or (self.n_tokens and self.width > 1):
            raise ValueError(
                f"n_tokens: expected at most {MOST_TOKENS:,}, of steps of one token each, got "
                f"{self.n_tokens:,} in steps of {self.width}; take fewer"
            )
