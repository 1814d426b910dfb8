"""Write encoded items as segments: codes, features and rows of the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from hashret.codes import Codes
from hashret.sparse import Features, stacked
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import ItemRecord
from hashret.store.catalog.staging import Staging
from hashret.store.feature_files import write_features
from hashret.store.layout import Layout
from hashret.store.segments import SegmentRecord, write_segment
from indexer.ingest.compact import SEGMENT
from indexer.ingest.encode import Encoded
from indexer.ingest.intake import Pending

if TYPE_CHECKING:
    pass


class SegmentWriter:
    """Gathers items until they fill a segment, then writes and stages it.

    `waiting` is how many there are that stand in no segment yet.
    """

    def __init__(self, layout: Layout, staging: Staging, model: str):
        """For codes of the model of this name."""
        self._layout = layout
        self._staging = staging
        self._model = model
        self._forget()

    def _forget(self) -> None:
        self._pending: list[Pending] = []
        self._codes: list[np.ndarray] = []
        self._features: list[Features] = []

    @property
    def waiting(self) -> int:
        """The number of items gathered."""
        return len(self._pending)

    @property
    def is_full(self) -> bool:
        """Whether they fill a segment."""
        return self.waiting >= SEGMENT

    def gather(self, pending: Iterable[Pending], encoded: Encoded) -> None:
        """Take the items and, row for row, what they were encoded to."""
        self._pending += pending
        self._codes.append(encoded.codes.packed)
        if encoded.features is not None:
            self._features.append(encoded.features)

    def write(self) -> tuple[int, int]:
        """Write and stage what was gathered; returns how many items, and how many they replace."""
        staging = self._staging
        name, first = staging.new_segment()
        records = [ItemRecord(first + i, *one) for i, one in enumerate(self._pending)]
        packed = Codes(np.concatenate(self._codes))
        file = write_segment(self._layout, name, packed)
        beside = None
        if self._features:
            beside = write_features(self._layout, name, stacked(self._features))
        segment = SegmentRecord(name, first, len(packed), packed.n_bits, file, beside)
        replaced = staging.add_segment(segment, self._model, records)
        self._forget()
        return len(records), replaced


def features_kept(catalog: Catalog) -> bool | None:
    """Whether the last commit has the input features of its items; None without any item."""
    segments = catalog.segments(catalog.last_commit().commit)
    return all(segment.features is not None for segment in segments) if segments else None
