"""Greedy layer-wise pre-training: one shallow denoising autoencoder after the other.

Each layer learns to rebuild the clean output of the layer below from a corrupted one, with the
layers below fixed (Hinton and Salakhutdinov, Science 2006; Bengio et al., NIPS 2006; with
corruption in place of contrastive divergence, Vincent et al., JMLR 2010). The pairs of encoder
and decoder layers then stand, unrolled, as the start of fine-tuning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from indexer.training.finetune import Unrolled
from indexer.training.networks.autoencoder import Batch
from indexer.training.networks.bottleneck import Coded
from indexer.training.objectives import alone, squared_error
from indexer.training.optimise import Descent

#: Items whose mean a decoder layer starts at: enough for a mean, and one batch.
_SAMPLE = 1024


@dataclass(frozen=True, slots=True)
class LayerOfStack:
    """One layer of the encoder with that of the decoder, on top of the fixed layers below it."""

    whole: Unrolled
    index: int

    def loss(self, rows: np.ndarray, _: float) -> Tensor:
        """The loss of rebuilding the layer's clean input from a corrupted one."""
        batch = self.whole.batches.batch(rows)
        if self.index == 0:
            rebuilt, cost = self._rebuilt(batch)
            loss = self.whole.target.loss(rebuilt, *alone(rows))
        else:
            with torch.no_grad():
                clean = self.whole.network.hidden(self.index, batch).float()  # (b, n_in)
            # latent coordinates are nothing that a layer below learned
            wanted = clean[:, : clean.shape[1] - self.n_fixed]
            # in units of the input's variance, so that layers compare
            variance = wanted.var(dim=0, correction=0).mean().clamp(min=1e-9)
            rebuilt, cost = self._rebuilt(clean)
            loss = squared_error(functional.relu(rebuilt), wanted) / variance
        return loss if cost is None else loss + cost

    @property
    def n_fixed(self) -> int:
        """How many columns of the layer's input are latent coordinates, the last ones."""
        return self.whole.network.n_latent if self._is_last else 0

    @property
    def _is_last(self) -> bool:
        return self.index == len(self.whole.network.encoder) - 1

    def _rebuilt(self, clean: Batch) -> tuple[Tensor, Tensor | None]:
        """What the layer's decoder gives, (b, n_in), and what the bottleneck costs."""
        code, cost = self._coded(clean)
        return self.whole.network.decoder[-1 - self.index].forward(code), cost

    def _coded(self, clean: Batch) -> Coded:
        """What the layer's decoder takes: of the last layer a code from -1 to 1."""
        network, corruption = self.whole.network, self.whole.corruption
        noisy = corruption.features(clean) if self.index == 0 else corruption.masked(clean)
        active = network.encoder[self.index].forward(noisy)  # (b, n_out)
        if not self._is_last:
            return Coded(network.activated(active))
        code, cost = self.whole.bottleneck(active, 0.0)
        return Coded(2.0 * code - 1.0, cost)


def pretrain_layer(layer: LayerOfStack, descent: Descent, epochs: int) -> float:
    """Train one layer of the stack and its decoder; returns the final loss.

    The decoder's bias starts at the mean of what it rebuilds, so that no unit of it is born
    dead below its ReLU.
    """
    whole, index = layer.whole, layer.index
    decoder = whole.network.decoder[-1 - index]
    if index > 0:
        sample = np.arange(min(len(whole.batches), _SAMPLE))
        with torch.no_grad():
            mean = whole.network.hidden(index, whole.batches.batch(sample)).mean(dim=0)  # (n_in,)
            decoder.start_at(mean[: len(mean) - layer.n_fixed])
    parameters = [*whole.network.encoder[index].parameters(), *decoder.parameters()]
    return descent.run(parameters, epochs, layer.loss)
