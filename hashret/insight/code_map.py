"""Where in a picture does each item lie, so that items of near codes lie together?

So many items are laid out by t-SNE of what the model thinks of each of their bits; each other item
is put beside one that its code is near.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashret.arguments import resolve
from hashret.coder import keeps_inputs
from hashret.codes import Codes
from hashret.collection import Collection
from hashret.errors import InputError
from hashret.indexes.base import INDEXES, Index
from hashret.insight.tsne import OnDone, tsne
from hashret.snapshot import Snapshot
from hashret.snapshot.payloads import kept_payload
from hashret.sparse import Features

#: Items that t-SNE lays out, unless told otherwise: they take a minute of one core.
LAID_OUT = 20_000
#: Items that a picture shows, unless told otherwise: as many as a browser draws smoothly.
SHOWN = 50_000
#: Items encoded at a time: the features of so many images take some 40 MB.
_BATCH = 1024
#: Nearest codes, of items laid out, among which an item finds its place.
_NEIGHBOURS = 10
#: Codes whose place is looked for at a time.
_BLOCK = 4096
#: How far from its neighbour an item is put at most, as a share of the mean distance that the items
#: laid out would have if they were spread evenly.
_BESIDE = 0.5
#: The shares of the work that encoding takes, and t-SNE, of a collection of texts; the rest is
#: placing the other items.
_ENCODED, _EMBEDDED = 0.1, 0.95


@dataclass(frozen=True, slots=True, eq=False)
class CodeMap:
    """The places of m items of a collection in a square."""

    positions: np.ndarray
    """(m,) int64, increasing: which of the items with a code are shown."""
    places: np.ndarray
    """(m, 2) float64 in [0, 1]: x to the right and y upwards; no direction means anything."""
    laid_out: np.ndarray
    """(m,) bool: whether t-SNE gave the item its place, not one of its neighbours."""
    real_valued: bool
    """Whether t-SNE saw real-valued codes; else the bits, of some or all items."""

    def __len__(self) -> int:
        """The number of items shown."""
        return len(self.positions)


def lay_out(
    collection: Collection,
    *,
    n_laid_out: int = LAID_OUT,
    n_shown: int | None = SHOWN,
    seed: int = 0,
    n_threads: int = 1,
    on_done: OnDone = lambda done: None,
) -> CodeMap:
    """The map of a collection at its commit; of a seeded sample of its items, if it has many.

    `n_shown` None shows all items. `on_done` is told the share of the work that is done; what it
    raises ends the work. The same codes, numbers and seed give the same map. Raises
    CollectionError without a model, `DamagedError` and `MissingExtraError`.
    """
    standing = collection.standing()
    codes = standing.codes
    rng = np.random.default_rng(seed)
    positions = _sample(rng, np.arange(len(codes)), n_shown)
    laid_out = np.isin(positions, _sample(rng, positions, n_laid_out))
    chosen = positions[laid_out]
    values, real_valued = real_valued_codes(
        standing.snapshot, chosen, lambda done: on_done(_ENCODED * done)
    )
    embedded = tsne(
        values,
        seed,
        n_threads=n_threads,
        on_done=lambda done: on_done(_ENCODED + (_EMBEDDED - _ENCODED) * done),
    )
    places = np.empty((len(positions), 2))
    places[laid_out] = embedded
    if not laid_out.all():
        others = codes[positions[~laid_out]]
        places[~laid_out] = places_beside(others, codes[chosen], embedded, rng)
    on_done(1.0)
    return CodeMap(positions, _in_square(places), laid_out, real_valued)


def _sample(rng: np.random.Generator, positions: np.ndarray, n: int | None) -> np.ndarray:
    """At most n of the positions, increasing; all for None."""
    if n is None or len(positions) <= n:
        return positions
    return np.sort(rng.choice(positions, n, replace=False))


def real_valued_codes(
    snapshot: Snapshot, positions: np.ndarray, on_done: OnDone = lambda done: None
) -> tuple[np.ndarray, bool]:
    """What the model thinks of each bit of the items at these positions, and if it could be asked.

    (n, n_bits) float32 from -1, certain of 0, to 1; and True. An item whose features are not to be
    had has its bits, as -1 and 1; so has one that the model would give another code now. Then, or
    where all have them, it is False.
    """
    values = np.where(snapshot.codes[positions].bits, np.float32(1.0), np.float32(-1.0))
    features_of = _source(snapshot)
    encoder, asked = snapshot.coder.encoder, 0
    for start in range(0, len(positions), _BATCH):
        tile = slice(start, start + _BATCH)
        has_features, features = features_of(positions[tile])
        if features is None:
            continue
        thought = 2.0 * encoder.probabilities(encoder.logits(features)) - 1.0
        rows = start + np.flatnonzero(has_features)
        agree = ((thought > 0) == (values[rows] > 0)).all(axis=1)
        values[rows[agree]] = thought[agree]
        asked += int(agree.sum())
        on_done(min(1.0, (start + _BATCH) / len(positions)))
    return values, 0 < asked == len(positions)


#: From positions to which of them have features, (n,) bool, and the features of these, if any.
_FeaturesOf = Callable[[np.ndarray], tuple[np.ndarray, Features | None]]


def _source(snapshot: Snapshot) -> _FeaturesOf:
    """How to get features: as they are stored, or of stored texts or images."""
    coder = snapshot.coder
    if snapshot.has_features and keeps_inputs(snapshot.spec("features")):
        return lambda positions: (np.ones(len(positions), bool), snapshot.features(positions))

    def computed(positions: np.ndarray) -> tuple[np.ndarray, Features | None]:
        payloads = [kept_payload(snapshot, row) for row in snapshot.rows[positions].tolist()]
        there = [coder.prepare(one) for one in payloads if one is not None]
        features = coder.features(there)[0] if there else None
        return np.array([one is not None for one in payloads]), features

    return computed


def places_beside(
    codes: Codes, laid_out: Codes, places: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A place for each of n codes beside one of its nearest `laid_out` (m > 0), (n, 2) float64.

    `places` (m, 2) are those of `laid_out`. Of its nearest codes, that one is chosen which the
    others of them lie nearest to in the picture: a mean of several would lie between clusters.
    """
    index: Index = resolve(INDEXES, "auto", "index").build(laid_out)
    k = min(_NEIGHBOURS, len(laid_out))
    found = np.empty((len(codes), 2))
    for start in range(0, len(codes), _BLOCK):
        block = codes[start : start + _BLOCK]
        near = places[index.search(block, k).rows.reshape(len(block), k)]  # (b, k, 2)
        apart = np.sqrt(np.square(near[:, :, None] - near[:, None]).sum(axis=3)).sum(axis=2)
        found[start : start + len(block)] = near[np.arange(len(block)), apart.argmin(axis=1)]
    extent = float(np.ptp(places, axis=0).max())
    radius = _BESIDE * extent / np.sqrt(len(laid_out))
    angle, share = rng.uniform(0, 2 * np.pi, len(codes)), np.sqrt(rng.uniform(0, 1, len(codes)))
    return found + radius * (share * np.array([np.cos(angle), np.sin(angle)])).T


def _in_square(places: np.ndarray) -> np.ndarray:
    """The places moved and scaled, by one number, so that they fill a square of side 1."""
    if not len(places):
        return places
    low, high = places.min(axis=0), places.max(axis=0)
    scale = (high - low).max() or 1.0
    return np.clip(0.5 + (places - (low + high) / 2) / scale, 0.0, 1.0)


def values_of(collection: Collection, field: str, positions: np.ndarray) -> list[Any]:
    """The metadata `field` of the items at these positions among `codes`; None where one has none.

    Lists and objects are given as JSON. Raises `InputError` if no item of the collection has it.
    """
    values: list[Any] = []
    numbers = np.full(len(collection.codes), -1, np.int64)
    at = 0
    snapshot = collection.snapshot
    for rows, of_all, different in snapshot.distinct(field):
        places = of_all[snapshot.rows.find(rows) >= 0]
        numbers[at : at + len(places)] = np.where(places >= 0, places + len(values), -1)
        values += different
        at += len(places)
    if len(numbers) and not (numbers >= 0).any():
        raise InputError(
            f"field: expected a field of the items' metadata, got {field!r}, which none has; "
            "`hashret list --json` shows their metadata"
        )
    plain = [json.dumps(v, sort_keys=True) if isinstance(v, list | dict) else v for v in values]
    return [plain[number] if number >= 0 else None for number in numbers[positions].tolist()]
