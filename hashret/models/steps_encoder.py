"""The common part of encoders of steps in order: a vector of all steps, then dense layers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import numpy as np

from hashret.models.dense import DenseEncoder
from hashret.models.exact_encoder import ExactEncoder
from hashret.sparse import Features
from hashret.specs.encoders import RecurrentSpec, RecursiveSpec

S = TypeVar("S", bound=RecursiveSpec | RecurrentSpec)


class StepsEncoder(ExactEncoder[S]):
    """An exact encoder whose `dense` layers take the summary of an item's steps."""

    def __init__(self, spec: S, dense: DenseEncoder):
        super().__init__(spec)
        self._dense = dense

    @abstractmethod
    def summaries(self, features: Features) -> np.ndarray:
        """The vector that an item's steps become, (n, n_summary); zeros without steps."""

    def _tile_logits(self, tile: Features) -> np.ndarray:
        return self._dense.logits(self.summaries(tile))

    def activations(self, features: Features) -> list[np.ndarray]:
        """What each hidden dense layer hands to the next, (n, units) float64 each."""
        self._require_width(features)
        return self._dense.activations(self.summaries(features))
