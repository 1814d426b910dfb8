"""The recurrent trunk: a gated cell takes the steps of an item one after the other.

`hashret.models.recurrent` says which cell, and where it comes from.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import clamp_for, require_bounded, to_grid
from hashret.models.recurrent import RecurrentEncoder
from hashret.models.steps import times
from hashret.specs.encoders import RecurrentSpec
from hashret.specs.ordering import Ordering
from indexer.training.networks.autoencoder import Sequences
from indexer.training.networks.steps import StepsLayer, StepsTrunk, numbers_of
from indexer.training.presets import Recurrent

#: The bound on what a step gives to the cell, in deviations of a number or of a vector of tokens.
_BOUND = 16.0


class RecurrentLayer(StepsLayer):
    """A vector for each token, if steps are tokens, and the cell."""

    def __init__(
        self,
        ordering: Ordering,
        n_units: int,
        embedding: int,
        longest: int,
        n_out: int,
        generator: torch.Generator,
    ):
        super().__init__(2 * n_units, n_out, generator)
        self.n_units = n_units
        self.vectors: nn.Parameter | None = None
        n_in = ordering.width
        if ordering.n_tokens:
            n_in = embedding
            self.vectors = nn.Parameter(
                torch.randn(ordering.n_tokens + 1, n_in, generator=generator)
            )
        self.of_step = nn.Parameter(
            torch.randn(n_in, 2 * n_units, generator=generator) * n_in**-0.5
        )
        of_state = torch.empty(n_units, 2 * n_units)
        for half in of_state.chunk(2, dim=1):
            nn.init.orthogonal_(half, 0.5, generator=generator)
        self.of_state = nn.Parameter(of_state)
        # each unit starts with a memory of its own length, from 2 steps to those of the longest
        # item (Tallec and Ollivier, "Can recurrent neural networks warp time?", ICLR 2018)
        reach = torch.linspace(math.log(2.0), math.log(max(longest, 3)), n_units).exp()
        gates = 4.0 * (0.5 - 1.0 / reach)
        self.cell_bias = nn.Parameter(torch.cat([gates, torch.zeros(n_units)]))

    def summaries(self, batch: Sequences) -> Tensor:
        """The last state and the mean of all states, (n, 2 x n_units)."""
        n, n_units, device = len(batch.lengths), self.n_units, batch.values.device
        inputs = batch.values
        if self.vectors is not None:
            inputs = nn.functional.embedding(inputs, self.vectors)
        drives = torch.addmm(self.cell_bias, inputs.clamp(-_BOUND, _BOUND), self.of_step)
        order, rows = times(batch.lengths)
        state, total = drives.new_zeros(2, n, n_units)
        for now in rows:
            m = len(now)
            running = state[:m]
            sums = torch.addmm(drives[torch.from_numpy(now).to(device)], running, self.of_state)
            gate = (0.25 * sums[:, :n_units] + 0.5).clamp(0.0, 1.0)
            candidate = sums[:, n_units:].clamp(-1.0, 1.0)
            after = candidate + gate * (running - candidate)
            state = torch.cat([after, state[m:]]) if m < n else after
            total = torch.cat([total[:m] + after, total[m:]]) if m < n else total + after
        counts = torch.from_numpy(np.maximum(batch.lengths[order], 1)).to(device)
        found = torch.cat([state, total / counts[:, None]], dim=1)
        back = np.empty_like(order)
        back[order] = np.arange(n)
        return found[torch.from_numpy(back).to(device)]


class RecurrentTrunk(StepsTrunk):
    """A gated cell over the steps."""

    settings: Recurrent

    def first_layer(self, n_out: int, generator: torch.Generator) -> RecurrentLayer:
        """A new layer; vectors of words start as latent semantic coordinates."""
        settings, ordering = self.settings, self.ordering
        longest = (self.features.shape[1] - ordering.first) // ordering.width
        layer = RecurrentLayer(
            ordering, settings.n_units, settings.embedding, longest, n_out, generator
        )
        vectors = self.word_vectors(settings.embedding)
        if vectors is not None and layer.vectors is not None:
            with torch.no_grad():
                layer.vectors[1:, : vectors.shape[1]] = torch.from_numpy(vectors)
        return layer

    def encoder_of(self, layer: StepsLayer, dense: DenseEncoder) -> RecurrentEncoder:
        """The cell in NumPy, with the dense layers behind it."""
        assert isinstance(layer, RecurrentLayer)  # noqa: S101
        ordering = self.ordering
        cell = to_grid(numbers_of(torch.cat([layer.of_step, layer.of_state])))
        bias = to_grid(numbers_of(layer.cell_bias))
        vectors = None if layer.vectors is None else to_grid(numbers_of(layer.vectors))
        require_bounded([cell] if vectors is None else [cell, vectors])
        spec = RecurrentSpec(
            n_features=self.features.shape[1],
            n_bits=dense.n_bits,
            n_units=layer.n_units,
            step_clamp=min(_BOUND, clamp_for(cell, bias)),
            width=ordering.width,
            n_tokens=ordering.n_tokens,
            first=ordering.first,
            hidden=dense.spec.hidden,
            normalised=dense.spec.normalised,
            input_scale=self.scale,
            clamps=dense.spec.clamps,
            logit_scale=dense.spec.logit_scale,
            embedding=self.settings.embedding,
        )
        kept = None if vectors is None else vectors.astype(np.float32)
        return RecurrentEncoder(spec, kept, (cell.astype(np.float32), bias), dense)
