"""Give the training features to the device, a batch at a time.

Sparse features stay sparse: the input side never makes a batch of words dense. Where there is an
ordering, a batch is of steps in order. All
randomness comes from the generators of one training, never from global state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hashret.models.steps import steps_of
from hashret.sparse import Features, SparseRows, by_layout, take_rows
from hashret.specs.ordering import Ordering
from indexer.training.networks.autoencoder import Bags, Batch, Sequences


@dataclass(frozen=True, slots=True)
class Batches:
    """n rows of features, multiplied by `scale` and moved to `device` in batches."""

    features: Features
    scale: float
    device: torch.device
    ordering: Ordering | None = None
    """Where the steps are in a row; None: rows are not of steps in order."""

    def __len__(self) -> int:
        return len(self.features)

    @property
    def n_features(self) -> int:
        """The width of the features."""
        return int(self.features.shape[1])

    def batch(self, rows: np.ndarray) -> Batch:
        """The given rows, uncorrupted."""
        taken = take_rows(self.features, rows)
        if self.ordering is not None:
            return self._sequences(taken, self.ordering)
        return by_layout(taken, self._bags, self._tensor)

    def _sequences(self, taken: Features, ordering: Ordering) -> Batch:
        values, lengths = steps_of(taken, ordering)
        if not ordering.n_tokens:
            values = values * np.float32(self.scale)
        return Sequences(torch.from_numpy(values).to(self.device), lengths)

    def _bags(self, taken: SparseRows) -> Batch:
        return Bags(
            torch.from_numpy(taken.indices.astype(np.int64)).to(self.device),
            torch.from_numpy(taken.values * np.float32(self.scale)).to(self.device),
            torch.from_numpy(taken.indptr).to(self.device),
        )

    def _tensor(self, taken: np.ndarray) -> Tensor:
        dense = np.ascontiguousarray(taken, np.float32) * np.float32(self.scale)
        return torch.from_numpy(dense).to(self.device)

    def tiles(self, size: int = 2048) -> Iterator[Batch]:
        """Yield all rows in order, uncorrupted, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))


def epoch_batches(n: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """A random order of n rows in batches of at least min(size, n) rows, none left out.

    Batch statistics of a small remainder would be noise, so it is shared among the others.
    """
    return np.array_split(rng.permutation(n), max(1, n // size))
