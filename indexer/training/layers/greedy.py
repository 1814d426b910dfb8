"""Pre-train the layers greedily, one shallow denoising autoencoder after the other.

Each layer learns to rebuild the clean output of the layer below from a corrupted one, with the
layers below fixed (Hinton and Salakhutdinov, Science 2006; Bengio et al., NIPS 2006; with
corruption in place of contrastive divergence, Vincent et al., JMLR 2010). Unrolled, the pairs of
encoder and decoder layers are the starting point of fine-tuning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from indexer.training.finetune import Unrolled
from indexer.training.layers.hidden_terms import HiddenTerm
from indexer.training.networks.autoencoder import Batch, DecoderLayer, Layer
from indexer.training.networks.bottleneck import Coded
from indexer.training.objectives import alone, squared_error
from indexer.training.optimise import Descent
from indexer.training.presets import Greedy
from indexer.training.report import Course

#: Number of items whose mean is the initial bias of a decoder layer: enough for a mean.
_SAMPLE = 1024


@dataclass(frozen=True, slots=True)
class LayerOfStack:
    """One encoder layer with its decoder layer, above the layers that are already trained."""

    whole: Unrolled
    index: int

    @property
    def encoder(self) -> Layer:
        """The layer itself."""
        return self.whole.network.encoder[self.index]

    @property
    def decoder(self) -> DecoderLayer:
        """The layer that rebuilds its input or, for the first layer, the target."""
        return self.whole.network.decoder[-1 - self.index]

    def input(self, rows: np.ndarray) -> Batch:
        """The layer's input without corruption, (b, n_in)."""
        batch = self.whole.batches.batch(rows)
        if self.index == 0:
            return batch
        with torch.no_grad():
            return self.whole.network.hidden(self.index, batch).float()

    def loss(self, rows: np.ndarray, _: float) -> Tensor:
        """The loss of rebuilding the layer's clean input from a corrupted one."""
        clean = self.input(rows)
        if self.index == 0 or not isinstance(clean, Tensor):
            rebuilt, cost = self._rebuilt(clean)
            loss = self.whole.target.loss(rebuilt, *alone(rows))
        else:
            # latent coordinates are fixed, so there is nothing to rebuild
            wanted = clean[:, : clean.shape[1] - self.n_fixed]
            # in units of the input's variance, so that losses of different layers are comparable
            variance = wanted.var(dim=0, correction=0).mean().clamp(min=1e-9)
            rebuilt, cost = self._rebuilt(clean)
            loss = squared_error(functional.relu(rebuilt), wanted) / variance
        return loss if cost is None else loss + cost

    @property
    def n_fixed(self) -> int:
        """The number of latent coordinates among the layer's input columns; they are the last."""
        return self.whole.network.n_latent if self.is_last else 0

    @property
    def is_last(self) -> bool:
        """Whether it is the layer of the code."""
        return self.index == len(self.whole.network.encoder) - 1

    def _rebuilt(self, clean: Batch) -> tuple[Tensor, Tensor | None]:
        """The output of the layer's decoder, (b, n_in), and a further loss, if any."""
        code, cost = self._coded(clean)
        return self.decoder.forward(code), cost

    def _coded(self, clean: Batch) -> Coded:
        """The input of the layer's decoder; for the last layer, a code from -1 to 1."""
        network, corruption = self.whole.network, self.whole.corruption
        noisy = corruption.features(clean) if self.index == 0 else corruption.masked(clean)
        if self.is_last:
            code, cost = self.whole.bottleneck(self.encoder.forward(noisy), 0.0)
            return Coded(2.0 * code - 1.0, cost)
        hidden = network.hidden_layer(self.encoder, noisy)
        costs = [term.of_layer(hidden) for term in self.whole.terms if isinstance(term, HiddenTerm)]
        return Coded(hidden.active, sum(costs[1:], costs[0]) if costs else None)

    def start_decoder(self) -> None:
        """Start the decoder's bias at the mean of what it rebuilds; the features have none.

        So no unit starts with a ReLU that never opens.
        """
        if self.index == 0:
            return
        network, batches = self.whole.network, self.whole.batches
        sample = np.arange(min(len(batches), _SAMPLE))
        with torch.no_grad():
            mean = network.hidden(self.index, batches.batch(sample)).mean(dim=0)  # (n_in,)
        self.decoder.start_at(mean[: len(mean) - self.n_fixed])


class GreedyPretraining:
    """Pre-trains a layer by gradient descent."""

    def __init__(self, settings: Greedy):
        self.settings = settings

    def __call__(self, layer: LayerOfStack, descent: Descent, epochs: int) -> Course:
        """Train one layer of the stack and its decoder; return how the loss went."""
        layer.start_decoder()
        parameters = [*layer.encoder.parameters(), *layer.decoder.parameters()]
        return descent.run(parameters, epochs, layer.loss)
