"""What does each bit of the codes mean, and what does it tell that the others do not?

* *Balance* and *likeness* are counted in the stored codes.
* *What it tells alone* is H(b | its three most alike bits) / H(b), in the stored codes: the share
  of a bit's entropy that is left to those who know the three bits of the highest absolute
  correlation with it (Cover and Thomas, "Elements of information theory", chapter 2). Entropies are
  those of the observed frequencies, with the correction of Miller, "Note on the bias of information
  estimates", 1955. More bits can only explain more of it, so it is an upper bound of what no other
  bit tells.
* *What turns it* to 1 is found by leaving out each part of a sample of items (`insight.explain`):
  the mean loss of the bit's logit among the items in which it is 1, in standard deviations of that
  logit; and likewise to 0. So it is the mean of the explanations by leaving out (Robnik-Šikonja and
  Kononenko, TKDE 2008), whatever the model.
* *Surest* are the items of the highest and the lowest logit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hashret.codes import Codes
from hashret.collection import Collection
from hashret.errors import CollectionError
from hashret.insight.held import held, why_not
from hashret.insight.meaning.turning import CONVOLVED, Turning, spaced, turning
from hashret.snapshot import Snapshot

#: Codes among which likeness is counted, and items among which the surest are sought: enough for
#: two decimals, and few enough for a second or two.
_CODES, _ITEMS = 100_000, 20_000
#: Bits whose correlations with all others are in memory at a time.
_BLOCK = 256
#: The most alike bits by which a bit is explained: 16 frequencies, which few items can tell.
_ALIKE = 3
#: Items surest of a bit's value.
_TOLD = 10


@dataclass(frozen=True, slots=True)
class Sure:
    """An item that is among the surest of a bit's value."""

    id: str
    preview: str
    certainty: float
    """The probability that the model gives to the value that the item has."""

    def to_json(self) -> dict[str, Any]:
        """The item as JSON."""
        return {"id": self.id, "preview": self.preview, "certainty": round(self.certainty, 4)}


@dataclass(frozen=True, slots=True)
class Bit:
    """What one bit of the codes means. What is not known is empty."""

    bit: int
    ones: float
    """The share of items in which it is 1."""
    alone: float
    """The share of what it tells that no other bit tells, at most (0 to 1); see above."""
    most_alike: int
    """The other bit of the highest absolute correlation; of equals the first."""
    correlation: float
    for_one: tuple[Turning, ...]
    """What turns it to 1, the strongest first: a number does so the higher it is."""
    for_zero: tuple[Turning, ...]
    """What turns it to 0; weights are positive here too."""
    surest_one: tuple[Sure, ...]
    surest_zero: tuple[Sure, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON, under stable keys."""
        lists = ("for_one", "for_zero", "surest_one", "surest_zero")
        return {
            "bit": self.bit,
            "ones": round(self.ones, 4),
            "alone": round(self.alone, 4),
            "most_alike": {"bit": self.most_alike, "correlation": round(self.correlation, 4)},
        } | {name: [one.to_json() for one in getattr(self, name)] for name in lists}


@dataclass(frozen=True, slots=True)
class Bits:
    """What the bits of a collection's codes mean, and from how many items that is known."""

    n_items: int
    """Items with a code."""
    bits: tuple[Bit, ...]
    n_left_out: int
    """Items whose parts were left out, a sample; 0 where these are not held."""
    n_sure: int
    """Items among which the surest were sought, a sample; 0 where nothing is held of them."""
    note: str = ""
    """Why something is not known, if that is so."""

    def to_json(self, bit: int | None = None) -> dict[str, Any]:
        """All of it as JSON, under stable keys; of one bit, or of all."""
        return {
            "n_bits": len(self.bits),
            "n_items": self.n_items,
            "n_left_out": self.n_left_out,
            "n_sure": self.n_sure,
            "bits": [one.to_json() for one in self.bits if bit is None or one.bit == bit],
        } | ({"note": self.note} if self.note else {})


def bits(collection: Collection) -> Bits:
    """What each bit of the collection's codes means; in some seconds, the same each time.

    Raises CollectionError without a model or without a code, and `DamagedError`.
    """
    snapshot = collection.standing().snapshot
    codes = snapshot.codes
    if not len(codes):
        raise CollectionError(
            f"{snapshot.layout.root}: expected items with a code, got none; add some"
        )
    alike, correlations, alone = _likeness(codes[spaced(codes, _CODES)])
    n_bits = codes.n_bits
    found = turning(snapshot, snapshot.coder.encoder.logits, n_bits)
    by_parts, n_left_out = found or ([((), ())] * n_bits, 0)
    surest, n_sure = _surest(snapshot)
    ones = _shares(codes)
    told = [
        Bit(
            bit,
            float(ones[bit]),
            float(alone[bit]),
            int(alike[bit]),
            float(correlations[bit]),
            *by_parts[bit],
            *surest[bit],
        )
        for bit in range(n_bits)
    ]
    note = "" if n_left_out and n_sure else why_not(snapshot)
    return Bits(len(codes), tuple(told), n_left_out, n_sure, note)


def _shares(codes: Codes) -> np.ndarray:
    """The share of ones of each bit, (n_bits,)."""
    starts = range(0, len(codes), _CODES)
    return sum(codes[at : at + _CODES].bits.sum(0) for at in starts) / len(codes)


def _likeness(codes: Codes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bit the most alike other one, their correlation, and what it tells alone."""
    found = codes.bits
    n_bits = codes.n_bits
    centred = found - found.mean(0, dtype=np.float64)
    spread = np.sqrt(np.square(centred).sum(0))
    spread[spread == 0] = 1.0  # a bit that is always the same is like none
    centred /= spread
    alike, likeness, alone = np.zeros(n_bits, np.int64), np.zeros(n_bits), np.zeros(n_bits)
    for start in range(0, n_bits, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, n_bits))
        correlations = centred[:, block].T @ centred  # (bits of the block, n_bits)
        size = np.abs(correlations).round(12)  # bits alike but for rounding stand in their order
        size[np.arange(len(block)), block] = -1.0
        order = np.argsort(-size, axis=1, kind="stable")[:, :_ALIKE]
        alike[block] = order[:, 0]
        likeness[block] = correlations[np.arange(len(block)), order[:, 0]]
        alone[block] = [
            _alone(found[:, bit], found[:, others])
            for bit, others in zip(block.tolist(), order, strict=True)
        ]
    return alike, likeness, alone


def _alone(bit: np.ndarray, others: np.ndarray) -> float:
    """The share of a bit's entropy, (n,) bool, that is left to who knows others, (n, m) bool."""
    given = others @ (1 << np.arange(others.shape[1]))
    counts = np.bincount(2 * given + bit, minlength=2 << others.shape[1]).reshape(-1, 2)
    own = _entropy(counts.sum(0))
    left = _entropy(counts.ravel()) - _entropy(counts.sum(1))
    return min(max(left / own, 0.0), 1.0) if own > 0 else 0.0


def _entropy(counts: np.ndarray) -> float:
    """The entropy, in nats, of what was counted, corrected as Miller says."""
    seen = counts[counts > 0]
    shares = seen / seen.sum()
    return float(-(shares * np.log(shares)).sum() + (len(seen) - 1) / (2 * seen.sum()))


def _surest(
    snapshot: Snapshot,
) -> tuple[list[tuple[tuple[Sure, ...], tuple[Sure, ...]]], int]:
    """Of each bit the items surest of 1 and of 0, and the number of those that were looked at."""
    encoder = snapshot.coder.encoder
    convolves = getattr(encoder.spec, "n_responses", 0) > 0
    most = CONVOLVED if convolves else _ITEMS
    found = held(snapshot, spaced(snapshot.codes, most), for_parts=False)
    if found is None:
        return [((), ())] * snapshot.n_bits, 0
    logits = encoder.logits(found.features)
    certainties = encoder.probabilities(logits)
    told = []
    for bit in range(snapshot.n_bits):
        order = np.argsort(-logits[:, bit], kind="stable")
        ones = [i for i in order[:_TOLD].tolist() if logits[i, bit] > 0]
        zeros = [i for i in order[::-1][:_TOLD].tolist() if logits[i, bit] <= 0]
        told.append(
            (
                _sure(snapshot, found.positions[ones], certainties[ones, bit]),
                _sure(snapshot, found.positions[zeros], 1.0 - certainties[zeros, bit]),
            )
        )
    return told, len(found.positions)


def _sure(snapshot: Snapshot, positions: np.ndarray, certainties: np.ndarray) -> tuple[Sure, ...]:
    shown = snapshot.shown(snapshot.rows[positions].tolist())
    return tuple(
        Sure(item_id, preview, float(certainty))
        for (item_id, _, preview), certainty in zip(shown, certainties, strict=True)
    )
