"""The settings of featurizers and encoders, as frozen dataclasses that are stored as JSON.

A spec holds the numbers and words that are needed to rebuild a featurizer or an encoder. Learned
arrays are not in it; they are stored as tensors beside it. `to_json` writes the class's `kind` with
the fields. `from_json` finds the class by that kind and refuses unknown kinds and fields, so that a
model written by a newer version is refused and not misread.
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
    #: The values of fields that older models do not record.
    ABSENT: ClassVar[Mapping[str, Any]] = {"rule": 1, "fold_accents": False}
    vocabulary_size: int = 10_000
    """The largest number of terms; those in the most documents are chosen."""
    min_documents: int = 1
    """Terms in fewer documents than this are left out."""
    max_share: float = 0.5
    """Terms in a larger share of the documents are left out, because they distinguish nothing; of
    fewer than 100 documents, terms in more than this share of 100."""
    rule: int = 2
    """How a text is cut into words: 2 by `features.tokens`; 1 as in models older than that rule."""
    fold_accents: bool = True
    """Whether accents are removed (`features.folding`), so that é is e; never by rule 1."""

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
    #: The values of fields that older models do not record.
    ABSENT: ClassVar[Mapping[str, Any]] = {"reading": 1}
    height: int = 32
    width: int = 32
    channels: int = 3
    """3 for RGB, 1 for grey."""
    reading: int = 2
    """How pixels become levels: 2 by `features.levels`, 1 by `features.former_levels`."""
    ranges: tuple[float, ...] = ()
    """Six numbers, for black and white in images of 16 bits, of other integers and of floats
    (`features.levels`); (): learned from the corpus."""
    copy_distance: float = 0.0
    """The largest distance between the `features.looks` of copies of one image; learned."""

    def __post_init__(self) -> None:
        _require_whole(self, height=1, width=1, reading=1)
        if self.reading > 2:
            raise ValueError(f"reading: expected 1 or 2, got {self.reading}; leave it out")
        pairs = list(zip(self.ranges[::2], self.ranges[1::2], strict=False))
        if len(self.ranges) not in (0, 6) or any(low > high for low, high in pairs):
            raise ValueError(
                "ranges: expected numbers for black and white of three kinds of images, got "
                f"{self.ranges!r}; leave it out, and they are learned from the corpus"
            )
        if self.channels not in (1, 3):
            raise ValueError(
                f"channels: expected 3 for RGB or 1 for grey, got {self.channels!r}; "
                "choose one of these"
            )


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """Float vectors, centred and scaled, by cosine first made unit length; or packed bits.

    Each of the packed bits is a feature, -1 or 1.
    """

    kind: ClassVar[str] = "vector"
    n_features: int = 0
    """The width of vectors, in bits if packed; 0: learned, the most frequent of the first 1,000."""
    metric: str = "cosine"
    """How vectors are compared: by "cosine", which ignores their length, or "euclidean"."""
    packed: bool = False
    """Whether a vector is packed bits, 8 in each byte: uint8, or int8, which is uint8 - 128."""

    def __post_init__(self) -> None:
        _require_whole(self, n_features=0)
        if type(self.packed) is not bool:
            raise ValueError(f"packed: expected True or False, got {self.packed!r}; choose one")
        if self.packed and self.n_features % 8:
            raise ValueError(
                f"n_features: expected a multiple of 8 for packed bits, got {self.n_features}; "
                "leave it out"
            )
        if self.packed and self.metric != "cosine":
            raise ValueError(
                f"metric: expected none with packed bits, got {self.metric!r}; leave it out: bits "
                "are compared by Hamming distance, which gives the same order as their cosine"
            )
        if self.metric not in ("cosine", "euclidean"):
            raise ValueError(
                f"metric: expected cosine or euclidean, got {self.metric!r}; choose one of these"
            )

    def of_width(self, width: int) -> VectorSpec:
        """The spec for vectors of `width` numbers, which are bytes if bits are packed."""
        return replace(self, n_features=8 * width if self.packed else width)


def _require_whole(spec: Any, **least: int) -> None:
    """Raise ValueError if a field is not an integer, or less than its least value."""
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
    """The number of units in each hidden layer."""
    input_scale: float = 1.0
    """The factor by which features are multiplied first."""
    clamps: tuple[float, ...] = ()
    """The bound on the activations that enter each layer (`models.fixed_point`)."""
    logit_scale: float = 1.0
    """The factor from logits to the log-odds of a bit being 1, of which confidences are made."""
    query_clamp: float | None = None
    """The bound on the features that enter the query tower; None: there is no query tower."""
    normalised: bool = False
    """Whether hidden layers have layer normalisation: mean 0 and variance 1 for each item."""
    n_latent: int = 0
    """The width of a unit vector, linear in the features, that also enters the last layer."""

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
    """The encoder half of a convolutional autoencoder: convolutions of stride 2, then the bits."""

    kind: ClassVar[str] = "conv"
    height: int
    width: int
    channels: int
    n_bits: int
    filters: tuple[int, ...] = (32, 64)
    """The number of output channels of each convolution."""
    input_scale: float = 1.0
    """The factor by which features are multiplied first."""
    clamps: tuple[float, ...] = ()
    """The bound on the activations that enter each layer (`models.fixed_point`)."""
    logit_scale: float = 1.0
    """The factor from logits to the log-odds of a bit being 1, of which confidences are made."""

    @property
    def n_features(self) -> int:
        """The width of the features taken: height x width x channels."""
        return self.height * self.width * self.channels

    def layer_shapes(self) -> list[tuple[int, int]]:
        """Shapes of the weights: (9 x channels in, channels out) each, and last (n_in, n_bits)."""
        height, width, channels = self.height, self.width, self.channels
        shapes = []
        for n_out in self.filters:
            shapes.append((9 * channels, n_out))
            height, width, channels = (height + 1) // 2, (width + 1) // 2, n_out
        return [*shapes, (height * width * channels, self.n_bits)]


#: What a code of an image can be made to ignore: left for right, and turns by quarters.
INVARIANCES = ("mirror", "rotation")


@dataclass(frozen=True, slots=True)
class PatchSpec:
    """A convolution whose responses are pooled (`models.patches`), followed by dense layers."""

    kind: ClassVar[str] = "patches"
    #: The values of fields that older models do not record.
    ABSENT: ClassVar[Mapping[str, Any]] = {"invariant": ()}
    height: int
    width: int
    channels: int
    n_bits: int
    n_filters: int = 64
    """The number of filters of the convolution."""
    side: int = 6
    """Height and width of a filter, in pixels."""
    cells: int = 4
    """Rows, and columns, of the grid of cells over which responses are pooled; fewer if need be."""
    hidden: tuple[int, ...] = (512, 512)
    """The number of units in each hidden dense layer."""
    invariant: tuple[str, ...] = ()
    """Those of `INVARIANCES` that change no code."""
    input_scale: float = 1.0
    """The factor by which features are multiplied first."""
    clamps: tuple[float, ...] = ()
    """The bound on the activations that enter each dense layer (`models.fixed_point`)."""
    logit_scale: float = 1.0
    """The factor from logits to the log-odds of a bit being 1, of which confidences are made."""

    def __post_init__(self) -> None:
        _require_whole(self, height=1, width=1, channels=1, n_filters=1, side=1, cells=1)
        if self.side > min(self.height, self.width):
            raise ValueError(
                f"side: expected a filter that fits in images of {self.height} x {self.width} "
                f"pixels, got {self.side}; choose a smaller one"
            )
        if not set(self.invariant) <= set(INVARIANCES):
            raise FormatVersionError(
                f"invariant: expected some of {', '.join(INVARIANCES)}, got "
                f"{', '.join(self.invariant)}; open the model with the hashret that wrote it"
            )
        if "rotation" in self.invariant and self.height != self.width:
            raise ValueError(
                f"invariant: expected square images for rotation, got {self.height} x "
                f"{self.width} pixels; give an ImageSpec of equal height and width"
            )

    @property
    def n_features(self) -> int:
        """The width of the features taken: height x width x channels."""
        return self.height * self.width * self.channels

    @property
    def n_responses(self) -> int:
        """The number of pooled filter responses of an image: one for each filter and cell."""
        cells = [min(self.cells, n - self.side + 1) for n in (self.height, self.width)]
        return math.prod(cells) * self.n_filters

    def dense(self) -> DenseSpec:
        """The dense layers; they take the pooled responses and the mean colours of the cells.

        If the layer is invariant, also their deviations over an image's versions.
        """
        colours = [min(self.cells, n) for n in (self.height, self.width)]
        return DenseSpec(
            n_features=(self.n_responses + math.prod(colours) * self.channels)
            * (2 if self.invariant else 1),
            n_bits=self.n_bits,
            hidden=self.hidden,
            clamps=self.clamps,
            logit_scale=self.logit_scale,
        )


@dataclass(frozen=True, slots=True)
class IdentitySpec:
    """The encoder that learns nothing: the bits of a code are the features themselves."""

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
        """The length of a code: one bit for each feature."""
        return self.n_features


Spec = TextSpec | ImageSpec | VectorSpec | DenseSpec | ConvSpec | PatchSpec | IdentitySpec
#: The specs of encoders that have layers, which `models.exact_encoder` computes.
LayersSpec = DenseSpec | ConvSpec | PatchSpec
#: The specs of all encoders.
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
    """The spec that `to_json` wrote.

    Raises FormatVersionError for an unknown kind or field, and DamagedError if a field is missing,
    or its value is of another type than declared, out of range or not finite.
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
    fields = {**getattr(spec, "ABSENT", {}), **fields}
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
        return spec(**given)
    except (TypeError, ValueError) as error:  # a field is missing, or out of range
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
