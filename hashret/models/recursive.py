"""Apply a recursive encoder in NumPy: steps in order in, codes out, bit for bit the same.

One shared cell joins the vectors of neighbouring steps in pairs, then those of neighbouring pairs,
up a balanced binary tree to one vector of the whole, whose dense layers give the bits. This is the
encoder of the recursive autoencoder (Pollack, "Recursive distributed representations", Artificial
Intelligence 1990; Socher et al., "Semi-supervised recursive autoencoders for predicting sentiment
distributions", EMNLP 2011, section 2) on a tree that depends on the length alone.

With l and r the vectors of two nodes, a joined node is clip([l, r] W + b, 0, clamp). All sums are
of numbers on the grid of `fixed_point`, and so exact: a code depends on nothing but its item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from hashret.models.dense import DenseEncoder
from hashret.models.exact_encoder import require_exact, tensor_of
from hashret.models.fixed_point import UNITS, in_units
from hashret.models.steps import steps_of, tree_levels
from hashret.models.steps_encoder import StepsEncoder
from hashret.sparse import Features
from hashret.specs.encoders import RecursiveSpec

#: Number of items encoded at once: the nodes of so many texts fit a core's cache. It changes no
#: code.
_TILE_ITEMS = 32


class RecursiveEncoder(StepsEncoder[RecursiveSpec]):
    """A tree of one cell over the steps of an item, then dense layers.

    `step` holds the vectors of the tokens, (n_tokens + 1, n_units) float32, the unknown one first
    and none below 0; or the weights (width, n_units) and the biases (n_units,) of steps of numbers.
    `cell` is the weight (2 x n_units, n_units) float32 and the bias (n_units,) float64.
    """

    def __init__(
        self,
        spec: RecursiveSpec,
        step: tuple[np.ndarray, ...],
        cell: tuple[np.ndarray, np.ndarray],
        dense: DenseEncoder,
    ):
        super().__init__(spec, dense)
        self._step = step
        self._cell = cell
        self._cell_weight = np.asarray(cell[0], np.float64)

    def _tile_rows(self) -> int:
        return _TILE_ITEMS

    def summaries(self, features: Features) -> np.ndarray:
        """The vectors at the roots of the trees, (n, n_units); zeros for an item without steps."""
        values, lengths = steps_of(features, self._spec.ordering)
        nodes = self._leaves(values)  # (n_steps, n_units)
        levels, roots = tree_levels(lengths)
        for left, right, alone in levels:
            pairs = np.hstack([nodes.take(left, axis=0), nodes.take(right, axis=0)])
            joined = self._bounded(pairs @ self._cell_weight, self._cell[1])
            nodes = np.vstack([joined, nodes.take(alone, axis=0)]) if len(alone) else joined
        found = np.zeros((len(lengths), self._spec.n_units))
        found[lengths > 0] = nodes[roots] / UNITS
        return found

    def _leaves(self, values: np.ndarray) -> np.ndarray:
        """The nodes at the bottom, as `_bounded` returns them."""
        spec = self._spec
        if spec.n_tokens:
            vectors = np.asarray(self._step[0].take(values, axis=0), np.float64)
            return self._bounded(vectors * UNITS, None)
        steps = in_units(values, spec.input_scale, spec.step_clamp)
        return self._bounded(steps @ np.asarray(self._step[0], np.float64), self._step[1])

    def _bounded(self, sums: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
        """Nodes in units of the grid, whole numbers: one operation less than `to_grid` each."""
        if bias is not None:
            sums += bias * UNITS
        np.rint(sums, out=sums)
        return np.clip(sums, 0.0, self._spec.node_clamp * UNITS, out=sums)

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays by name: those of the dense layers, ``cell.*`` and ``step.*``."""
        names = ("step.vectors",) if self._spec.n_tokens else ("step.weight", "step.bias")
        named = dict(zip(names, self._step, strict=True))
        named |= {"cell.weight": self._cell[0], "cell.bias": self._cell[1]}
        return self._dense.tensors() | named

    @classmethod
    def from_tensors(cls, spec: RecursiveSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild an encoder; the arrays may be read-only and memory-mapped.

        Raises DamagedError if a tensor is missing, has another shape or type than the spec says, or
        weights too large for exact sums.
        """
        n = spec.n_units
        cell = (
            tensor_of(tensors, "cell.weight", (2 * n, n), np.float32),
            tensor_of(tensors, "cell.bias", (n,), np.float64),
        )
        require_exact(*cell, spec.node_clamp)
        step: tuple[np.ndarray, ...]
        if spec.n_tokens:
            step = (tensor_of(tensors, "step.vectors", (spec.n_tokens + 1, n), np.float32),)
        else:
            step = (
                tensor_of(tensors, "step.weight", (spec.width, n), np.float32),
                tensor_of(tensors, "step.bias", (n,), np.float64),
            )
            require_exact(*step, spec.step_clamp)
        return cls(spec, step, cell, DenseEncoder.from_tensors(spec.dense(), tensors))
