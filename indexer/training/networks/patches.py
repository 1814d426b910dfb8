"""The patches trunk: a dense trunk over filter responses to patches of the images."""

from __future__ import annotations

from hashret.models.base import Encoder
from hashret.models.dense import DenseEncoder
from hashret.models.patches import PatchEncoder
from hashret.sparse import Features
from indexer.training.networks.dense import DenseTrunk
from indexer.training.training_set import Preparation


class PatchesTrunk(DenseTrunk):
    """Linear layers over the filter responses of each image; the filters are learned before."""

    def _seen(self, preparation: Preparation) -> Features:
        self._layer, responses = preparation.patches
        return responses

    def of_items(self, encoder: Encoder) -> Encoder:
        """The dictionary's layer and the dense encoder behind it, as one encoder of pixels."""
        if not isinstance(encoder, DenseEncoder):
            raise TypeError(f"encoder: expected one that this trunk exported, got {encoder!r}")
        return PatchEncoder.of(self._layer, encoder)
