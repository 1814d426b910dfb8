"""Pre-train a layer by recirculation, which takes no derivative of anything.

A layer and its decoder pass an input round: up, down, and up again. Each unit learns from how its
own activity changed on the way, as if the change were the error (Hinton and McClelland, "Learning
representations by recirculation", NIPS 1987, published 1988). What comes down is mixed with what
was there, so that changes are small; and where the weights down are nearly those up, transposed,
small changes are proportional to the gradient of the reconstruction error.

It is a member of the family for its own sake: no error is sent backward through a layer. All layers
are fine-tuned together afterwards, by back-propagation as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from indexer.training.layers.greedy import LayerOfStack
from indexer.training.networks.autoencoder import Bags, Batch
from indexer.training.networks.bottleneck import normalise
from indexer.training.networks.dense import Linear
from indexer.training.optimise import Descent
from indexer.training.presets import Recirculation
from indexer.training.report import Course


class RecirculationPretraining:
    """Pre-trains a layer by recirculation; Adam sets the size of the steps, as in every stage."""

    def __init__(self, settings: Recirculation):
        self.settings = settings

    def __call__(self, layer: LayerOfStack, descent: Descent, epochs: int) -> Course:
        """Train one layer of the stack and its decoder; return how its reconstruction error went.

        Raises TypeError for a layer that is not linear.
        """
        loop = Loop.of(layer, self.settings.inertia)
        return descent.run(loop.parameters(), epochs, loop.step)


@dataclass(frozen=True, slots=True)
class Loop:
    """A layer, up, and its reconstruction of the layer's input, down."""

    layer: LayerOfStack
    inertia: float
    up: Linear
    down: Linear

    @classmethod
    def of(cls, layer: LayerOfStack, inertia: float) -> Loop:
        """The loop of a layer, whose weights down start as those up, transposed.

        The way down is the layer's decoder if that rebuilds the layer's input. A decoder that
        rebuilds another target stays as it is, and the way down is forgotten afterwards.
        """
        up, down = layer.encoder, layer.decoder
        if not (isinstance(up, Linear) and isinstance(down, Linear)):
            raise TypeError(
                f"recirculation: expected linear layers, got {type(up).__name__} and "
                f"{type(down).__name__}; choose a trunk of linear layers"
            )
        layer.start_decoder()
        wanted = up.weight.detach()[: len(up.weight) - layer.n_fixed, : len(down.weight)].T
        if down.weight.shape != wanted.shape:
            n_code, n_visible = wanted.shape
            down = Linear(n_code, n_visible, torch.Generator()).to(wanted.device)
        with torch.no_grad():
            down.weight.copy_(wanted)
        return cls(layer, inertia, up, down)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights and biases of both ways."""
        yield from self.up.parameters()
        yield from self.down.parameters()

    def step(self, rows: np.ndarray, _: float) -> Tensor:
        """The reconstruction error of a batch, by the variance of its input.

        It also sets the direction in which each parameter is changed, in place of its gradient.
        """
        with torch.no_grad(), torch.autocast(self.up.weight.device.type, enabled=False):
            first = as_dense(self.layer.input(rows), len(self.up.weight))  # (b, n_in)
            n_visible = self.down.weight.shape[1]
            wanted = first[:, :n_visible]
            code = self._upward(first)  # (b, n_out)
            rebuilt = self._downward(code)
            second = first.clone()  # latent coordinates are fixed, so they come round unchanged
            second[:, :n_visible] = self.inertia * wanted + (1.0 - self.inertia) * rebuilt
            again = self._upward(second)
            _set_direction(self.down, code, wanted - second[:, :n_visible])
            _set_direction(self.up, second, code - again)
            return (wanted - rebuilt).square().mean() / wanted.var(dim=0).mean().clamp(min=1e-9)

    def _upward(self, batch: Tensor) -> Tensor:
        """The hidden units, or a bit's logit between -1 and 1: two draws of noise would differ."""
        sums = self.up.forward(batch)
        if self.layer.is_last:
            return torch.tanh(normalise(sums[:, : len(self.down.weight)]))
        return self.layer.whole.network.activated(sums)

    def _downward(self, code: Tensor) -> Tensor:
        """The layer's input again: of the layer below what its ReLU lets through."""
        rebuilt = self.down.forward(code)
        return rebuilt if self.layer.index == 0 else torch.relu(rebuilt)


def _set_direction(layer: Linear, before: Tensor, change: Tensor) -> None:
    """Let the weights move along what was active before times what changed after, (n_in, n_out).

    Outputs that have no part in the code, such as deviations, do not move.
    """
    n, n_out = change.shape
    weight, bias = torch.zeros_like(layer.weight), torch.zeros_like(layer.bias)
    weight[:, :n_out] = -(before.T @ change) / n
    bias[:n_out] = -change.mean(dim=0)
    layer.weight.grad, layer.bias.grad = weight, bias


def as_dense(batch: Batch, n_features: int) -> Tensor:
    """The rows of a batch, (n, n_features)."""
    if isinstance(batch, Tensor):
        return batch
    if not isinstance(batch, Bags):
        raise TypeError("recirculation: expected rows, got steps in order; take another trunk")
    lengths = batch.offsets.diff()
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    found = torch.zeros(len(lengths), n_features, device=batch.values.device)
    found[owner, batch.indices] = batch.values
    return found
