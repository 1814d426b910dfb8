"""Codes that nobody stored: drawn from what is likely, near a code, or on the way between two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hashret.codes import Codes
from hashret.decoders.decoder import Decoder
from hashret.decoders.priors import TreeMixture
from hashret.decoders.sampling import sampled_numbers, sampled_words
from hashret.decoders.walks import away
from hashret.decoders.walks import between as walk_between

#: Codes that are drawn if their number is not said, and words of a text that is drawn.
_DRAWN, _WORDS = 16, 60


class Generated(NamedTuple):
    """Codes that nobody stored, and what they say."""

    codes: Codes
    said: list[Any] | np.ndarray
    """As `Collection.decode` gives it."""


def new_codes(
    stored: Codes,
    n: int | None,
    *,
    near: Codes | None,
    between: Sequence[Codes] | None,
    rng: np.random.Generator,
) -> Codes:
    """n codes drawn from the mixture of trees of the stored codes (`priors`).

    Or with `near`, one code, that and others that are each a bit further away from it; with
    `between`, two codes, those on the way from one to the other, a bit each step, or n of them,
    evenly spaced. n None is 16, and all on the way.
    """
    if near is not None:
        return away(near, (n or _DRAWN) - 1, TreeMixture.of(stored))
    if between is not None:
        walk = walk_between(between[0], between[1], TreeMixture.of(stored))
        if n is None or n >= len(walk):
            return walk
        return walk[np.linspace(0, len(walk) - 1, n).round().astype(np.int64)]
    return TreeMixture.of(stored).draw(n or _DRAWN, rng)


def sampled(decoder: Decoder, decoded: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Features drawn around what is decoded, as far from it as items are: p(features | code).

    Of words the shares among 60 that are drawn; bits leave nothing open.
    """
    if decoder.spec.outputs == "words":
        return sampled_words(decoded, _WORDS, rng).astype(np.float32) / _WORDS
    drawn = sampled_numbers(decoded, decoder.held_errors, rng)
    if decoder.spec.outputs == "steps":
        drawn[:, -1] = decoded[:, -1]  # how many steps there are is told apart
    return drawn
