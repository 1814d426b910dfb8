"""Turn payloads into codes: a `Coder` joins a featurizer and an encoder.

Items and queries are encoded by this one path, so that a stored item used as a query has its stored
code (P12). docs/adr/0001 says why this file may import from two rooms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hashret import specs
from hashret.arguments import resolve
from hashret.codes import Codes
from hashret.errors import DamagedError, FormatVersionError, HashretError
from hashret.features import FEATURIZERS
from hashret.features.base import Featurizer
from hashret.items import Payload
from hashret.models import MODELS
from hashret.models.base import Encoder
from hashret.sparse import Features, known, take_rows
from hashret.specs.encoders import EncoderSpec

if TYPE_CHECKING:
    from hashret.features.image import ImageFeaturizer
    from hashret.features.texts.featurizer import TextFeaturizer

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Encoding:
    """n codes, the model's confidence in each bit, and which of the codes mean something.

    `confidences` (n, n_bits) float32: the estimated probability that a bit of the payload, as a
    query, is 1; 0.5 is no opinion (`models.base.Encoder.confidences`). `known` (n,) bool: False
    if no feature of the payload is in the model's vocabulary; the row has a code all the same, but
    it is meaningless.
    """

    codes: Codes
    confidences: np.ndarray
    known: np.ndarray
    features: Features
    """The features that the codes were computed from, (n, n_features)."""

    def take(self, rows: np.ndarray) -> Encoding:
        """The encoding of the given rows, in their order."""
        features = take_rows(self.features, rows)
        return Encoding(self.codes[rows], self.confidences[rows], self.known[rows], features)


def keeps_looks(features: Any) -> bool:
    """Whether images of this spec are ranked by their looks; older models rank by pixels."""
    return isinstance(features, specs.ImageSpec) and features.reading > 1


def keeps_inputs(features: Any) -> bool:
    """Whether what a collection stores to rank a shortlist by is what an encoder takes.

    Of images it is their looks, and of texts in word order the bags of words.
    """
    return not keeps_looks(features) and not getattr(features, "in_order", 0)


def n_kept(features: Any, encoder: EncoderSpec) -> int:
    """The width of the vector that a collection stores for each item, to rank a shortlist by."""
    if isinstance(features, specs.TextSpec):
        return encoder.n_features - features.in_order
    if not keeps_looks(features):
        return encoder.n_features
    from hashret.features.looks import n_looks  # imported here: only images need Pillow

    return n_looks(features, getattr(encoder, "n_responses", 0))


@dataclass(frozen=True, slots=True)
class Coder:
    """A fitted featurizer and encoder; applying a dense one needs only NumPy."""

    featurizer: Featurizer
    encoder: Encoder

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self.encoder.n_bits

    def prepare(self, payload: Payload) -> Any:
        """Validate and decode one payload. Raises `PayloadError` when it can't be used."""
        return self.featurizer.prepare(payload, self.featurizer.spec)

    def features(self, prepared: Sequence[Any]) -> tuple[Features, np.ndarray]:
        """The features of prepared payloads and the (n,) bool mask of those with a known one."""
        features = self.featurizer.transform(prepared)
        return features, known(features)

    def kept(self, features: Features) -> Features:
        """The vectors that a collection stores to rank a shortlist by (`keeps_inputs`)."""
        if keeps_inputs(self.featurizer.spec):
            return features
        if not keeps_looks(self.featurizer.spec):
            return cast("TextFeaturizer", self.featurizer).bag(features)
        featurizer = cast("ImageFeaturizer", self.featurizer)
        return featurizer.looks(np.asarray(features), self.encoder.responses)

    @property
    def n_kept(self) -> int:
        """The width of the rows that `kept` returns."""
        return n_kept(self.featurizer.spec, self.encoder.spec)

    def encode(self, payloads: Sequence[Payload]) -> Encoding:
        """Encode payloads. Raises `PayloadError` on the first that can't be used."""
        features, are_known = self.features([self.prepare(payload) for payload in payloads])
        logits = self.encoder.logits(features)
        confidences = self.encoder.confidences(features, logits)
        return Encoding(Codes.pack(logits > 0), confidences, are_known, features)

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """A JSON object and named arrays, from which `from_description` rebuilds the coder."""
        description = {
            "format": _FORMAT,
            "features": specs.to_json(self.featurizer.spec),
            "encoder": specs.to_json(self.encoder.spec),
        }
        parts = {"features": self.featurizer.tensors(), "encoder": self.encoder.tensors()}
        tensors = {
            f"{part}.{name}": t for part, named in parts.items() for name, t in named.items()
        }
        return description, tensors

    @classmethod
    def from_description(cls, description: dict[str, Any], tensors: dict[str, np.ndarray]) -> Coder:
        """The coder that `describe` described.

        Raises FormatVersionError for another format, and DamagedError for parts that don't belong
        together.
        """
        if description.get("format") != _FORMAT:
            raise FormatVersionError(
                f"model: expected format {_FORMAT}, got {description.get('format')!r}; "
                "open it with the hashret that wrote it"
            )
        try:
            coder = cls._rebuilt(description, tensors)
        except HashretError:
            raise
        # the files may come from a stranger, so any value may be missing or of any type
        except Exception as error:
            raise DamagedError(
                f"model: expected the parts of a model, got {type(error).__name__}: {error}; "
                "train it again"
            ) from error
        if coder.featurizer.n_features != coder.encoder.n_features:
            raise DamagedError(
                f"model: expected features for {coder.encoder.n_features} inputs, "
                f"got {coder.featurizer.n_features}; train it again"
            )
        return coder

    @classmethod
    def _rebuilt(cls, description: dict[str, Any], tensors: dict[str, np.ndarray]) -> Coder:
        parts: dict[str, dict[str, np.ndarray]] = {"features": {}, "encoder": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        features = specs.from_json(description["features"])
        encoder = specs.from_json(description["encoder"])
        return cls(
            resolve(FEATURIZERS, features.kind, "featurizer").from_tensors(
                features, parts["features"]
            ),
            resolve(MODELS, encoder.kind, "model").from_tensors(encoder, parts["encoder"]),
        )
