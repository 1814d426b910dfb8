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
from indexer.training.networks.autoencoder import Batch
from indexer.training.networks.bottleneck import Coded
from indexer.training.objectives import alone, squared_error
from indexer.training.optimise import Descent
from indexer.training.report import Course

#: Number of items whose mean is the initial bias of a decoder layer: enough for a mean.
_SAMPLE = 1024


@dataclass(frozen=True, slots=True)
class LayerOfStack:
    """One encoder layer with its decoder layer, above the layers that are already trained."""

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
        return self.whole.network.n_latent if self._is_last else 0

    @property
    def _is_last(self) -> bool:
        return self.index == len(self.whole.network.encoder) - 1

    def _rebuilt(self, clean: Batch) -> tuple[Tensor, Tensor | None]:
        """The output of the layer's decoder, (b, n_in), and the loss of the bottleneck, if any."""
        code, cost = self._coded(clean)
        return self.whole.network.decoder[-1 - self.index].forward(code), cost

    def _coded(self, clean: Batch) -> Coded:
        """The input of the layer's decoder; for the last layer, a code from -1 to 1."""
        network, corruption = self.whole.network, self.whole.corruption
        noisy = corruption.features(clean) if self.index == 0 else corruption.masked(clean)
        active = network.encoder[self.index].forward(noisy)  # (b, n_out)
        if not self._is_last:
            return Coded(network.activated(active))
        code, cost = self.whole.bottleneck(active, 0.0)
        return Coded(2.0 * code - 1.0, cost)


def pretrain_layer(layer: LayerOfStack, descent: Descent, epochs: int) -> Course:
    """Train one layer of the stack and its decoder; return how the loss went.

    The decoder's bias starts at the mean of its target, so that no unit starts with a ReLU that
    never opens.
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
