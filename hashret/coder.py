"""From payloads to codes: a featurizer and an encoder, joined.

The one path from an item to its code, for the corpus and for queries alike, so that an item's
query-time code equals its stored code (P12). Why it may know two rooms: docs/adr/0001.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hashret import specs
from hashret.codes import Codes
from hashret.errors import DamagedError, FormatVersionError, HashretError
from hashret.features import FEATURIZERS
from hashret.features.base import Featurizer
from hashret.items import Payload
from hashret.models import MODELS
from hashret.models.base import Encoder
from hashret.registry import resolve
from hashret.sparse import Features, known, take_rows

if TYPE_CHECKING:
    from hashret.features.image import ImageFeaturizer

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Encoding:
    """Codes with what the model thought: n codes, its confidences, and which are known.

    `confidences` (n, n_bits) float32: how far each payload, as a query, leans to 1 in each bit,
    0.5 being no opinion (`models.base.Encoder.confidences`). `known` (n,) bool: False
    where no feature of the payload is in the model's vocabulary; such a row has a code like any
    other, but it means nothing.
    """

    codes: Codes
    confidences: np.ndarray
    known: np.ndarray
    features: Features
    """What the codes were made from, (n, n_features)."""

    def take(self, rows: np.ndarray) -> Encoding:
        """That of the given rows."""
        features = take_rows(self.features, rows)
        return Encoding(self.codes[rows], self.confidences[rows], self.known[rows], features)


def keeps_looks(features: Any) -> bool:
    """Whether images of this spec are ranked by their looks; before, by their pixels."""
    return isinstance(features, specs.ImageSpec) and features.reading > 1


def n_kept(features: Any, encoder: specs.EncoderSpec) -> int:
    """The width of what a collection of these specs keeps to rank a shortlist by."""
    if not keeps_looks(features):
        return encoder.n_features
    from hashret.features.looks import n_looks  # Pillow: only those who have images wait

    return n_looks(features, getattr(encoder, "n_answers", 0))


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
        """What a collection keeps of features to rank a shortlist by: of images their looks."""
        if not keeps_looks(self.featurizer.spec):
            return features
        featurizer = cast("ImageFeaturizer", self.featurizer)
        return featurizer.looks(np.asarray(features), self.encoder.answers)

    @property
    def n_kept(self) -> int:
        """The width of what is `kept`."""
        return n_kept(self.featurizer.spec, self.encoder.spec)

    def encode(self, payloads: Sequence[Payload]) -> Encoding:
        """Encode payloads. Raises `PayloadError` on the first that can't be used."""
        features, are_known = self.features([self.prepare(payload) for payload in payloads])
        logits = self.encoder.logits(features)
        confidences = self.encoder.confidences(features, logits)
        return Encoding(Codes.pack(logits > 0), confidences, are_known, features)

    def describe(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What rebuilds it: a JSON object and named arrays."""
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
        """Rebuild what `describe` gave. Raises FormatVersionError on another format, and
        DamagedError for parts that don't belong together."""
        if description.get("format") != _FORMAT:
            raise FormatVersionError(
                f"model: expected format {_FORMAT}, got {description.get('format')!r}; "
                "open it with the hashret that wrote it"
            )
        try:
            coder = cls._rebuilt(description, tensors)
        except HashretError:
            raise
        # whoever wrote the files may have put anything in the place of anything
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
