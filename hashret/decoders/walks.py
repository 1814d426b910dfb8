"""Walk from code to code, bit by bit, where codes are likely.

Each step flips the one bit that leaves the code the most likely (`decoders.priors`), so that
what lies on the way decodes to something, as far as that can be.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hashret.codes import Codes
from hashret.decoders.priors import Prior


def away(code: Codes, n_steps: int, prior: Prior) -> Codes:
    """The codes of a walk of so many steps away from one code, which comes first.

    No bit is flipped twice, so step i is i bits away. At most as many steps as there are bits.
    """
    free = np.ones(code.n_bits, bool)
    return _walked(code, free, min(n_steps, code.n_bits), prior)


def between(one: Codes, other: Codes, prior: Prior) -> Codes:
    """The codes of the walk from one code to the other, both included; each step is one bit."""
    differ = one.bits[0] != other.bits[0]
    return _walked(one, differ, int(differ.sum()), prior)


def _walked(code: Codes, free: np.ndarray, n_steps: int, prior: Prior) -> Codes:
    return Codes.concatenate([code, *_steps(code, free, n_steps, prior)])


def _steps(code: Codes, free: np.ndarray, n_steps: int, prior: Prior) -> Iterator[Codes]:
    """Yield the code after each step; only the bits that are `free` are flipped."""
    bits, free = code.bits[0].copy(), free.copy()
    for _ in range(n_steps):
        candidates = np.flatnonzero(free)
        flipped = np.repeat(bits[None], len(candidates), axis=0)
        flipped[np.arange(len(candidates)), candidates] ^= True
        likely = prior.log_probabilities(Codes.pack(flipped))
        chosen = int(candidates[likely.argmax()])
        bits[chosen] ^= True
        free[chosen] = False
        yield Codes.pack(bits[None])
