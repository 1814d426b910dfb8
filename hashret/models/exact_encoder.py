"""The common part of encoders on the fixed-point grid: tiles of rows, inputs, codes, tensors.

Every sum is exact (`fixed_point`), so an item's code does not depend on the batch that it came in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from hashret.codes import Codes
from hashret.errors import DamagedError, PayloadError
from hashret.models.fixed_point import clamp_for, to_grid
from hashret.sparse import Features, require_dense, rows_between
from hashret.specs.encoders import LayersSpec

S = TypeVar("S", bound=LayersSpec)


class ExactEncoder(ABC, Generic[S]):
    """An `Encoder` whose logits are exact sums, computed some rows at a time."""

    def __init__(self, spec: S):
        self._spec = spec

    @property
    def spec(self) -> S:
        """The recorded settings, from which the encoder is rebuilt together with `tensors`."""
        return self._spec

    @property
    def n_features(self) -> int:
        """The width of the features that the encoder takes."""
        return self._spec.n_features

    @property
    def n_bits(self) -> int:
        """The length of the codes in bits."""
        return self._spec.n_bits

    @abstractmethod
    def _tile_rows(self) -> int:
        """Number of rows encoded at once, which bounds memory and never changes a result."""

    @abstractmethod
    def _tile_logits(self, tile: Features) -> np.ndarray:
        """(n, n_bits) float64 of the rows of one tile."""

    def _require_width(self, features: Features) -> None:
        if features.shape[1:] != (self.n_features,):
            raise PayloadError(
                f"features: expected (n, {self.n_features}), got {features.shape}; "
                "use the featurizer that was fitted with this model"
            )

    def logits(self, features: Features) -> np.ndarray:
        """(n, n_bits) float64 logits: a bit is 1 where its logit is positive.

        Raises PayloadError if the features have another width than `n_features`, are not finite,
        or are sparse where the model takes dense ones.
        """
        self._require_width(features)
        logits = np.empty((len(features), self.n_bits))
        step = self._tile_rows()
        for start in range(0, len(features), step):
            stop = min(start + step, len(features))
            logits[start:stop] = self._tile_logits(rows_between(features, start, stop))
        return logits

    def activations(self, features: Features) -> list[np.ndarray]:
        """No hidden layers: []; see `models.base.Encoder.activations`."""
        return []

    def responses(self, features: Features) -> np.ndarray:
        """No responses, (n, 0) float32; see `models.base.Encoder.responses`."""
        return np.empty((len(features), 0), np.float32)

    def _require_dense(self, tile: Features) -> np.ndarray:
        try:
            return require_dense(tile, "this model")
        except TypeError as error:
            raise PayloadError(
                f"{error}; use the featurizer that was fitted with this model"
            ) from None

    @staticmethod
    def _require_finite(values: np.ndarray) -> None:
        if not np.isfinite(values).all():
            raise PayloadError(
                "features: expected finite numbers, got NaN or infinity; leave the item out"
            )

    def _inputs(self, values: np.ndarray) -> np.ndarray:
        """Features as first-layer activations: scaled, clamped and on the grid."""
        self._require_finite(values)
        clamp = self._spec.clamps[0]
        scaled = np.asarray(values, np.float64) * self._spec.input_scale
        return to_grid(np.clip(scaled, -clamp, clamp))

    def encode(self, features: Features) -> Codes:
        """The codes of n rows of features; see `logits`."""
        return Codes.pack(self.logits(features) > 0)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """How certain it is that each bit is 1: the sigmoid of the scaled logits, float32.

        Unlike codes these may differ in the last place between machines (the exponential does).
        """
        scaled = np.clip(np.asarray(logits, np.float64) * self._spec.logit_scale, -60.0, 60.0)
        return (1.0 / (1.0 + np.exp(-scaled))).astype(np.float32)

    def confidences(self, features: Features, logits: np.ndarray) -> np.ndarray:
        """The confidence of each query that each bit is 1, (n, n_bits): the `probabilities`."""
        return self.probabilities(logits)


def named_layers(
    weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """The arrays of layers by name: ``layers.I.weight`` float32 and ``layers.I.bias`` float64."""
    named = {f"layers.{i}.weight": np.asarray(w, np.float32) for i, w in enumerate(weights)}
    return named | {f"layers.{i}.bias": bias for i, bias in enumerate(biases)}


class Layered(Protocol):
    """The spec of an encoder of layers, one clamp before each."""

    @property
    def clamps(self) -> tuple[float, ...]:
        """The bound to which the inputs of each layer are clamped."""
        ...

    def layer_shapes(self) -> list[tuple[int, int]]:
        """(n_in, n_out) of each layer's weights."""
        ...


def layers_of(
    spec: Layered, tensors: Mapping[str, np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The weights and biases that `named_layers` named; nothing is copied.

    Raises DamagedError if a tensor or a clamp is missing, or is not as the spec says.
    """
    weights, biases = [], []
    shapes = spec.layer_shapes()
    for i, shape in enumerate(shapes):
        weights.append(tensor_of(tensors, f"layers.{i}.weight", shape, np.float32))
        biases.append(tensor_of(tensors, f"layers.{i}.bias", shape[1:], np.float64))
    if len(spec.clamps) != len(shapes):
        raise DamagedError(
            f"model: expected {len(shapes)} clamps, got {len(spec.clamps)}; train it again"
        )
    return weights, biases


def tensor_of(
    tensors: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], dtype: type
) -> np.ndarray:
    """The array of this name. Raises DamagedError unless it has the given shape and type."""
    array = tensors.get(name)
    if array is None or array.shape != shape or array.dtype != dtype:
        got = "none" if array is None else f"{array.dtype} of shape {array.shape}"
        raise DamagedError(
            f"model: expected tensor {name} {np.dtype(dtype)} of shape {shape}, got {got}; "
            "train it again"
        )
    return array


def require_exact(weight: np.ndarray, bias: np.ndarray, clamp: float) -> None:
    """Raise DamagedError unless all sums are exact with inputs up to `clamp`."""
    try:
        widest = clamp_for(weight, bias)
    except ValueError as error:
        raise DamagedError(f"model: {error}") from error
    if clamp > widest:
        raise DamagedError(
            f"model: expected a clamp up to {widest:.4g} for exact sums, got {clamp:.4g}; "
            "train it again"
        )
