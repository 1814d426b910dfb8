"""Fine-tune the whole autoencoder, unrolled, on the loss of its target and of all terms.

The decoder rebuilds the item and its neighbourhood from a code. The bottleneck between them comes
to behave like bits as training goes on (Hinton and Salakhutdinov, Science 2006; Salakhutdinov and
Hinton, Semantic hashing, 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from indexer.training.batches import Batches
from indexer.training.corruption import Corruptor
from indexer.training.networks.autoencoder import Autoencoder, HiddenLayer
from indexer.training.networks.bottleneck import Bottleneck
from indexer.training.objectives import CodedBatch, Mixture, Target
from indexer.training.optimise import Descent
from indexer.training.report import Course, Look


@dataclass(frozen=True, slots=True)
class Unrolled:
    """The whole autoencoder with its batches, corruption, bottleneck, target and loss terms."""

    network: Autoencoder
    batches: Batches
    corruption: Corruptor
    bottleneck: Bottleneck
    target: Target
    terms: Sequence[Callable[[CodedBatch], Tensor]]
    mixture: Mixture

    def loss(self, rows: np.ndarray, done: float) -> Tensor:
        """The loss of a batch when the share `done` (0 to 1) of fine-tuning is over."""
        hidden, raw = self._encoded(rows)
        code, cost = self.bottleneck(raw, done)  # (b, n_bits), a scalar
        loss = self.target.loss(self.network.decode(code), *self.mixture.of(rows))
        if cost is not None:
            loss = loss + cost

        def again(some: np.ndarray) -> Tensor:
            return self.bottleneck(self._encoded(some)[1], done).code

        batch = CodedBatch(rows, code, self.mixture, again, hidden)
        for term in self.terms:
            loss = loss + term(batch)
        return loss

    def parameters(self) -> list[nn.Parameter]:
        """What is learned: those of the network, and those that terms have of their own."""
        of_terms = [one for term in self.terms for one in getattr(term, "parameters", list)()]
        return [*self.network.parameters(), *of_terms]

    def _encoded(self, rows: np.ndarray) -> tuple[list[HiddenLayer], Tensor]:
        return self.network.encode(self.corruption.features(self.batches.batch(rows)))


def finetune(
    whole: Unrolled, descent: Descent, epochs: int, look: Callable[[int, int], Look]
) -> Course:
    """Train the whole network; return how its loss went, and what `look` saw on the way."""
    return descent.run(whole.parameters(), epochs, whole.loss, look)


def raw_logits_of(network: Autoencoder, batches: Batches) -> np.ndarray:
    """The raw logits of all items, without corruption or noise, (n, n_raw) float32."""
    with torch.no_grad():
        return np.concatenate([network.raw_logits(tile).cpu().numpy() for tile in batches.tiles()])
