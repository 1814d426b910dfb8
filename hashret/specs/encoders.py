"""The settings of encoders: how features become codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from hashret.arguments import require_whole_fields
from hashret.errors import FormatVersionError
from hashret.specs.ordering import Ordering


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
        require_whole_fields(self, height=1, width=1, channels=1, n_filters=1, side=1, cells=1)
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
class StepsSpec:
    """The encoder half of an autoencoder of steps in order: one vector an item, then dense layers.

    How steps become the vector is what its kinds differ in.
    """

    n_features: int
    n_bits: int
    n_units: int
    """The number of units of the cell that steps go through."""
    step_clamp: float
    """The bound on what enters the cell, or the layer before it, at each step."""
    width: int = 1
    """How many numbers a step has; 1 for tokens (`ordering.Ordering`)."""
    n_tokens: int = 0
    """The number of different tokens; 0 if steps are of numbers."""
    first: int = 0
    """The column of the first number of the first step."""
    hidden: tuple[int, ...] = (256,)
    """The number of units in each hidden dense layer."""
    normalised: bool = True
    """Whether the hidden dense layers have layer normalisation."""
    input_scale: float = 1.0
    """The factor by which numbers are multiplied first; tokens are not."""
    clamps: tuple[float, ...] = ()
    """The bound on the activations that enter each dense layer (`models.fixed_point`)."""
    logit_scale: float = 1.0
    """The factor from logits to the log-odds of a bit being 1, of which confidences are made."""

    def __post_init__(self) -> None:
        require_whole_fields(self, n_features=1, n_bits=1, n_units=1)
        if self.ordering.first >= self.n_features:
            raise ValueError(
                f"first: expected a column before {self.n_features}, got {self.first}; choose one"
            )
        if not self.step_clamp > 0.0:
            raise ValueError(f"step_clamp: expected above 0, got {self.step_clamp}; choose another")

    @property
    def ordering(self) -> Ordering:
        """Where the steps are in a row of features."""
        return Ordering(self.width, self.n_tokens, self.first)

    @property
    def n_summary(self) -> int:
        """The width of the vector that the steps become."""
        return self.n_units

    def dense(self) -> DenseSpec:
        """The dense layers, which take that vector."""
        return DenseSpec(
            n_features=self.n_summary,
            n_bits=self.n_bits,
            hidden=self.hidden,
            clamps=self.clamps,
            logit_scale=self.logit_scale,
            normalised=self.normalised,
        )


@dataclass(frozen=True, slots=True)
class RecursiveSpec(StepsSpec):
    """One shared cell on a balanced binary tree over the steps (`models.recursive`)."""

    kind: ClassVar[str] = "recursive"
    node_clamp: float = 1.0
    """The bound on the nodes of the tree."""

    def __post_init__(self) -> None:
        StepsSpec.__post_init__(self)
        if not self.node_clamp > 0.0:
            raise ValueError(f"node_clamp: expected above 0, got {self.node_clamp}; choose another")


@dataclass(frozen=True, slots=True)
class RecurrentSpec(StepsSpec):
    """A gated cell that takes one step after the other (`models.recurrent`)."""

    kind: ClassVar[str] = "recurrent"
    embedding: int = 64
    """The width of the vector of each token; without effect if steps are of numbers."""

    def __post_init__(self) -> None:
        StepsSpec.__post_init__(self)
        require_whole_fields(self, embedding=1)

    @property
    def n_summary(self) -> int:
        """The width of the vector that the steps become: the last state, and the mean of all."""
        return 2 * self.n_units


@dataclass(frozen=True, slots=True)
class IdentitySpec:
    """The encoder that learns nothing: the bits of a code are the features themselves."""

    kind: ClassVar[str] = "identity"
    n_features: int

    def __post_init__(self) -> None:
        require_whole_fields(self, n_features=8)
        if self.n_features % 8:
            raise ValueError(
                f"n_features: expected a multiple of 8, got {self.n_features}; pack whole bytes"
            )

    @property
    def n_bits(self) -> int:
        """The length of a code: one bit for each feature."""
        return self.n_features


#: The specs of encoders that have layers, which `models.exact_encoder` computes.
LayersSpec = DenseSpec | ConvSpec | PatchSpec | RecursiveSpec | RecurrentSpec
#: The specs of all encoders.
EncoderSpec = LayersSpec | IdentitySpec
#: The kind of an encoder's spec -> the encoder that it rebuilds, imported on first use.
MODELS: dict[str, str] = {
    "conv": "hashret.models.conv:ConvEncoder",
    "dense": "hashret.models.dense:DenseEncoder",
    "identity": "hashret.models.identity:IdentityEncoder",
    "patches": "hashret.models.patches:PatchEncoder",
    "recurrent": "hashret.models.recurrent:RecurrentEncoder",
    "recursive": "hashret.models.recursive:RecursiveEncoder",
}
