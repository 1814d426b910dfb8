"""What a collection holds of its items that they can be compared by, and new items seen alike.

Features, where these are what the model takes; else texts or images; else thumbnails of images,
which tell as much. New images are then seen as thumbnails too: a usual one is no sharper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashret._backports import chunks
from hashret.coder import keeps_looks
from hashret.errors import CollectionError, PayloadError
from hashret.items import Payload
from hashret.kinds import kind_of
from hashret.snapshot import Snapshot
from hashret.snapshot.payloads import kept_payload
from hashret.sparse import Features, stacked

_BLOCK = 256  # items whose features are made together


@dataclass(frozen=True, slots=True)
class Source:
    """Where the features of a snapshot's items come from."""

    snapshot: Snapshot
    read: Callable[[int], Any] | None
    """What is held of a row, None for nothing; the function is None where features are stored."""
    alike: Callable[[Payload], Payload] = lambda payload: payload
    """A new payload as it would be if it was held."""

    def features(self, positions: np.ndarray) -> tuple[np.ndarray, Features]:
        """Those of the positions of which enough is held, and their features, row for row."""
        if self.read is None:
            return positions, self.snapshot.features(positions)
        coder, found, parts = self.snapshot.coder, [], []
        for block in chunks(positions.tolist(), _BLOCK):
            prepared = []
            for position in block:
                one = self.prepared(position)
                if one is not None:
                    found.append(position)
                    prepared.append(one)
            if prepared:
                parts.append(coder.features(prepared)[0])
        empty = np.empty((0, coder.encoder.n_features), np.float32)
        return np.array(found, np.int64), stacked(parts or [empty])

    def prepared(self, position: int) -> Any | None:
        """What features are made of, for the item at a position; None where it is not held."""
        read = self.read or _text_or_nothing(self.snapshot)
        payload = read(int(self.snapshot.rows[np.array([position])][0]))
        if payload is None:
            return None
        try:
            return self.snapshot.coder.prepare(payload)
        except PayloadError:  # an image that was kept at another size than this model sees
            return None

    def of(self, payloads: Sequence[Payload]) -> list[Any]:
        """Each new payload prepared, or the `PayloadError` or OSError that refuses it."""
        found: list[Any] = []
        for payload in payloads:
            try:
                found.append(self.snapshot.coder.prepare(self.alike(payload)))
            except (PayloadError, OSError) as error:
                found.append(error)
        return found


def source_of(snapshot: Snapshot) -> Source | None:
    """The source for a snapshot; None where nothing is held. CollectionError without a model."""
    snapshot.require_model()
    kind = kind_of(snapshot.kind)
    if snapshot.has_features and not keeps_looks(snapshot.spec("features")):
        return Source(snapshot, None)
    if kind.stores_texts and snapshot.keeps_texts:
        return Source(snapshot, snapshot.text_of)
    if kind.stores_images and _keeps_images(snapshot):
        return Source(snapshot, lambda row: kept_payload(snapshot, row))
    if kind.has_looks and snapshot.keeps_thumbnails:
        return Source(snapshot, lambda row: _thumbnail(snapshot, row), _as_thumbnail)
    return None


def nothing_held(snapshot: Snapshot) -> CollectionError:
    """The error for a snapshot that has no source."""
    return CollectionError(
        f"{snapshot.layout.root}: expected a collection that keeps what its items are compared by, "
        "got one of codes alone; index the source again with --retrain "
        f"{kind_of(snapshot.kind).kept_by}"
    )


def _text_or_nothing(snapshot: Snapshot) -> Callable[[int], str | None]:
    return snapshot.text_of if kind_of(snapshot.kind).stores_texts else lambda row: None


def _keeps_images(snapshot: Snapshot) -> bool:
    with snapshot.folder.reading():
        return all(
            snapshot.items.records(segment).has_payloads(segment.live(segment.n_rows))
            for segment in snapshot.segments
        )


def _thumbnail(snapshot: Snapshot, row: int) -> bytes | None:
    with snapshot.folder.reading():
        return snapshot.items.thumbnail(row)


def _as_thumbnail(payload: Payload) -> bytes:
    from hashret.features.levels import pixels_of  # Pillow: only for images
    from hashret.features.thumbnails import thumbnail

    return thumbnail(pixels_of(payload))
