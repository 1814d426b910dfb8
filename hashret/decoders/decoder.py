"""The decoder: codes become features again, by NumPy.

It computes in float32 with weights that are stored in float16. Unlike codes, what it says may
differ in the last digit from machine to machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np

from hashret.codes import Codes
from hashret.decoders.outputs import OUTPUTS
from hashret.decoders.rebuilt import rebuilt
from hashret.errors import DamagedError
from hashret.sparse import Features, rows_between
from hashret.specs.decoders import DecoderSpec

#: Bytes of one block's outputs, which bound memory.
_BLOCK = 64 << 20
#: Errors of held-out items that are stored at most.
MOST_ERRORS = 1_000


class Decoder:
    """A fitted decoder. What its rows mean, the form of its outputs says (`decoders.outputs`)."""

    def __init__(
        self,
        spec: DecoderSpec,
        weights: list[np.ndarray],
        biases: list[np.ndarray],
        usual: np.ndarray,
        held_errors: np.ndarray,
    ):
        """A weight (n_in, n_out) and a bias (n_out,) for each of `spec.layer_shapes()`.

        `usual` (n_outputs,) are the last layer's sums of which the usual item would be decoded.
        """
        self.spec = spec
        self.weights = [weight.astype(np.float32) for weight in weights]
        self.biases = [bias.astype(np.float32) for bias in biases]
        self.held_errors = held_errors
        """The `errors` of items that the decoder was not taught with, increasing, float32; of more
        than 1,000 items, evenly spaced ones. The encoder may have learned from them."""
        self._usual = usual.astype(np.float32)
        self._output = OUTPUTS[spec.outputs]

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self.spec.n_bits

    @property
    def usual(self) -> np.ndarray:
        """The mean features of the items that it was taught with, as decoded, (n_outputs,)."""
        return self._output.decoded(self._scaled(self._usual[None]))[0]

    def decode(self, codes: Codes) -> np.ndarray:
        """The features that the codes stand for, (n, n_outputs) float32: shares of words, numbers.

        Raises ValueError for codes of another length.
        """
        decoded = [self._output.decoded(self._sums(codes[rows])) for rows in self._blocks(codes)]
        return np.concatenate(decoded)

    def errors(self, codes: Codes, features: Features) -> np.ndarray:
        """How far items' own features are from what their codes decode to, (n,) float64.

        Of words a Kullback-Leibler divergence in nats, of numbers the mean squared error in squared
        units of the features. Raises ValueError for codes of another length or number.
        """
        if len(codes) != len(features):
            raise ValueError(
                f"features: expected a row for each of {len(codes)} codes, got {len(features)}; "
                "pass those that the codes were made of"
            )
        own = rebuilt(features, self.spec.ordering)
        errors = [
            self._output.errors(
                self._sums(codes[rows]), rows_between(own, int(rows[0]), int(rows[-1]) + 1)
            )
            for rows in self._blocks(codes)
            if len(rows)
        ]
        return np.concatenate(errors) if errors else np.empty(0)

    def usual_errors(self, features: Features) -> np.ndarray:
        """How far items' own features are from those of the usual item, (n,) float64.

        What the `errors` of a decoder are compared with, that learned nothing from the codes.
        """
        size = max(1, _BLOCK // (4 * self.spec.n_outputs))
        sums, n = self._scaled(self._usual[None]), len(features)
        own = rebuilt(features, self.spec.ordering)
        errors = [
            self._output.errors(
                np.repeat(sums, min(size, n - start), axis=0),
                rows_between(own, start, min(start + size, n)),
            )
            for start in range(0, n, size)
        ]
        return np.concatenate(errors) if errors else np.empty(0)

    def _blocks(self, codes: Codes) -> Iterator[np.ndarray]:
        """The positions of the codes, block by block; one empty block where there are none."""
        if codes.n_bits != self.n_bits:
            raise ValueError(
                f"codes: expected {self.n_bits} bits, got {codes.n_bits}; pass codes of this model"
            )
        size = max(1, _BLOCK // (4 * max(self.spec.n_outputs, *self.spec.hidden, 1)))
        for start in range(0, max(1, len(codes)), size):
            yield np.arange(start, min(start + size, len(codes)))

    def _sums(self, codes: Codes) -> np.ndarray:
        """The sums of the last layer, (n, n_outputs) float32, in units of the features."""
        rows = np.where(codes.bits, np.float32(1.0), np.float32(-1.0))
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            rows = (np.maximum(rows, 0) if i else rows) @ weight + bias
        return self._scaled(rows)

    def _scaled(self, sums: np.ndarray) -> np.ndarray:
        return sums if self.spec.scale == 1.0 else sums * np.float32(self.spec.scale)

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned state, as arrays that `from_tensors` takes; weights in float16."""
        found = {f"weight {i}": weight.astype(np.float16) for i, weight in enumerate(self.weights)}
        found |= {f"bias {i}": bias.astype(np.float16) for i, bias in enumerate(self.biases)}
        found["usual"] = self._usual.astype(np.float16)
        return found | {"held errors": self.held_errors.astype(np.float32)}

    @classmethod
    def from_tensors(cls, spec: DecoderSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """The decoder with this spec and these tensors. Raises `DamagedError` if they differ."""
        shapes: dict[str, tuple[int, ...] | None] = {
            "usual": (spec.n_outputs,),
            "held errors": None,
        }
        for i, (n_in, n_out) in enumerate(spec.layer_shapes()):
            shapes |= {f"weight {i}": (n_in, n_out), f"bias {i}": (n_out,)}
        if tensors.keys() != shapes.keys():
            raise DamagedError(
                f"decoder: expected the arrays {', '.join(shapes)}, got {', '.join(tensors)}; "
                "train the model again"
            )
        for name, shape in shapes.items():
            array = tensors[name]
            is_right = array.ndim == 1 if shape is None else array.shape == shape
            if not (is_right and array.dtype.kind == "f" and np.isfinite(array).all()):
                raise DamagedError(
                    f"decoder: expected finite floats of shape {shape or '(n,)'} as {name!r}, got "
                    f"{array.dtype} of shape {array.shape}; train the model again"
                )
        n_layers = len(spec.layer_shapes())
        return cls(
            spec,
            [tensors[f"weight {i}"] for i in range(n_layers)],
            [tensors[f"bias {i}"] for i in range(n_layers)],
            tensors["usual"],
            np.sort(tensors["held errors"].astype(np.float32)),
        )


def held_quantiles(errors: np.ndarray) -> np.ndarray:
    """The errors, increasing, as float32; of more than `MOST_ERRORS`, evenly spaced ones."""
    ranked = np.sort(errors).astype(np.float32)
    if len(ranked) <= MOST_ERRORS:
        return ranked
    return ranked[np.linspace(0, len(ranked) - 1, MOST_ERRORS).round().astype(np.int64)]
