"""Apply a recurrent encoder in NumPy: steps in order in, codes out, bit for bit the same.

A gated cell takes one step after the other. With x the step, h the state before it, and sums
(x, h) -> [x, h] W + b for the gate and the candidate,

    gate = clip(sum / 4 + 1/2, 0, 1)        the hard sigmoid, with the slope of the sigmoid at 0
    candidate = clip(sum, -1, 1)            the hard hyperbolic tangent
    h' = candidate + gate (h - candidate)

so a gate of 1 keeps a unit for ever, and one of 0 replaces it. This is the update gate cell of
Collins, Sohl-Dickstein and Sussillo, "Capacity and trainability in recurrent neural networks",
ICLR 2017, section 1.1; hard gates: Courbariaux et al., "BinaryConnect", NIPS 2015. The last state
and the mean of all enter the dense layers, which give the bits.

The state is fed back, so it is put on the grid of `fixed_point` at each step, between -1 and 1:
then every sum is exact, and a code depends on nothing but its item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from hashret.models.dense import DenseEncoder
from hashret.models.exact_encoder import require_exact, tensor_of
from hashret.models.fixed_point import UNITS, in_units
from hashret.models.steps import steps_of, times
from hashret.models.steps_encoder import StepsEncoder
from hashret.sparse import Features
from hashret.specs.encoders import RecurrentSpec

#: Number of items that take a step together, which makes products of matrices worth their call. It
#: changes no code.
_TILE_ITEMS = 256


class RecurrentEncoder(StepsEncoder[RecurrentSpec]):
    """A gated cell over the steps of an item, then dense layers.

    `vectors` (n_tokens + 1, embedding) float32 are those of the tokens, the unknown one first; None
    for steps of numbers. `cell` is the weight (n_in + n_units, 2 x n_units) float32, where n_in is
    the width of a step or of a token's vector, and the bias (2 x n_units,) float64: first the
    columns of the gates, then those of the candidates.
    """

    def __init__(
        self,
        spec: RecurrentSpec,
        vectors: np.ndarray | None,
        cell: tuple[np.ndarray, np.ndarray],
        dense: DenseEncoder,
    ):
        super().__init__(spec, dense)
        self._vectors = vectors
        self._cell = cell
        weight = np.asarray(cell[0], np.float64)
        self._of_step, self._of_state = weight[: -spec.n_units], weight[-spec.n_units :]

    def _tile_rows(self) -> int:
        return _TILE_ITEMS

    def summaries(self, features: Features) -> np.ndarray:
        """The last state of each item, and the mean of its states, (n, 2 x n_units).

        Zeros for an item without steps.
        """
        values, lengths = steps_of(features, self._spec.ordering)
        drives, rows_of = self._drives(values)
        order, rows = times(lengths)
        n_units = self._spec.n_units
        # of the items in `order`: those that are still running at a time are the first
        state, total = np.zeros((2, len(order), n_units))
        for now in rows:
            running = state[: len(now)]
            self._step(running, drives.take(rows_of[now], axis=0))
            total[: len(now)] += running
        found = np.empty((len(order), 2 * n_units))
        found[order, :n_units] = state
        found[order, n_units:] = np.rint(total / np.maximum(lengths[order], 1)[:, None])
        found *= 1.0 / UNITS
        return found

    def _step(self, state: np.ndarray, sums: np.ndarray) -> None:
        """Change the state (m, n_units) by one step, whose drives are in `sums`; all in units."""
        sums += state @ self._of_state
        gate, candidate = sums[:, : self._spec.n_units], sums[:, self._spec.n_units :]
        gate *= 0.25
        np.rint(sums, out=sums)
        gate += 0.5 * UNITS
        np.clip(gate, 0.0, UNITS, out=gate)
        np.clip(candidate, -UNITS, UNITS, out=candidate)
        state -= candidate
        state *= gate  # whole numbers below 2^34
        state *= 1.0 / UNITS
        state += candidate
        np.rint(state, out=state)

    def _drives(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What steps add to the sums, in units, biases included, and the row of it for each step.

        Of tokens only the different ones are computed.
        """
        spec, rows_of = self._spec, np.arange(len(values))
        if self._vectors is not None:
            different, rows_of = np.unique(values, return_inverse=True)
            values = self._vectors.take(different, axis=0)
        drives = in_units(values, spec.input_scale, spec.step_clamp) @ self._of_step
        drives += self._cell[1] * UNITS
        return drives, rows_of

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays: those of the dense layers, ``cell.*`` and ``step.vectors``."""
        named = self._dense.tensors() | {"cell.weight": self._cell[0], "cell.bias": self._cell[1]}
        return named if self._vectors is None else named | {"step.vectors": self._vectors}

    @classmethod
    def from_tensors(cls, spec: RecurrentSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild an encoder; the arrays may be read-only and memory-mapped.

        Raises DamagedError if a tensor is missing, has another shape or type than the spec says, or
        weights too large for exact sums.
        """
        vectors, n_in, n_units = None, spec.width, spec.n_units
        if spec.n_tokens:
            n_in = spec.embedding
            vectors = tensor_of(tensors, "step.vectors", (spec.n_tokens + 1, n_in), np.float32)
        cell = (
            tensor_of(tensors, "cell.weight", (n_in + n_units, 2 * n_units), np.float32),
            tensor_of(tensors, "cell.bias", (2 * n_units,), np.float64),
        )
        require_exact(*cell, max(spec.step_clamp, 1.0))
        return cls(spec, vectors, cell, DenseEncoder.from_tensors(spec.dense(), tensors))
