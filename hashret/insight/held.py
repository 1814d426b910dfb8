"""What does a collection hold of its items that their codes can be made of again?

Texts, images where they were to be stored, or the features that the model takes. Of images a
collection keeps how they look unless told otherwise, and of texts in word order the bags of words:
no code can be made of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashret.coder import keeps_inputs
from hashret.errors import PayloadError
from hashret.features.left_out import LeftOut
from hashret.kinds import kind_of
from hashret.snapshot import Snapshot
from hashret.snapshot.payloads import kept_payload
from hashret.sparse import Features, rows_between


@dataclass(frozen=True, slots=True)
class Held:
    """Some items, and the features of which their codes are made."""

    positions: np.ndarray
    """Where among the collection's codes they are, (n,) int64."""
    features: Features
    """(n, n_features)."""
    prepared: list[Any] | None
    """What the features were made of; None where these were stored themselves."""

    def left_out(self, snapshot: Snapshot, most: int) -> Iterator[LeftOut | None]:
        """Of each item its features without each of its parts, at most `most`, as they come."""
        for i in range(len(self.positions)):
            features = rows_between(self.features, i, i + 1)
            prepared = None if self.prepared is None else self.prepared[i]
            yield snapshot.coder.featurizer.left_out(prepared, features, most)


def held(snapshot: Snapshot, positions: np.ndarray, *, for_parts: bool = True) -> Held | None:
    """The items at those of the positions of which enough is held; None if of none.

    Not `for_parts`, features are taken as they are stored, which is quicker than to make them of
    texts, whose words they do not tell. Raises `DamagedError`.
    """
    stored = snapshot.has_features and keeps_inputs(snapshot.spec("features"))
    if not stored or for_parts:
        prepared = _prepared(snapshot, positions)
        if prepared:
            found = np.array(list(prepared), np.int64)
            kept = list(prepared.values())
            return Held(found, snapshot.coder.features(kept)[0], kept)
    if stored and len(positions):
        return Held(positions, snapshot.features(positions), None)
    return None


def _prepared(snapshot: Snapshot, positions: np.ndarray) -> dict[int, Any]:
    """What the featurizer takes, of those of the positions whose texts or images are held."""
    about, featurizer = kind_of(snapshot.kind), snapshot.coder.featurizer
    found: dict[int, Any] = {}
    if not (about.stores_texts or about.stores_images):
        return found
    for position, row in zip(positions.tolist(), snapshot.rows[positions].tolist(), strict=True):
        payload = kept_payload(snapshot, row)
        if payload is None:
            continue
        try:
            found[position] = featurizer.prepare(payload, featurizer.spec)
        except PayloadError:  # an image that was kept at another size than this model sees
            continue
    return found


def why_not(snapshot: Snapshot) -> str:
    """Why the parts of an item are not known, and what to do, as a sentence goes on."""
    kind = kind_of(snapshot.kind)
    return f"no {kind.name} is kept; index the source again with --retrain {kind.kept_by}"
