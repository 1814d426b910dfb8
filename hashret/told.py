"""What decoded features say, as people and programs read it: words, pixels, a vector, a series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

#: Words that are told of a code.
MOST_WORDS = 20


class ToldWord(NamedTuple):
    """A word that a code speaks of more than others do."""

    word: str
    share: float
    """Of all that is said of the item, 0 to 1."""
    usual: float
    """The same of the usual item."""


def telling_words(
    shares: np.ndarray, usual: np.ndarray, vocabulary: Sequence[str]
) -> list[ToldWord]:
    """At most 20 words of which a code says more than is usual, the most telling first.

    `shares` and `usual` (n_words,) sum to 1. A word counts by its part in the Kullback-Leibler
    divergence from the usual shares, share x log(share / usual), which neither words that all
    texts have lead, nor those that hardly any has.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        telling = np.where(shares > usual, shares * np.log(shares / usual), 0.0)
    first = np.argsort(-telling, kind="stable")[:MOST_WORDS]
    return [
        ToldWord(vocabulary[i], float(shares[i]), float(usual[i]))
        for i in first.tolist()
        if telling[i] > 0
    ]


def told_json(form: str, one: Any) -> dict[str, Any]:
    """What one code says as JSON, of this form; `one` is what `Collection.decode` has of it."""
    return {form: [word._asdict() for word in one] if form == "words" else one.tolist()}
