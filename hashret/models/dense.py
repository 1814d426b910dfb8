"""Apply a dense encoder in NumPy: sparse or dense features in, codes out, bit for bit the same.

All arithmetic lies on the fixed-point grid of `fixed_point`, so an item's code as a query equals
its stored code whatever the batch size, the number of threads or the machine. A query touches
only the rows of the first weight matrix that its words name, which may stay memory-mapped; SciPy
is imported for larger sparse batches only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from hashret.models.exact_encoder import ExactEncoder, layers_of, named_layers, tensor_of
from hashret.models.fixed_point import normalised, to_grid, unit
from hashret.models.matrix import Matrix
from hashret.models.query_tower import QueryTower
from hashret.sparse import Features, dense_rows, rows_between, values_of, with_values
from hashret.specs.encoders import DenseSpec

#: Number of rows encoded at once: so many rows of 500 sums fit a core's cache while each word's row
#: of weights is added to them.
_TILE_ROWS = 512


class DenseEncoder(ExactEncoder[DenseSpec]):
    """Linear layers with ReLU between them; the last gives a logit for each bit.

    Where the spec says so, what a hidden layer sums up is normalised before its ReLU.
    `weights[i]` is (n_in, n_out) float32 and `biases[i]` (n_out,) float64, all multiples of
    2^-16. Inputs are multiplied by `spec.input_scale`; the activations entering layer i are
    rounded to the grid and clamped to `spec.clamps[i]`. Thresholds are part of the last bias.
    `latent` (n_features, n_latent) float32, where the spec says there is one, maps the inputs to
    coordinates that enter the last layer behind the activations, as a unit vector.
    With a `tower` the confidences of a query are its own linear map, else those of its logits.
    """

    def __init__(
        self,
        spec: DenseSpec,
        weights: list[np.ndarray],
        biases: list[np.ndarray],
        tower: QueryTower | None = None,
        latent: np.ndarray | None = None,
    ):
        super().__init__(spec)
        self._weights = weights
        self._layers = [Matrix(weight) for weight in weights]
        self._biases = biases
        self._tower = tower
        self._latent = None if latent is None else Matrix(latent)

    def _tile_rows(self) -> int:
        return _TILE_ROWS

    def _tile_logits(self, tile: Features) -> np.ndarray:
        return self._computed(tile)[0]

    def _computed(self, tile: Features) -> tuple[np.ndarray, list[np.ndarray]]:
        """The logits of the rows of one tile, and the activations of each hidden layer."""
        hidden: list[np.ndarray] = []
        clamps = self._spec.clamps
        rows = with_values(tile, self._inputs(values_of(tile)))
        sums = self._layers[0].times(rows)  # (n, n_hidden)
        sums += self._biases[0]
        for layer, bias, clamp in zip(self._layers[1:], self._biases[1:], clamps[1:], strict=True):
            if self._spec.normalised:
                sums = normalised(sums)
            active = to_grid(np.clip(sums, 0.0, clamp, out=sums))
            hidden.append(active)
            if layer is self._layers[-1] and self._latent is not None:
                coordinates = unit(self._latent.times(rows))
                active = np.hstack([active, np.clip(coordinates, -clamp, clamp)])
            sums = layer.times(active)  # (n, n_out of this layer), at last (n, n_bits)
            sums += bias
        return sums, hidden

    def activations(self, features: Features) -> list[np.ndarray]:
        """What each hidden layer hands to the next, (n, units) float64 each; [] without one."""
        self._require_width(features)
        starts = range(0, len(features), _TILE_ROWS) if len(features) else [0]
        tiles = (rows_between(features, at, min(at + _TILE_ROWS, len(features))) for at in starts)
        hidden = [self._computed(tile)[1] for tile in tiles]
        return [np.concatenate(layer) for layer in zip(*hidden, strict=True)]

    def confidences(self, features: Features, logits: np.ndarray) -> np.ndarray:
        """The confidence of each query that each bit is 1, (n, n_bits) float32; 0.5 is undecided.

        `features` are those that gave `logits`. Without a query tower these are `probabilities`.
        """
        if self._tower is None:
            return super().confidences(features, logits)
        self._require_width(features)
        dense = np.asarray(dense_rows(features), np.float64)
        return self._tower.confidences(dense * self._spec.input_scale)

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays: ``layers.I.weight`` and ``.bias``.

        ``query.weight`` and ``.bias`` of a query tower; ``latent.weight``.
        """
        named = named_layers(self._weights, self._biases)
        if self._latent is not None:
            named["latent.weight"] = self._latent.weight
        if self._tower is not None:
            named |= {"query.weight": self._tower.weight, "query.bias": self._tower.bias}
        return named

    @classmethod
    def from_tensors(cls, spec: DenseSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild an encoder; the arrays may be read-only and memory-mapped, nothing is copied.

        Raises DamagedError if a tensor is missing or has another shape or type than the spec.
        """
        weights, biases = layers_of(spec, tensors)
        tower = None
        if spec.query_clamp is not None:
            shape = (spec.n_features, spec.n_bits)
            tower = QueryTower(
                tensor_of(tensors, "query.weight", shape, np.float32),
                tensor_of(tensors, "query.bias", shape[1:], np.float64),
                spec.query_clamp,
            )
        latent = None
        if spec.n_latent:
            shape = (spec.n_features, spec.n_latent)
            latent = tensor_of(tensors, "latent.weight", shape, np.float32)
        return cls(spec, weights, biases, tower, latent)
