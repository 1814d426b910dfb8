"""The recursive trunk: one cell joins the steps of an item in pairs, up a balanced binary tree.

`hashret.models.recursive` says which cell and which tree, and where they come from.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import clamp_for, require_bounded, to_grid
from hashret.models.recursive import RecursiveEncoder
from hashret.models.steps import tree_levels
from hashret.specs.encoders import RecursiveSpec
from hashret.specs.ordering import Ordering
from indexer.training.networks.autoencoder import Sequences
from indexer.training.networks.steps import StepsLayer, StepsTrunk, numbers_of
from indexer.training.presets import Recursive

#: The bound on the nodes of the tree, whose numbers start near 1.
_BOUND = 16.0
#: Standard deviation of the noise by which the two halves of a new cell differ, over the root of
#: the number of units: it is what a new tree knows of order.
_ORDER = 0.25


class RecursiveLayer(StepsLayer):
    """A vector for each step, the cell that joins two, and the tree."""

    def __init__(self, ordering: Ordering, n_units: int, n_out: int, generator: torch.Generator):
        super().__init__(n_units, n_out, generator)
        self.ordering = ordering
        n_in = ordering.n_tokens + 1 if ordering.n_tokens else ordering.width
        # token vectors, or weights of the numbers of a step
        self.step = nn.Parameter(torch.empty(n_in, n_units))
        self.step_bias = nn.Parameter(torch.zeros(n_units))
        # a new cell takes the mean of two nodes, but for noise, so that a new tree takes the mean
        # of all steps, and no step is lost in it
        mean = 0.5 * torch.eye(n_units).repeat(2, 1)
        noise = torch.randn(mean.shape, generator=generator)
        self.cell = nn.Parameter(mean + _ORDER * n_units**-0.5 * noise)
        self.cell_bias = nn.Parameter(torch.zeros(n_units))
        with torch.no_grad():
            self.step.normal_(0.0, 1.0 if ordering.n_tokens else n_in**-0.5, generator=generator)
            if not ordering.n_tokens:
                self.step_bias.normal_(0.0, 1.0, generator=generator)

    def summaries(self, batch: Sequences) -> Tensor:
        """The vectors at the roots, (n, n_units)."""
        nodes = self.leaves(batch.values)
        levels, roots = tree_levels(batch.lengths)
        for level in levels:
            left, right, alone = (torch.from_numpy(rows).to(nodes.device) for rows in level)
            nodes = torch.cat([self.joined(nodes[left], nodes[right]), nodes[alone]])
        (full,) = np.nonzero(batch.lengths)
        found = nodes.new_zeros(len(batch.lengths), nodes.shape[1])
        return found.index_copy(
            0, torch.from_numpy(full).to(nodes.device), nodes[torch.from_numpy(roots)]
        )

    def leaves(self, values: Tensor) -> Tensor:
        """The vectors of steps, (n_steps, n_units), from 0 to the bound."""
        if self.ordering.n_tokens:
            return nn.functional.embedding(values, self.step).clamp(0.0, _BOUND)
        return torch.addmm(self.step_bias, values, self.step).clamp(0.0, _BOUND)

    def joined(self, left: Tensor, right: Tensor) -> Tensor:
        """What two nodes become, (n, n_units)."""
        sums = torch.addmm(self.cell_bias, torch.cat([left, right], dim=1), self.cell)
        return sums.clamp(0.0, _BOUND)


class RecursiveTrunk(StepsTrunk):
    """A tree of one cell over the steps."""

    settings: Recursive

    def first_layer(self, n_out: int, generator: torch.Generator) -> RecursiveLayer:
        """A new layer; vectors of words start as latent semantic coordinates."""
        n_units = self.settings.n_units
        layer = RecursiveLayer(self.ordering, n_units, n_out, generator)
        vectors = self.word_vectors(n_units // 2)
        if vectors is not None:
            # nodes are not negative, so the positive and the negative part of each are kept
            both = torch.from_numpy(np.hstack([vectors, -vectors]))
            with torch.no_grad():
                layer.step[1:, : both.shape[1]] = both
        return layer

    def encoder_of(self, layer: StepsLayer, dense: DenseEncoder) -> RecursiveEncoder:
        """The tree in NumPy, with the dense layers behind it."""
        assert isinstance(layer, RecursiveLayer)  # noqa: S101
        ordering = self.ordering
        cell, cell_bias = to_grid(numbers_of(layer.cell)), to_grid(numbers_of(layer.cell_bias))
        step, step_bias = to_grid(numbers_of(layer.step)), to_grid(numbers_of(layer.step_bias))
        require_bounded([cell, step])
        arrays: tuple[np.ndarray, ...] = (step.astype(np.float32), step_bias)
        step_clamp = clamp_for(step, step_bias)
        if ordering.n_tokens:
            arrays, step_clamp = (np.clip(step, 0.0, _BOUND).astype(np.float32),), _BOUND
        spec = RecursiveSpec(
            n_features=self.features.shape[1],
            n_bits=dense.n_bits,
            n_units=cell.shape[1],
            step_clamp=step_clamp,
            node_clamp=min(_BOUND, clamp_for(cell, cell_bias)),
            width=ordering.width,
            n_tokens=ordering.n_tokens,
            first=ordering.first,
            hidden=dense.spec.hidden,
            normalised=dense.spec.normalised,
            input_scale=self.scale,
            clamps=dense.spec.clamps,
            logit_scale=dense.spec.logit_scale,
        )
        return RecursiveEncoder(spec, arrays, (cell.astype(np.float32), cell_bias), dense)
