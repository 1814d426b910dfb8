"""Every recorded choice as a frozen dataclass, with JSON both ways.

A spec holds what must be known to rebuild a thing: numbers and words, never arrays (those are
tensors beside it). `to_json` writes the class's `kind` with the fields; `from_json` finds the
class by that kind and refuses unknown kinds and fields by name, so a model written by a newer
version is refused and not misread.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from hashret.errors import DamagedError, FormatVersionError


@dataclass(frozen=True, slots=True)
class TextSpec:
    """Text as a bag of words: sublinear tf-idf over the corpus's own vocabulary, unit length."""

    kind: ClassVar[str] = "text"
    #: What the absence of a field means in what was written before there was such a field.
    absent: ClassVar[dict[str, Any]] = {"rule": 1, "fold_accents": False}
    vocabulary_size: int = 10_000
    """At most this many terms, the ones in the most documents."""
    min_documents: int = 2
    """Terms in fewer documents are left out."""
    max_share: float = 0.5
    """Terms in a larger share of the documents are left out: they tell nothing apart."""
    rule: int = 2
    """How a text becomes words: 2 as `features.tokens` says; 1 as in models of before it."""
    fold_accents: bool = True
    """Whether é is e, as `features.folding` says, by rule 2; by rule 1 it never is."""

    def __post_init__(self) -> None:
        _require_whole(self, vocabulary_size=1, min_documents=0, rule=1)
        if self.rule > 2:
            raise FormatVersionError(
                f"rule: expected 1 or 2, got {self.rule}; "
                "open the model with the hashret that wrote it"
            )
        if not 0.0 < self.max_share <= 1.0:
            raise ValueError(
                f"max_share: expected above 0 and at most 1, got {self.max_share!r}; "
                "1 leaves no term out"
            )


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Images as pixels at a chosen size, centred."""

    kind: ClassVar[str] = "image"
    height: int = 32
    width: int = 32
    channels: int = 3
    """3 for RGB, 1 for grey."""
    reading: int = 2
    """How pixels become numbers: 2 by `hashret.features.levels`, 1 as models of before have it."""
    ranges: tuple[float, ...] = ()
    """Black and white of images of 16 bits, of other whole numbers and of floats (`levels`): six
    numbers; (): as the corpus says, set when fitted."""
    copy_distance: float = 0.0
    """Up to which distance of their `looks` images are copies of one; set when fitted."""
    ABSENT: ClassVar[Mapping[str, Any]] = {"reading": 1}

    def __post_init__(self) -> None:
        _require_whole(self, height=1, width=1, reading=1)
        if self.reading > 2:
            raise ValueError(f"reading: expected 1 or 2, got {self.reading}; leave it out")
        pairs = list(zip(self.ranges[::2], self.ranges[1::2], strict=False))
        if len(self.ranges) not in (0, 6) or any(low > high for low, high in pairs):
            raise ValueError(
                f"ranges: expected black and white of three kinds, got {self.ranges!r}; leave it "
                "out, and the corpus says it"
            )
        if self.channels not in (1, 3):
            raise ValueError(
                f"channels: expected 3 for RGB or 1 for grey, got {self.channels!r}; "
                "choose one of these"
            )


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """Float vectors, made unit length if their angles count, then centred and scaled.

    Or packed bits, of which each is a feature, -1 or 1.
    """

    kind: ClassVar[str] = "vector"
    n_features: int = 0
    """The width of every vector, in bits where these are packed; 0: the commonest of the first
    1,000, set when fitted."""
    metric: str = "cosine"
    """What makes vectors near: "cosine" (their length says nothing) or "euclidean"."""
    packed: bool = False
    """Whether a vector is bytes of 8 bits each: uint8, or int8, which is uint8 - 128."""

    def __post_init__(self) -> None:
        _require_whole(self, n_features=0)
        if type(self.packed) is not bool:
            raise ValueError(f"packed: expected True or False, got {self.packed!r}; choose one")
        if self.packed and self.n_features % 8:
            raise ValueError(
                f"n_features: expected a multiple of 8 bits of packed vectors, got "
                f"{self.n_features}; leave it out"
            )
        if self.packed and self.metric != "cosine":
            raise ValueError(
                f"metric: expected none with packed bits, got {self.metric!r}; leave it out: bits "
                "are compared by Hamming distance, which orders as their cosine does"
            )
        if self.metric not in ("cosine", "euclidean"):
            raise ValueError(
                f"metric: expected cosine or euclidean, got {self.metric!r}; choose one of these"
            )

    def of_width(self, width: int) -> VectorSpec:
        """The spec for vectors of so many numbers, which are bytes where bits are packed."""
        return replace(self, n_features=8 * width if self.packed else width)


def _require_whole(spec: Any, **least: int) -> None:
    """Raise ValueError for a field that is no whole number, or less than the least."""
    for name, lowest in least.items():
        value = getattr(spec, name)
        if type(value) is not int or value < lowest:
            raise ValueError(
                f"{name}: expected a whole number of {lowest} or more, got {value!r}; "
                "choose another"
            )


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
    query_clamp: float | None = None
    """The bound on the features entering the query tower; None: there is no tower."""
    normalised: bool = False
    """Whether what a hidden layer sums up is made mean 0 and variance 1, item by item."""
    n_latent: int = 0
    """So many linear coordinates of the features enter the last layer too, as a unit vector."""

    def __post_init__(self) -> None:
        if self.n_latent < 0 or (self.n_latent and not self.hidden):
            raise ValueError(
                f"n_latent: expected 0, or more beside hidden layers, got {self.n_latent} beside "
                f"{len(self.hidden)}; train with a hidden layer"
            )

    def layer_shapes(self) -> list[tuple[int, int]]:
        """The shape of each layer's weight, (n_in, n_out), from the features to the bits."""
        shapes = list(pairwise((self.n_features, *self.hidden, self.n_bits)))
        n_in, n_out = shapes[-1]
        return [*shapes[:-1], (n_in + self.n_latent, n_out)]


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """The encoder half of a convolutional autoencoder: blocks of stride 2, then the bits."""

    kind: ClassVar[str] = "conv"
    height: int
    width: int
    channels: int
    n_bits: int
    filters: tuple[int, ...] = (32, 64)
    """The channels that come out of each block."""
    input_scale: float = 1.0
    """Features are multiplied by this first."""
    clamps: tuple[float, ...] = ()
    """For each layer the bound on the activations entering it (`models.fixed_point`)."""
    logit_scale: float = 1.0
    """Logits times this are the log-odds of a bit being 1, as the confidences use them."""

    @property
    def n_features(self) -> int:
        """The width of the features taken: height x width x channels."""
        return self.height * self.width * self.channels

    def layer_shapes(self) -> list[tuple[int, int]]:
        """The shape of each layer's weight: 9 x channels in by channels out, last the bits'."""
        height, width, channels = self.height, self.width, self.channels
        shapes = []
        for n_out in self.filters:
            shapes.append((9 * channels, n_out))
            height, width, channels = (height + 1) // 2, (width + 1) // 2, n_out
        return [*shapes, (height * width * channels, self.n_bits)]


@dataclass(frozen=True, slots=True)
class PatchSpec:
    """A convolution whose answers are pooled (`models.patches`), and dense layers behind it."""

    kind: ClassVar[str] = "patches"
    height: int
    width: int
    channels: int
    n_bits: int
    n_filters: int = 64
    side: int = 6
    """Height and width of a filter, in pixels."""
    cells: int = 4
    """Cells a side that answers are pooled over; fewer where there are fewer places."""
    hidden: tuple[int, ...] = (512, 512)
    input_scale: float = 1.0
    """Features are multiplied by this first."""
    clamps: tuple[float, ...] = ()
    """For each dense layer the bound on the activations entering it (`models.fixed_point`)."""
    logit_scale: float = 1.0
    """Logits times this are the log-odds of a bit being 1, as the confidences use them."""

    def __post_init__(self) -> None:
        _require_whole(self, height=1, width=1, channels=1, n_filters=1, side=1, cells=1)
        if self.side > min(self.height, self.width):
            raise ValueError(
                f"side: expected at most that of the images, {self.height} x {self.width}, "
                f"got {self.side}; choose a smaller one"
            )

    @property
    def n_features(self) -> int:
        """The width of the features taken: height x width x channels."""
        return self.height * self.width * self.channels

    @property
    def n_answers(self) -> int:
        """How many answers of filters an image has: those of each cell."""
        cells = [min(self.cells, n - self.side + 1) for n in (self.height, self.width)]
        return math.prod(cells) * self.n_filters

    def dense(self) -> DenseSpec:
        """The layers behind the convolution: they take answers and the colours of the cells."""
        colours = [min(self.cells, n) for n in (self.height, self.width)]
        return DenseSpec(
            n_features=self.n_answers + math.prod(colours) * self.channels,
            n_bits=self.n_bits,
            hidden=self.hidden,
            clamps=self.clamps,
            logit_scale=self.logit_scale,
        )


@dataclass(frozen=True, slots=True)
class IdentitySpec:
    """An encoder that learned nothing: its features are the bits."""

    kind: ClassVar[str] = "identity"
    n_features: int

    def __post_init__(self) -> None:
        _require_whole(self, n_features=8)
        if self.n_features % 8:
            raise ValueError(
                f"n_features: expected a multiple of 8, got {self.n_features}; pack whole bytes"
            )

    @property
    def n_bits(self) -> int:
        """The length of a code: a bit of each feature."""
        return self.n_features


Spec = TextSpec | ImageSpec | VectorSpec | DenseSpec | ConvSpec | PatchSpec | IdentitySpec
#: Encoders whose layers `models.exact_encoder` adds up; and all.
LayersSpec = DenseSpec | ConvSpec | PatchSpec
EncoderSpec = LayersSpec | IdentitySpec
#: The kind of an encoder's spec -> the encoder that it rebuilds, imported on first use.
MODELS: dict[str, str] = {
    "conv": "hashret.models.conv:ConvEncoder",
    "dense": "hashret.models.dense:DenseEncoder",
    "identity": "hashret.models.identity:IdentityEncoder",
    "patches": "hashret.models.patches:PatchEncoder",
}
_SPECS: dict[str, type[Any]] = {
    spec.kind: spec
    for spec in (TextSpec, ImageSpec, VectorSpec, DenseSpec, ConvSpec, PatchSpec, IdentitySpec)
}


def to_json(spec: Spec) -> dict[str, Any]:
    """The spec as a JSON object: its kind and its fields."""
    return {"kind": spec.kind, **dataclasses.asdict(spec)}


def from_json(data: dict[str, Any]) -> Any:
    """The spec that `to_json` wrote. Raises FormatVersionError on an unknown kind or field.

    DamagedError for a field whose value is of another type than declared, or not finite.
    """
    fields = dict(data)
    kind = fields.pop("kind", None)
    if kind not in _SPECS:
        known = ", ".join(sorted(_SPECS))
        raise FormatVersionError(
            f"model: expected a spec of kind {known}, got {kind!r}; "
            "open it with the hashret that wrote it"
        )
    spec = _SPECS[kind]
    fields = {**getattr(spec, "ABSENT", {}), **fields}  # what a model of before has no word for
    unknown = set(fields) - {field.name for field in dataclasses.fields(spec)}
    if unknown:
        raise FormatVersionError(
            f"model: a {kind!r} spec has no field {sorted(unknown)[0]!r}; "
            "open it with the hashret that wrote it"
        )
    hints = get_type_hints(spec)
    for name, value in fields.items():
        if not _fits(value, hints[name]):
            raise DamagedError(
                f"model: expected {name!r} of a {kind!r} spec to be of type {hints[name]}, "
                f"got {value!r:.80}; train it again"
            )
    try:
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        return spec(**{**getattr(spec, "absent", {}), **given})
    except (TypeError, ValueError) as error:  # a field is missing, or out of its range
        raise DamagedError(f"model: {error}; train it again") from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of the type that a field is declared with, and finite."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return isinstance(value, list | tuple) and all(_fits(one, inner) for one in value)
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is hint
