"""What does each hidden unit of the model respond to, and which bits go with it?

A unit's activation is what it hands to the next layer, 0 or more (`Encoder.activations`). What
turns a unit on is found like what turns a bit (`turning`); the items that it responds to most are
those of the highest activation; and the bits that go with it are those whose logits are most
correlated with its activation. Looking at hidden units this way: Zeiler and Fergus, "Visualizing
and understanding convolutional networks", ECCV 2014; Bau et al., "Network dissection", CVPR 2017.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hashret.collection import Collection
from hashret.errors import CollectionError
from hashret.insight.held import held, why_not
from hashret.insight.meaning.turning import CONVOLVED, Turning, spaced, turning
from hashret.snapshot import Snapshot
from hashret.sparse import Features

#: Items among which those that a unit responds to are sought: a second or two.
_ITEMS = 20_000
#: Items, and bits, that are told of a unit.
_TOLD, _BITS = 10, 5


@dataclass(frozen=True, slots=True)
class Response:
    """An item that is among those that a unit responds to most."""

    id: str
    preview: str
    activation: float
    """In standard deviations of the unit's activation, from 0."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What one hidden unit responds to. What is not known is empty."""

    unit: int
    """Its number among all hidden units, from 0; those of the first layer come first."""
    layer: int
    """The number of its layer, from 1 at the features."""
    active: float
    """The share of items in which its activation is above 0."""
    turned_on_by: tuple[Turning, ...]
    """What raises its activation where it is active, the strongest first."""
    items: tuple[Response, ...]
    bits: tuple[tuple[int, float], ...]
    """The bits whose logits go with it, and the correlations: the highest absolute ones first."""

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON, under stable keys."""
        return {
            "unit": self.unit,
            "layer": self.layer,
            "active": round(self.active, 4),
            "turned_on_by": [one.to_json() for one in self.turned_on_by],
            "items": [asdict(one) | {"activation": round(one.activation, 4)} for one in self.items],
            "bits": [{"bit": bit, "correlation": round(value, 4)} for bit, value in self.bits],
        }


@dataclass(frozen=True, slots=True)
class Units:
    """What the hidden units of a collection's model respond to, and from how many items."""

    units: tuple[Unit, ...]
    n_left_out: int
    """Items whose parts were left out, a sample; 0 where these are not held."""
    n_items: int
    """Items whose activations were looked at, a sample."""

    def to_json(self, unit: int | None = None) -> dict[str, Any]:
        """All of it as JSON, under stable keys; of one unit, or of all."""
        return {
            "n_units": len(self.units),
            "n_left_out": self.n_left_out,
            "n_items": self.n_items,
            "units": [one.to_json() for one in self.units if unit is None or one.unit == unit],
        }


def units(collection: Collection) -> Units:
    """What each hidden unit of the collection's model responds to; the same each time.

    Raises CollectionError for a model without hidden units, as the linear map of most texts is,
    without a model or a code, and where nothing is held of the items; and `DamagedError`.
    """
    snapshot = collection.standing().snapshot
    encoder, root = snapshot.coder.encoder, snapshot.layout.root
    convolves = getattr(encoder.spec, "n_responses", 0) > 0
    if not len(snapshot.codes):
        raise CollectionError(f"{root}: expected items with a code, got none; add some")
    most = CONVOLVED if convolves else _ITEMS
    found = held(snapshot, spaced(snapshot.codes, most), for_parts=False)
    if found is None:
        raise CollectionError(f"{root}: hidden units respond to items, but {why_not(snapshot)}")
    layers = encoder.activations(found.features)
    if not layers:
        raise CollectionError(
            f"{root}: expected a model with hidden units, each one number for an item, got one of "
            f"kind {encoder.spec.kind!r} without them; ask for its bits instead (a linear map of "
            "words, as most models of texts are, has nothing between words and bits)"
        )
    logits = _standardised(encoder.logits(found.features))
    told: list[Unit] = []
    n_left_out = 0
    for number, activations in enumerate(layers, 1):
        parts = _turned_on(snapshot, number, activations.shape[1])
        n_left_out = 0 if parts is None else parts[1]
        spread = activations.std(axis=0)
        correlations = _standardised(activations).T @ logits / len(logits)
        for place in range(activations.shape[1]):
            scale = spread[place] or 1.0
            best = np.argsort(-activations[:, place], kind="stable")[:_TOLD]
            best = best[activations[best, place] > 0]
            like = np.argsort(-np.abs(correlations[place]), kind="stable")[:_BITS].tolist()
            told.append(
                Unit(
                    len(told),
                    number,
                    float((activations[:, place] > 0).mean()),
                    () if parts is None else parts[0][place],
                    _responses(snapshot, found.positions[best], activations[best, place] / scale),
                    tuple((bit, float(correlations[place, bit])) for bit in like),
                )
            )
    return Units(tuple(told), n_left_out, len(found.positions))


def _turned_on(
    snapshot: Snapshot, layer: int, n: int
) -> tuple[list[tuple[Turning, ...]], int] | None:
    """Of each unit of a layer what turns it on, and the number of items this is known from."""

    def measure(features: Features) -> np.ndarray:
        return snapshot.coder.encoder.activations(features)[layer - 1]

    found = turning(snapshot, measure, n)
    return None if found is None else ([on for on, _ in found[0]], found[1])


def _standardised(rows: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and deviation 1; one that is always the same is 0."""
    spread = rows.std(axis=0)
    spread[spread == 0] = 1.0
    centred: np.ndarray = (rows - rows.mean(axis=0)) / spread
    return centred


def _responses(
    snapshot: Snapshot, positions: np.ndarray, activations: np.ndarray
) -> tuple[Response, ...]:
    shown = snapshot.shown(snapshot.rows[positions].tolist())
    return tuple(
        Response(item_id, preview, float(activation))
        for (item_id, _, preview), activation in zip(shown, activations, strict=True)
    )
