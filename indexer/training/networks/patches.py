"""The patches trunk: a dense trunk over the answers of images to a learned dictionary."""

from __future__ import annotations

from hashret.models.base import Encoder
from hashret.models.dense import DenseEncoder
from hashret.models.patches import PatchEncoder
from hashret.sparse import Features
from indexer.training.networks.dense import DenseTrunk
from indexer.training.training_set import Preparation


class PatchesTrunk(DenseTrunk):
    """Linear layers over the answers of each image to a dictionary that is learned before."""

    def _seen(self, preparation: Preparation) -> Features:
        self._layer, answers = preparation.patches
        return answers

    def of_items(self, encoder: Encoder) -> Encoder:
        """The dictionary's layer and the dense encoder behind it, as one encoder of pixels."""
        if not isinstance(encoder, DenseEncoder):
            raise TypeError(f"encoder: expected one that this trunk exported, got {encoder!r}")
        return PatchEncoder.of(self._layer, encoder)
