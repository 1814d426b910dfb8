"""A bounded, seeded sample of a stream of unknown length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from hashret.items import Item, Payload
from indexer.training.labels.item_labels import ItemLabels, numbered

T = TypeVar("T")

#: How many items are learned from, at most, unless it is said otherwise.
MAX_TRAINING_ITEMS = 100_000
#: Bytes of the images that are learned from and that no file holds, at most.
MOST_BYTES = 2 << 30
#: Metadata fields that are remembered for a message.
_FIELDS = 50
#: Vectors are left out of the training if their length exceeds the median times this.
MOST = 1000.0


def reservoir(
    stream: Iterable[T],
    size: int,
    seed: int,
    *,
    weight: Callable[[T], int] = lambda member: 0,
    most: int = 1,
) -> list[T]:
    """At most `size` members of `stream`, each equally likely, in the order of the stream.

    If the weights of those that are kept come to more than `most`, every second of them, chosen at
    random, is let go, and the sample stays half as large. Memory is linear in `size` and `most`.
    The same stream and seed give the same sample. Source: Vitter, "Random sampling with a
    reservoir", TOMS 1985, algorithm R.
    """
    rng = np.random.default_rng(seed)
    kept: list[tuple[int, T]] = []
    total = 0
    for position, member in enumerate(stream):
        if position < size:
            kept.append((position, member))
        else:
            place = int(rng.integers(0, position + 1))
            if place >= size:
                continue
            total -= weight(kept[place][1])
            kept[place] = (position, member)
        total += weight(member)
        while total > most and len(kept) > 1:
            size = (len(kept) + 1) // 2
            kept = [kept[i] for i in rng.choice(len(kept), size, replace=False)]
            total = sum(weight(one) for _, one in kept)
    kept.sort(key=lambda pair: pair[0])
    return [member for _, member in kept]


def held_bytes(payload: Payload) -> int:
    """The bytes of an image that no file of its own holds, as one in an archive; else 0."""
    return len(payload) if isinstance(payload, bytes) else 0


def sampled(items: Iterable[Item], size: int, seed: int) -> list[Payload]:
    """The payloads of a sample of the items (`reservoir`), in at most `MOST_BYTES` of memory."""
    return sampled_with_labels(items, size, seed, None)[0]


def sampled_with_labels(
    items: Iterable[Item], size: int, seed: int, field: str | None
) -> tuple[list[Payload], ItemLabels | None]:
    """As `sampled`, and the labels by a metadata field; None without a field.

    Raises InputError where there is nothing to learn from such labels.
    """
    fields: set[str] = set()

    def told(item: Item) -> tuple[Payload, Any]:
        if field is None:
            return item.payload, None
        if len(fields) < _FIELDS:
            fields.update(item.metadata)
        return item.payload, item.metadata.get(field)

    pairs = reservoir(
        map(told, items), size, seed, weight=lambda pair: held_bytes(pair[0]), most=MOST_BYTES
    )
    payloads = [payload for payload, _ in pairs]
    if field is None:
        return payloads, None
    labels = ItemLabels(field, numbered([label for _, label in pairs], {}))
    if pairs:
        labels.require_learnable(fields)
    return payloads, labels


def typical(vectors: Sequence[np.ndarray]) -> list[int]:
    """The positions of the vectors that are at most `MOST` times as long as the median of all.

    They are encoded like any other: only statistics and training go without the rest.
    """
    lengths = np.array([np.linalg.norm(vector.astype(np.float64)) for vector in vectors])
    kept: list[int] = np.flatnonzero(lengths <= MOST * np.median(lengths)).tolist()
    return kept
