"""What turns a number that a model computes to a positive value, or away from it?

Each part of a sample of items is left out (`features.left_out`), and what the number loses is
averaged over the items in which it is positive, and over the others. So it is the mean of the
explanations by leaving out (Robnik-Šikonja and Kononenko, TKDE 2008), whatever the model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hashret.codes import Codes
from hashret.features.left_out import Part
from hashret.insight.held import Held, held
from hashret.snapshot import Snapshot
from hashret.sparse import Features, known

#: Bits of all codes that are looked at, of which some arrays of float64 are made; of long codes
#: fewer are taken.
_CELLS = 1 << 25
#: Payloads that are encoded to find what turns the numbers, and so many where a model convolves
#: images, which takes a millisecond each.
_ENCODED, CONVOLVED = 50_000, 2_500
#: Fewest and most items whose parts are left out, and the most parts of one.
_FEWEST, _MOST, _PARTS = 20, 1_000, 400
#: A part counts as if so many more items had it and it did nothing there, so that what is in one
#: item does not come first by chance.
_DOUBT = 5
#: Parts that turn a number to either side.
_TOLD = 10


@dataclass(frozen=True, slots=True)
class Turning:
    """A part that turns a bit."""

    part: Part
    weight: float
    """How much of the leaning to this value is lost without it, in standard deviations."""

    def to_json(self) -> dict[str, Any]:
        """The part's own fields, and its weight, as JSON."""
        return asdict(self.part) | {"weight": round(self.weight, 4)}


#: What turns one number to a positive value, and what turns it away from one.
Pair = tuple[tuple[Turning, ...], tuple[Turning, ...]]


def turning(
    snapshot: Snapshot, measure: Callable[[Features], np.ndarray], n: int
) -> tuple[list[Pair], int] | None:
    """Of each of n numbers what turns it to either side, and how many items this is known from.

    `measure` computes the numbers of rows of features, (rows, n). None where the parts of items are
    not held.
    """
    sample = _sampled(snapshot)
    if sample is None:
        return None
    found = measure(sample.features)
    spread = found.std(axis=0)
    spread[spread == 0] = 1.0
    sums: dict[Hashable, np.ndarray] = defaultdict(lambda: np.zeros((2, n)))
    counts: dict[Hashable, np.ndarray] = defaultdict(lambda: np.zeros((2, n)))
    spelled: dict[Hashable, Counter[Part]] = defaultdict(Counter)
    for own, left in zip(found, sample.left_out(snapshot, _PARTS), strict=True):
        if left is None:
            return None
        moved = (own - measure(left.features)) * left.signs[:, None] / spread
        values = np.array([own > 0, own <= 0])  # (2, n): whether the number is positive, is not
        has_code = known(left.features)
        for i, key in enumerate(left.keys):
            if has_code[i]:
                sums[key] += values * moved[i]
                counts[key] += values
                spelled[key][left.parts[i]] += 1
    parts = [spelled[key].most_common(1)[0][0] for key in sums]
    shrunk = [sums[key] / (counts[key] + _DOUBT) for key in sums]
    weights = np.array(shrunk).reshape(-1, 2, n)
    return [
        (_strongest(parts, weights[:, 0, place]), _strongest(parts, -weights[:, 1, place]))
        for place in range(n)
    ], len(sample.positions)


def _sampled(snapshot: Snapshot) -> Held | None:
    """The items whose parts are left out: as many as are encoded in a few seconds."""
    codes = snapshot.codes
    convolves = getattr(snapshot.coder.encoder.spec, "n_responses", 0) > 0
    few = held(snapshot, spaced(codes, _FEWEST))
    left = None if few is None else next(few.left_out(snapshot, _PARTS))
    if left is None:
        return None
    budget = CONVOLVED if convolves else _ENCODED
    n_items = min(max(budget // max(len(left.parts), 1), _FEWEST), _MOST)
    return held(snapshot, spaced(codes, n_items))


def _strongest(parts: Sequence[Part], weights: np.ndarray) -> tuple[Turning, ...]:
    """The parts of the greatest positive weights, these first."""
    order = np.argsort(-weights, kind="stable")[:_TOLD].tolist()
    return tuple(Turning(parts[i], float(weights[i])) for i in order if weights[i] > 0)


def spaced(codes: Codes, most: int) -> np.ndarray:
    """At most so many positions among the codes, evenly spaced, increasing; of long codes fewer."""
    n = len(codes)
    return np.linspace(0, n - 1, min(n, most, _CELLS // codes.n_bits)).astype(np.int64)
