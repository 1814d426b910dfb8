"""The recursive trunk: one cell joins the steps of an item in pairs, up a balanced binary tree.

`hashret.models.recursive` says which cell and which tree, and where they come from. The cell is
pre-trained as it is there: with a layer that takes a joined node apart again, on all nodes of the
trees of some items (Socher et al., EMNLP 2011, section 2.2). Pre-training is greedy, from the pair
to the tree: then the first layer as a whole learns to rebuild the target, as every trunk's does.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import clamp_for, require_bounded, to_grid
from hashret.models.recursive import RecursiveEncoder
from hashret.models.steps import Level, tree_levels
from hashret.sparse import take_rows
from hashret.specs.encoders import RecursiveSpec
from hashret.specs.ordering import Ordering
from indexer.training.batches import Batches
from indexer.training.networks.autoencoder import Sequences
from indexer.training.networks.dense import Linear
from indexer.training.networks.steps import StepsLayer, StepsTrunk, numbers_of
from indexer.training.optimise import Descent
from indexer.training.presets import Recursive
from indexer.training.training_set import Preparation

#: The bound on the nodes of the tree, whose numbers start near 1.
_BOUND = 16.0
#: Standard deviation of the noise by which the two halves of a new cell differ, over the root of
#: the number of units: it is what a new tree knows of order.
_ORDER = 0.25
#: Number of items whose pairs of nodes the cell is pre-trained on at once, and the learning rate.
#: There are as many pairs as steps, so few items are enough.
_PAIR_BATCH, _PAIR_RATE = 32, 1e-2


class RecursiveLayer(StepsLayer):
    """A vector for each step, the cell that joins two, and the tree."""

    def __init__(self, ordering: Ordering, n_units: int, n_out: int, generator: torch.Generator):
        super().__init__(n_units, n_out, generator)
        self.ordering = ordering
        n_in = ordering.n_tokens + 1 if ordering.n_tokens else ordering.width
        # token vectors, or weights of the numbers of a step
        self.step = nn.Parameter(torch.empty(n_in, n_units))
        self.step_bias = None if ordering.n_tokens else nn.Parameter(torch.empty(n_units))
        # a new cell takes the mean of two nodes, but for noise, so that a new tree takes the mean
        # of all steps, and no step is lost in it
        mean = 0.5 * torch.eye(n_units).repeat(2, 1)
        noise = torch.randn(mean.shape, generator=generator)
        self.cell = nn.Parameter(mean + _ORDER * n_units**-0.5 * noise)
        self.cell_bias = nn.Parameter(torch.zeros(n_units))
        with torch.no_grad():
            self.step.normal_(0.0, 1.0 if ordering.n_tokens else n_in**-0.5, generator=generator)
            if self.step_bias is not None:
                self.step_bias.normal_(0.0, 1.0, generator=generator)

    def summaries(self, batch: Sequences) -> Tensor:
        """The vectors at the roots, (n, n_units)."""
        nodes = self.leaves(batch.values)
        levels, roots = tree_levels(batch.lengths)
        for level in levels:
            pairs, alone = pairs_of(nodes, level)
            nodes = torch.cat([self.joined(pairs), alone])
        with_steps, tops = (
            torch.from_numpy(rows).to(nodes.device) for rows in (*np.nonzero(batch.lengths), roots)
        )
        found = nodes.new_zeros(len(batch.lengths), nodes.shape[1])
        return found.index_copy(0, with_steps, nodes[tops])

    def of_steps(self) -> list[nn.Parameter]:
        """The parameters of the vectors of steps and of the cell."""
        bias = [] if self.step_bias is None else [self.step_bias]
        return [self.step, *bias, self.cell, self.cell_bias]

    def leaves(self, values: Tensor) -> Tensor:
        """The vectors of steps, (n_steps, n_units), from 0 to the bound."""
        if self.step_bias is None:
            return functional.embedding(values, self.step).clamp(0.0, _BOUND)
        return torch.addmm(self.step_bias, values, self.step).clamp(0.0, _BOUND)

    def joined(self, pairs: Tensor) -> Tensor:
        """What two nodes, side by side in (n, 2 x n_units), become, (n, n_units)."""
        return torch.addmm(self.cell_bias, pairs, self.cell).clamp(0.0, _BOUND)


def pairs_of(nodes: Tensor, level: Level) -> tuple[Tensor, Tensor]:
    """The pairs of nodes that a level joins, side by side, and the nodes that go up alone."""
    left, right, alone = (torch.from_numpy(rows).to(nodes.device) for rows in level)
    return torch.cat([nodes[left], nodes[right]], dim=1), nodes[alone]


class PairAutoencoder(nn.Module):
    """The cell of a layer, and a linear layer that takes a joined node apart."""

    def __init__(self, layer: RecursiveLayer, generator: torch.Generator):
        super().__init__()
        self.layer = layer
        n_units = layer.cell.shape[1]
        self.apart = Linear(n_units, 2 * n_units, generator)
        with torch.no_grad():  # a new cell takes the mean of two nodes, which stands for both
            self.apart.weight.copy_(torch.eye(n_units).repeat(1, 2))

    def learned(self) -> list[nn.Parameter]:
        """The parameters that it learns; the vectors of steps stay as they are."""
        return [self.layer.cell, self.layer.cell_bias, *self.apart.parameters()]

    def loss(self, batch: Sequences) -> Tensor:
        """The mean squared error of both nodes of all pairs, in units of their variance."""
        nodes = self.layer.leaves(batch.values)
        total, count = nodes.new_zeros(()), 0
        for level in tree_levels(batch.lengths)[0]:
            pairs, alone = pairs_of(nodes, level)
            joined = self.layer.joined(pairs)
            # what is to be rebuilt is fixed: else the cell would make all nodes alike
            wanted = pairs.detach()
            error = functional.mse_loss(self.apart(joined), wanted)
            total = total + len(pairs) * error / wanted.var().clamp(min=1e-6)
            nodes, count = torch.cat([joined, alone]), count + len(pairs)
        return total / max(count, 1)


class RecursiveTrunk(StepsTrunk):
    """A tree of one cell over the steps."""

    settings: Recursive

    def __init__(self, settings: Recursive, preparation: Preparation):
        super().__init__(settings, preparation)
        #: Vectors of steps and the cell, as each network starts; they are learned once.
        self._start = self._learned(torch.Generator().manual_seed(preparation.seed))

    def first_layer(self, n_out: int, generator: torch.Generator) -> RecursiveLayer:
        """A new layer, of which the cell and the vectors of steps have learned."""
        layer = RecursiveLayer(self.ordering, self.settings.n_units, n_out, generator)
        with torch.no_grad():
            for parameter, learned in zip(layer.of_steps(), self._start, strict=True):
                parameter.copy_(learned)
        return layer

    def _learned(self, generator: torch.Generator) -> list[Tensor]:
        """What a layer starts with; vectors of words, with latent semantic coordinates."""
        n_units = self.settings.n_units
        layer = RecursiveLayer(self.ordering, n_units, 1, generator)
        vectors = self.word_vectors(n_units // 2)
        if vectors is not None:
            # nodes are not negative, so the positive and the negative part of each are kept
            both = torch.from_numpy(np.hstack([vectors, -vectors]))
            with torch.no_grad():
                layer.step[1:, : both.shape[1]] = both
        if self.settings.pair_steps:
            self.preparation.stage("pairs", lambda: self._learn_pairs(layer))
        return [parameter.detach() for parameter in layer.of_steps()]

    def _learn_pairs(self, layer: RecursiveLayer) -> None:
        """Pre-train the cell on pairs of nodes of a sample of the items."""
        rng, device = self.preparation.rng(), torch.device("cpu")
        pairs = PairAutoencoder(layer, torch.Generator().manual_seed(self.preparation.seed))
        n_steps, size = self.settings.pair_steps, min(_PAIR_BATCH, len(self.features))
        rows = rng.permutation(len(self.features))[: size * n_steps]
        batches = Batches(take_rows(self.features, rows), self.scale, device, self.ordering)
        descent = Descent("pairs", len(rows), size, _PAIR_RATE, rng, device, False, None)
        epochs = math.ceil(n_steps * size / len(rows))

        def loss(some: np.ndarray, _: float) -> Tensor:
            batch = batches.batch(some)
            assert isinstance(batch, Sequences)  # noqa: S101
            return pairs.loss(batch)

        descent.run(pairs.learned(), epochs, loss)

    def encoder_of(self, layer: StepsLayer, dense: DenseEncoder) -> RecursiveEncoder:
        """The tree in NumPy, with the dense layers behind it."""
        assert isinstance(layer, RecursiveLayer)  # noqa: S101
        ordering = self.ordering
        cell, cell_bias = to_grid(numbers_of(layer.cell)), to_grid(numbers_of(layer.cell_bias))
        step = to_grid(numbers_of(layer.step))
        require_bounded([cell, step])
        arrays: tuple[np.ndarray, ...] = (np.clip(step, 0.0, _BOUND).astype(np.float32),)
        step_clamp = _BOUND
        if layer.step_bias is not None:
            step_bias = to_grid(numbers_of(layer.step_bias))
            arrays = (step.astype(np.float32), step_bias)
            step_clamp = clamp_for(step, step_bias)
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
