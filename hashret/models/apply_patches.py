"""Apply an encoder of images that sees patches: pixels in, codes out, bit for bit the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from hashret.errors import DamagedError
from hashret.models.apply import DenseEncoder
from hashret.models.exact import ExactEncoder, tensor_of
from hashret.models.fixed_point import EXACT_SUM
from hashret.models.patches import PIXEL_CLAMP, PatchLayer
from hashret.sparse import Features
from hashret.specs import PatchSpec

#: Images encoded at once.
_TILE_IMAGES = 256


class PatchEncoder(ExactEncoder[PatchSpec]):
    """A convolution whose answers are pooled (`PatchLayer`), then a `DenseEncoder` of these."""

    def __init__(self, spec: PatchSpec, layer: PatchLayer, dense: DenseEncoder):
        super().__init__(spec)
        self._layer = layer
        self._dense = dense

    @classmethod
    def of(cls, layer: PatchLayer, dense: DenseEncoder) -> Self:
        """The encoder that asks `dense` about the features of `layer`.

        `dense` must have an input scale of 1, and neither a query tower nor latent coordinates.
        """
        height, width, channels = layer.shape
        spec = PatchSpec(
            height=height,
            width=width,
            channels=channels,
            n_bits=dense.n_bits,
            n_filters=layer.filters.shape[1],
            side=layer.side,
            cells=layer.cells,
            hidden=dense.spec.hidden,
            input_scale=layer.input_scale,
            clamps=dense.spec.clamps,
            logit_scale=dense.spec.logit_scale,
        )
        if spec.dense() != dense.spec:
            raise ValueError(
                f"dense: expected an encoder of the layer's features, {spec.dense()}, "
                f"got {dense.spec}; train it on them"
            )
        return cls(spec, layer, dense)

    def _tile_rows(self) -> int:
        return _TILE_IMAGES

    def _tile_logits(self, tile: Features) -> np.ndarray:
        pixels = self._require_dense(tile)
        self._require_finite(pixels)
        return self._dense.logits(self._layer.features(pixels))

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays: those of the dense layers, and ``patches.`` filters and the like."""
        layer = self._layer
        return self._dense.tensors() | {
            "patches.filters": layer.filters,
            "patches.bias": layer.bias,
            "patches.mean": layer.mean,
            "patches.scale": layer.scale,
        }

    @classmethod
    def from_tensors(cls, spec: PatchSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild an encoder; the arrays may be read-only and memory-mapped.

        Raises DamagedError if a tensor is missing, has another shape or type than the spec says, or
        has filters too large for exact sums.
        """
        size = spec.side * spec.side * spec.channels
        wide = (spec.dense().n_features,)
        filters = tensor_of(tensors, "patches.filters", (size, spec.n_filters), np.float32)
        bias = tensor_of(tensors, "patches.bias", (spec.n_filters,), np.float64)
        largest = np.abs(filters).sum(axis=0, dtype=np.float64).max()
        if not largest * PIXEL_CLAMP <= EXACT_SUM:  # NaN neither
            raise DamagedError("model: expected smaller filters of patches; train it again")
        layer = PatchLayer(
            shape=(spec.height, spec.width, spec.channels),
            side=spec.side,
            cells=spec.cells,
            input_scale=spec.input_scale,
            filters=filters,
            bias=bias,
            mean=tensor_of(tensors, "patches.mean", wide, np.float64),
            scale=tensor_of(tensors, "patches.scale", wide, np.float64),
        )
        return cls(spec, layer, DenseEncoder.from_tensors(spec.dense(), tensors))
