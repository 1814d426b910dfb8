"""The head of a training with labels: a softmax of the code, which is dropped at the end.

The code of an item with a label must tell it; one without costs nothing. This is how hashing learns
from labels in Chaidaroon and Fang, "Variational deep semantic hashing", SIGIR 2017 (VDSH-S), and in
Lin et al., "Deep learning of binary hash codes for fast image retrieval", CVPR workshops 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from indexer.training.objectives import CodedBatch
from indexer.training.presets import Labels
from indexer.training.training_set import TrainingSet


class LabelsTerm:
    """Mean cross-entropy of the labels in a batch by softmax of a linear map of the codes."""

    def __init__(self, settings: Labels, items: TrainingSet, n_bits: int, device: torch.device):
        labels = items.labels
        if labels is None:
            raise ValueError("labels: expected those of the items, got none; leave the term out")
        self.settings = settings
        self._labels = torch.from_numpy(labels)
        n_classes = int(labels.max()) + 1
        # zeros draw no random number: all else begins as without labels
        self._weight = nn.Parameter(torch.zeros(n_bits, n_classes, device=device))
        self._bias = nn.Parameter(torch.zeros(n_classes, device=device))

    def parameters(self) -> list[nn.Parameter]:
        """What is learned with the network: the linear map."""
        return [self._weight, self._bias]

    def __call__(self, batch: CodedBatch) -> Tensor:
        """The weighted loss of a batch."""
        wanted = self._labels[torch.from_numpy(batch.rows)].to(batch.code.device)
        known = wanted >= 0
        if not known.any():
            return batch.code.new_zeros(())
        scores = (2.0 * batch.code[known] - 1.0) @ self._weight + self._bias
        return self.settings.weight * functional.cross_entropy(scores.float(), wanted[known])
