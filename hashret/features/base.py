"""The protocol of a featurizer, which turns payloads into features.

A payload goes through two steps. `prepare` looks at one payload by itself and refuses what can't
be used; `transform` turns prepared payloads into rows of features that depend on nothing but the
payload and what was learned in `fit`: not on the batch, the threads or the machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from hashret.arguments import resolve
from hashret.features.left_out import LeftOut
from hashret.items import Item, Payload
from hashret.sparse import Features

if TYPE_CHECKING:
    from hashret.features.noise.denoising import Denoising

#: The featurizer of each kind of items; it is imported on first use.
FEATURIZERS: Mapping[str, str] = {
    "text": "hashret.features.texts.featurizer:TextFeaturizer",
    "image": "hashret.features.image:ImageFeaturizer",
    "vector": "hashret.features.vector:VectorFeaturizer",
    "sequence": "hashret.features.sequences.featurizer:SequenceFeaturizer",
}
# made once: `json.dumps` with arguments builds an encoder at every call
_as_json = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


class Hasher(Protocol):
    """An object of `hashlib`."""

    def update(self, data: bytes, /) -> None:
        """Hash `data` after what came before."""
        ...


def item_digest(item: Item, kind: str) -> bytes:
    """The SHA-256 over the item's content and its metadata, which are those of `metadata_of`.

    Raises `PayloadError` for a payload of another kind, and OSError for an unreadable file.
    """
    hasher = hashlib.sha256()
    resolve(FEATURIZERS, kind, "kind").digest(item.payload, hasher)
    hasher.update(b"\0" + _as_json(item.metadata).encode())
    return hasher.digest()


class Denoises(Protocol):
    """A featurizer of a kind that denoises (`kinds.Kind.denoises`)."""

    def noise_of(self, payload: Any, denoiser: Denoising) -> float:
        """The standard deviation of the payload's noise, estimated. Raises `PayloadError`."""
        ...

    def denoised(self, payload: Any, denoiser: Denoising, noise: float) -> np.ndarray:
        """The payload without noise of this standard deviation, in its own shape and dtype."""
        ...


class Featurizer(Protocol):
    """A fitted map from payloads of one kind to (n, n_features) float32 features."""

    spec: Any

    @property
    def n_features(self) -> int:
        """The width of the features."""
        ...

    @classmethod
    def suggest_spec(cls, payloads: Sequence[Payload]) -> Any:
        """The spec that fits a sample of payloads where the user chose none."""
        ...

    @classmethod
    def prepare(cls, payload: Payload, spec: Any) -> Any:
        """Validate and decode one payload. Raises `PayloadError` when it can't be used."""
        ...

    @classmethod
    def fit(cls, prepared: Iterable[Any], spec: Any) -> Self:
        """Learn from prepared payloads in one pass. Raises `EmptyCorpusError` if it can't."""
        ...

    def transform(self, prepared: Sequence[Any]) -> Features:
        """The features of n prepared payloads, row for row."""
        ...

    def left_out(self, prepared: Any | None, features: Features, most: int) -> LeftOut | None:
        """The features of a payload without each of its parts, at most `most` of them.

        `features` (1, n_features) are those of the payload; `prepared` is what `transform` made
        them of, or None where that is not at hand. None where the parts can't be told without it.
        """
        ...

    def compared(self, features: Features) -> Features:
        """The rows by which items are compared, a row for each row of features.

        Sparse ones by their cosine, and they have unit length; dense ones by Euclidean distance.
        """
        ...

    def restored(self, decoded: np.ndarray, usual: np.ndarray) -> list[Any] | np.ndarray:
        """What n rows of decoded features say, each as its kind is shown.

        Of texts the most telling words (`told`), of images pixels (n, height, width,
        channels) uint8, of vectors (n, width) as they were given. `usual` (n_features,) are the
        mean features of the items.
        """
        ...

    def similarities(self, query: Features, features: Features) -> np.ndarray:
        """How alike each row of features is to the one row `query`, (n,) float64: larger is nearer.

        A row's figure does not depend on the rows beside it.
        """
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned state, as arrays that `from_tensors` takes."""
        ...

    @classmethod
    def from_tensors(cls, spec: Any, tensors: Mapping[str, np.ndarray]) -> Self:
        """The featurizer with this spec and these tensors."""
        ...

    @classmethod
    def preview(cls, payload: Payload) -> str:
        """What to show of a payload beside its id: the beginning of it, or ""."""
        ...

    @classmethod
    def digest(cls, payload: Payload, hasher: Hasher) -> None:
        """Hash the content of a payload, so that an unchanged one is known without decoding."""
        ...
