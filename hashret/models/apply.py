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

from hashret.codes import Codes
from hashret.errors import DamagedError, PayloadError
from hashret.models.fixed_point import to_grid
from hashret.models.query_tower import QueryTower
from hashret.sparse import Features, SparseRows
from hashret.specs import DenseSpec

#: Sparse batches up to this many rows gather the rows of the first matrix that they need.
_GATHER_ROWS = 32
#: Rows encoded at once: bounds the memory of a bulk call, never changes its result. So many rows
#: of 500 sums stay in a core's cache while each word's row of weights is added to them.
_TILE_ROWS = 512


class DenseEncoder:
    """Linear layers with ReLU between them; the last gives a logit for each bit.

    `weights[i]` is (n_in, n_out) float32 and `biases[i]` (n_out,) float64, all multiples of
    2^-16. Inputs are multiplied by `spec.input_scale`; the activations entering layer i are
    rounded to the grid and clamped to `spec.clamps[i]`. Thresholds are part of the last bias.
    With a `tower` the confidences of a query are its own linear map, else those of its logits.
    """

    def __init__(
        self,
        spec: DenseSpec,
        weights: list[np.ndarray],
        biases: list[np.ndarray],
        tower: QueryTower | None = None,
    ):
        self._spec = spec
        self._weights = weights
        self._layers = [_Layer(weight) for weight in weights]
        self._biases = biases
        self._tower = tower

    @property
    def spec(self) -> DenseSpec:
        """What to rebuild the encoder from, together with `tensors`."""
        return self._spec

    @property
    def n_features(self) -> int:
        """The width of the features taken."""
        return self._spec.n_features

    @property
    def n_bits(self) -> int:
        """The length of the codes given, in bits."""
        return self._spec.n_bits

    def logits(self, features: Features) -> np.ndarray:
        """(n, n_bits) float64 logits: a bit is 1 where its logit is positive.

        Raises PayloadError if the features have another width than `n_features`, or are not
        finite.
        """
        self._require_width(features)
        logits = np.empty((len(features), self.n_bits))
        for start in range(0, len(features), _TILE_ROWS):
            stop = min(start + _TILE_ROWS, len(features))
            if isinstance(features, SparseRows):
                tile: Features = features.rows(start, stop)
            else:
                tile = features[start:stop]
            logits[start:stop] = self._tile_logits(tile)
        return logits

    def _require_width(self, features: Features) -> None:
        width = features.shape[1] if len(features.shape) == 2 else -1
        if width != self.n_features:
            raise PayloadError(
                f"features: expected (n, {self.n_features}), got {features.shape}; "
                "use the featurizer that was fitted with this model"
            )

    def _tile_logits(self, tile: Features) -> np.ndarray:
        clamps = self._spec.clamps
        values = tile.values if isinstance(tile, SparseRows) else tile
        inputs = self._inputs(values)
        first = self._layers[0]
        if isinstance(tile, SparseRows):
            sums = first.times_sparse(
                SparseRows(tile.indptr, tile.indices, inputs, tile.n_features)
            )
        else:
            sums = inputs @ first.matrix()
        sums += self._biases[0]
        for layer, bias, clamp in zip(self._layers[1:], self._biases[1:], clamps[1:], strict=True):
            active = to_grid(np.clip(sums, 0.0, clamp, out=sums))
            sums = active @ layer.matrix()
            sums += bias
        return sums

    def _inputs(self, values: np.ndarray) -> np.ndarray:
        """Features as first-layer activations: scaled, clamped and on the grid."""
        if not np.isfinite(values).all():
            raise PayloadError(
                "features: expected finite numbers, got NaN or infinity; leave the item out"
            )
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
        return sigmoid(logits, self._spec.logit_scale)

    def confidences(self, features: Features, logits: np.ndarray) -> np.ndarray:
        """How far each query leans to 1 in each bit, (n, n_bits) float32; 0.5 is no opinion.

        `features` are those that gave `logits`. Without a query tower these are `probabilities`.
        """
        if self._tower is None:
            return self.probabilities(logits)
        self._require_width(features)
        dense = features.to_dense() if isinstance(features, SparseRows) else features
        return self._tower.confidences(np.asarray(dense, np.float64) * self._spec.input_scale)

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays: ``layers.I.weight`` and ``.bias``; ``query.weight`` and ``.bias``."""
        named = {f"layers.{i}.weight": weight for i, weight in enumerate(self._weights)}
        named |= {f"layers.{i}.bias": bias for i, bias in enumerate(self._biases)}
        if self._tower is not None:
            named |= {"query.weight": self._tower.weight, "query.bias": self._tower.bias}
        return named

    @classmethod
    def from_tensors(cls, spec: DenseSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild an encoder; the arrays may be read-only and memory-mapped, nothing is copied.

        Raises DamagedError if a tensor is missing or has another shape or type than the spec.
        """
        widths = (spec.n_features, *spec.hidden, spec.n_bits)
        n_layers = len(widths) - 1
        weights, biases = [], []
        for layer in range(n_layers):
            shape = widths[layer : layer + 2]
            weights.append(tensor_of(tensors, f"layers.{layer}.weight", shape, np.float32))
            biases.append(tensor_of(tensors, f"layers.{layer}.bias", shape[1:], np.float64))
        if len(spec.clamps) != n_layers:
            raise DamagedError(
                f"model: expected {n_layers} clamps, got {len(spec.clamps)}; train it again"
            )
        tower = None
        if spec.query_clamp is not None:
            shape = (spec.n_features, spec.n_bits)
            tower = QueryTower(
                tensor_of(tensors, "query.weight", shape, np.float32),
                tensor_of(tensors, "query.bias", shape[1:], np.float64),
                spec.query_clamp,
            )
        return cls(spec, weights, biases, tower)


class _Layer:
    """A weight matrix: rows of it for a query, all of it in float64, kept, for everything else."""

    def __init__(self, weight: np.ndarray):
        self._weight = weight
        self._matrix: np.ndarray | None = None

    def matrix(self) -> np.ndarray:
        if self._matrix is None:
            self._matrix = np.asarray(self._weight, np.float64)
        return self._matrix

    def times_sparse(self, rows: SparseRows) -> np.ndarray:
        if len(rows) > _GATHER_ROWS:
            from scipy.sparse import csr_array

            sparse = csr_array((rows.values, rows.indices, rows.indptr), shape=rows.shape)
            # column by column: a word's row of weights is read once for all documents that have it
            return np.asarray(sparse.tocsc() @ self.matrix())
        sums = np.empty((len(rows), self._weight.shape[1]))
        for row in range(len(rows)):
            part = slice(int(rows.indptr[row]), int(rows.indptr[row + 1]))
            sums[row] = rows.values[part] @ self._weight[rows.indices[part]].astype(np.float64)
        return sums


def sigmoid(logits: np.ndarray, scale: float) -> np.ndarray:
    """The sigmoid of the logits times `scale`, float32."""
    scaled = np.clip(np.asarray(logits, np.float64) * scale, -60.0, 60.0)
    return (1.0 / (1.0 + np.exp(-scaled))).astype(np.float32)


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
