"""Every recorded choice as a frozen dataclass, with JSON both ways.

A spec holds what must be known to rebuild a thing: numbers and words, never arrays (those are
tensors beside it). `to_json` writes the class's `kind` with the fields; `from_json` finds the
class by that kind and refuses unknown kinds and fields by name, so a model written by a newer
version is refused and not misread.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from hashret.errors import FormatVersionError


@dataclass(frozen=True, slots=True)
class TextSpec:
    """Text as a bag of words: sublinear tf-idf over the corpus's own vocabulary, unit length."""

    kind: ClassVar[str] = "text"
    vocabulary_size: int = 10_000
    """At most this many terms, the ones in the most documents."""
    min_documents: int = 2
    """Terms in fewer documents are left out."""
    max_share: float = 0.5
    """Terms in a larger share of the documents are left out: they tell nothing apart."""


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Images as pixels at a chosen size, centred."""

    kind: ClassVar[str] = "image"
    height: int = 32
    width: int = 32
    channels: int = 3
    """3 for RGB, 1 for grey."""


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """Float vectors, centred and scaled."""

    kind: ClassVar[str] = "vector"
    n_features: int = 0
    """The width of every vector; set when fitted."""


@dataclass(frozen=True, slots=True)
class DenseSpec:
    """The encoder half of a dense autoencoder: linear layers with ReLU between them."""

    kind: ClassVar[str] = "dense"
    n_features: int
    n_bits: int
    hidden: tuple[int, ...] = (500, 500)
    input_scale: float = 1.0
    """Features are multiplied by this first."""
    clamps: tuple[float, ...] = ()
    """For each layer the bound on the activations entering it (`models.fixed_point`)."""
    logit_scale: float = 1.0
    """Logits times this are the log-odds of a bit being 1, as the confidences use them."""


Spec = TextSpec | ImageSpec | VectorSpec | DenseSpec
_SPECS: dict[str, type[Any]] = {
    spec.kind: spec for spec in (TextSpec, ImageSpec, VectorSpec, DenseSpec)
}


def to_json(spec: Spec) -> dict[str, Any]:
    """The spec as a JSON object: its kind and its fields."""
    return {"kind": spec.kind, **dataclasses.asdict(spec)}


def from_json(data: dict[str, Any]) -> Any:
    """The spec that `to_json` wrote. Raises FormatVersionError on an unknown kind or field."""
    fields = dict(data)
    kind = fields.pop("kind", None)
    if kind not in _SPECS:
        known = ", ".join(sorted(_SPECS))
        raise FormatVersionError(
            f"model: expected a spec of kind {known}, got {kind!r}; "
            "open it with the hashret that wrote it"
        )
    spec = _SPECS[kind]
    unknown = set(fields) - {field.name for field in dataclasses.fields(spec)}
    if unknown:
        raise FormatVersionError(
            f"model: a {kind!r} spec has no field {sorted(unknown)[0]!r}; "
            "open it with the hashret that wrote it"
        )
    return spec(**{name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()})
