"""The protocol of an encoder, which turns features into codes and confidences.

Training is not part of this: it lives in `indexer` and ends in one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np

from hashret.codes import Codes
from hashret.sparse import Features
from hashret.specs.encoders import EncoderSpec


class Encoder(Protocol):
    """A learned map from features to binary codes.

    An item's code depends on its features only: not on the batch it came in, the number of
    threads or the machine. Encoders are immutable and may be shared between threads.
    """

    @property
    def spec(self) -> EncoderSpec:
        """The recorded settings, from which the encoder is rebuilt together with `tensors`."""
        ...

    @property
    def n_features(self) -> int:
        """The width of the features that the encoder takes."""
        ...

    @property
    def n_bits(self) -> int:
        """The length of the codes in bits."""
        ...

    def logits(self, features: Features) -> np.ndarray:
        """(n, n_bits) float64: a bit is 1 where its logit is positive."""
        ...

    def encode(self, features: Features) -> Codes:
        """The codes of n rows of features."""
        ...

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The probability that each bit is 1, (n, n_bits) float32 in [0, 1]."""
        ...

    def confidences(self, features: Features, logits: np.ndarray) -> np.ndarray:
        """The confidence of each query that each bit is 1, (n, n_bits) float32; 0.5 is undecided.

        `logits` are those of `features`. The confidences are the `probabilities`, unless the
        encoder has a better way to weigh the bits of stored codes for a query (docs/adr/0006).
        """
        ...

    def activations(self, features: Features) -> list[np.ndarray]:
        """What each hidden layer hands to the next, the first layer first; [] without such layers.

        One array a layer, (n, units) float64: exact numbers of 0 or more, on the way to `logits`.
        """
        ...

    def responses(self, features: Features) -> np.ndarray:
        """The pooled filter responses of images, by which copies are found, (n, m) float32.

        The spec says how many there are (`PatchSpec.n_responses`); most encoders have none.
        """
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays by name, as `from_tensors` takes them."""
        ...

    @classmethod
    def from_tensors(cls, spec: Any, tensors: Mapping[str, np.ndarray]) -> Self:
        """The encoder with this spec and these tensors."""
        ...
