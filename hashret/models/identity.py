"""An encoder without learned parts: features that are bits, as -1 and 1, become the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from hashret.codes import Codes
from hashret.errors import PayloadError
from hashret.sparse import Features, require_dense
from hashret.specs.encoders import IdentitySpec


class IdentityEncoder:
    """An `Encoder` whose logits are its features; a query is certain of each of its bits."""

    def __init__(self, spec: IdentitySpec):
        self._spec = spec

    @property
    def spec(self) -> IdentitySpec:
        """The recorded settings: only the number of bits."""
        return self._spec

    @property
    def n_features(self) -> int:
        """The width of the features that the encoder takes."""
        return self._spec.n_features

    @property
    def n_bits(self) -> int:
        """The length of the codes given, in bits: `n_features`."""
        return self._spec.n_bits

    def logits(self, features: Features) -> np.ndarray:
        """(n, n_bits) float64, the features; PayloadError for sparse ones or another width."""
        return self._required(features).astype(np.float64)

    def encode(self, features: Features) -> Codes:
        """The codes of n rows of features: a bit is 1 where its feature is positive."""
        return Codes.pack(self._required(features) > 0)

    def _required(self, features: Features) -> np.ndarray:
        try:
            rows = require_dense(features, "this model")
        except TypeError as error:
            raise PayloadError(
                f"{error}; use the featurizer that was fitted with this model"
            ) from None
        if rows.shape[1:] != (self.n_features,):
            raise PayloadError(
                f"features: expected (n, {self.n_features}), got {rows.shape}; "
                "use the featurizer that was fitted with this model"
            )
        return rows

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(n, n_bits) float32, 1 where a bit is 1, else 0: so a score is the share that agree."""
        return (logits > 0).astype(np.float32)

    def confidences(self, features: Features, logits: np.ndarray) -> np.ndarray:
        """The `probabilities`."""
        return self.probabilities(logits)

    def activations(self, features: Features) -> list[np.ndarray]:
        """No hidden layers: []; see `models.base.Encoder.activations`."""
        return []

    def responses(self, features: Features) -> np.ndarray:
        """No responses, (n, 0) float32; see `models.base.Encoder.responses`."""
        return np.empty((len(features), 0), np.float32)

    def tensors(self) -> dict[str, np.ndarray]:
        """An empty dict, because nothing was learned."""
        return {}

    @classmethod
    def from_tensors(cls, spec: IdentitySpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """The encoder of this many bits."""
        return cls(spec)
