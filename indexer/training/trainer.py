"""One training of the deep autoencoder from beginning to end.

Neighbourhoods are found without labels, the layers pre-trained one by one, the whole fine-tuned
with growing noise; then, round after round, neighbourhoods are found again by the features and
the codes just learned together, and a fresh network is fine-tuned on them. Rounds before the last
only serve to find neighbours, so codes of several lengths share them.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch

from hashret.codes import Codes
from hashret.errors import TrainingError
from hashret.models.base import Encoder
from hashret.models.dense import DenseEncoder
from hashret.models.patches import PatchEncoder, PatchLayer
from hashret.sparse import Features, SparseRows
from indexer.training.batches import TrainingItems
from indexer.training.checkpoints import Checkpoints
from indexer.training.finetune import Unrolled, finetune, raw_logits_of
from indexer.training.neighbours.image_views import image_views
from indexer.training.neighbours.lsa import latent_directions
from indexer.training.neighbours.neighbourhoods import Neighbourhoods, find_neighbourhoods
from indexer.training.neighbours.similarities import Points, cosine_points, mixed_points, points_of
from indexer.training.networks.autoencoder import Autoencoder
from indexer.training.networks.bottleneck import LogitMoments
from indexer.training.networks.conv import conv_autoencoder
from indexer.training.networks.dense import dense_autoencoder
from indexer.training.networks.export import export, export_conv
from indexer.training.objectives import Objective, objective_for
from indexer.training.optimise import Descent, choose_device, has_bfloat16_units
from indexer.training.options import TrainingOptions
from indexer.training.patch_dictionary import learn_patches
from indexer.training.presets import Recipe
from indexer.training.pretrain import LayerOfStack, pretrain_layer
from indexer.training.report import (
    OnProgress,
    StageReport,
    TrainingReport,
    bit_balance,
    code_warnings,
    n_distinct_rows,
)

#: The codes of rounds before the last, which only find neighbours, have this many bits.
_ROUND_BITS = 64


class Course:
    """Training items, and what was learned of them so far."""

    def __init__(
        self,
        features: Features,
        options: TrainingOptions,
        recipe: Recipe,
        on_progress: OnProgress | None,
        shape: tuple[int, int, int] | None = None,
        checkpoints: Checkpoints | None = None,
    ):
        self.options = options
        self.recipe = recipe
        self._features = features
        self._early: list[StageReport] = []
        self._on_progress = on_progress
        self._patches: PatchLayer | None = None
        self._answers: np.ndarray | None = None
        seen = features
        if shape is not None and not isinstance(features, SparseRows):
            began = time.perf_counter()
            self._patches = learn_patches(features, shape, np.random.default_rng([options.seed, 0]))
            self._answers = self._patches.features(features)
            self._prepared("patches", began)
            if recipe.patches:
                seen = self._answers
        device = choose_device(options.device)
        self.items = TrainingItems(seen, _input_scale(seen, recipe), device, shape)
        self.shared = Shared(
            self.items,
            recipe,
            options.seed,
            device,
            has_bfloat16_units(device),
            on_progress,
            checkpoints or Checkpoints(),
        )
        self._ready = False
        self._views: np.ndarray | None = None
        self._near: Neighbourhoods | None = None

    def finish(self, n_bits: int) -> tuple[Encoder, TrainingReport]:
        """An encoder to codes of n_bits; what only finds neighbours is done once for all calls."""
        if not self._ready:
            self._prepare()
            self._find_neighbourhoods()
            self._ready = True
        last = Round(self.shared, self.recipe.rounds)
        encoder = last.learn(self._near, n_bits)
        report = TrainingReport(
            replace(self.options, n_bits=n_bits),
            len(self.items),
            self.shared.device.type,
            self.shared.bfloat16,
            [*self._early, *last.stages],
        )
        codes = encoder.encode(self.items.features)
        report.warnings += code_warnings(codes, n_distinct_rows(self._features))
        return self._of_pixels(encoder), report

    def _of_pixels(self, encoder: Encoder) -> Encoder:
        """What takes images where `encoder` takes the answers of their patches."""
        if self._patches and self.recipe.patches and isinstance(encoder, DenseEncoder):
            return PatchEncoder.of(self._patches, encoder)
        return encoder

    def _prepare(self) -> None:
        """What all rounds are given: latent directions of texts, views of images."""
        features, rng = self._features, np.random.default_rng(self.options.seed)
        began = time.perf_counter()
        if isinstance(features, SparseRows):
            if self.recipe.n_latent:
                self.shared.latent = latent_directions(features, self.recipe.n_latent, rng)
                self._prepared("latent", began)
        elif self.items.shape is not None and self._answers is not None:
            self._views = image_views(features, self.items.shape, self._answers, rng)
            self._answers = None  # where nothing is learned from them, their memory is wanted
            if self.recipe.objective == "views":
                self.items.targets = self._views / max(float(self._views.std()), 1e-6)
            self._prepared("views", began)

    def _prepared(self, stage: str, began: float) -> None:
        self._early.append(StageReport(stage, time.perf_counter() - began))
        if self._on_progress:
            self._on_progress(stage, 1, 1, float("nan"))

    def _find_neighbourhoods(self) -> None:
        if not self.recipe.neighbour_weight:
            return
        features, rng = self.items.features, np.random.default_rng(self.options.seed)
        by_features = (
            points_of(features, rng) if self._views is None else cosine_points(self._views)
        )
        points = by_features
        for turn in range(1, self.recipe.rounds):
            this = Round(self.shared, turn)
            encoder = this.learn(this.neighbourhoods(points), _ROUND_BITS)
            self._early += this.stages
            soft = 2.0 * encoder.probabilities(encoder.logits(features)) - 1.0
            points = mixed_points(by_features, cosine_points(soft), rng)
        last = Round(self.shared, self.recipe.rounds)
        self._near = last.neighbourhoods(points)
        self._early += last.stages


def _input_scale(features: Features, recipe: Recipe) -> float:
    if recipe.input_scale is not None:
        return recipe.input_scale
    values = features.values if isinstance(features, SparseRows) else features
    mean_square = float(np.square(values, dtype=np.float64).mean())
    return float(1.0 / np.sqrt(max(mean_square, 1e-12)))


#: A layer is no wider than the features, but few features still need some units to be told apart.
_LEAST_UNITS = 32
#: The logistic curve of this slope is nearest to the normal distribution function.
_PROBIT_SLOPE = 1.702


@dataclass(slots=True)
class Shared:
    """What all rounds of one training share."""

    items: TrainingItems
    recipe: Recipe
    seed: int
    device: torch.device
    bfloat16: bool
    on_progress: OnProgress | None
    checkpoints: Checkpoints
    latent: np.ndarray | None = None
    """The directions of latent coordinates that enter the layer of the code, if any do."""
    pretrained: Autoencoder | None = None
    """The network whose hidden layers later rounds start from."""


class Round:
    """One round: neighbourhoods, and a fresh network trained on them.

    Each round draws from its own sources of randomness, so that the last one learns the same
    whether or not codes of other lengths were learned before.
    """

    def __init__(self, shared: Shared, turn: int):
        self.shared = shared
        self.recipe = shared.recipe
        if turn < self.recipe.rounds:
            # codes that only find neighbours must tell items apart, not draw them together
            self.recipe = replace(self.recipe, contrast_weight=0.0)
        self.items = shared.items
        self.turn = turn
        self.stages: list[StageReport] = []
        self.rng = np.random.default_rng([shared.seed, turn])
        drawn = int(self.rng.integers(2**62))
        self.initial = torch.Generator().manual_seed(drawn)
        self.generator = torch.Generator(shared.device).manual_seed(drawn + 1)

    def neighbourhoods(self, points: Points) -> Neighbourhoods:
        """The nearest others of every item."""
        began = time.perf_counter()
        n, stage = len(self.items), self._named("neighbours")

        def on_rows(done: int) -> None:
            if self.shared.on_progress:
                self.shared.on_progress(stage, done, n, float("nan"))

        def find() -> np.ndarray:
            width = self.recipe.neighbours
            return find_neighbourhoods(points, width, self.rng, on_rows).members

        members = self.shared.checkpoints.array(stage, self.rng, find)
        near = Neighbourhoods(members, self.recipe.neighbours)
        self.stages.append(StageReport(stage, time.perf_counter() - began))
        return near

    def learn(self, near: Neighbourhoods | None, n_bits: int) -> Encoder:
        """Pre-train, fine-tune and export a network."""
        objective = objective_for(self.recipe, self.items, self.rng)
        network = self._pretrained(objective, n_bits)
        began = time.perf_counter()
        whole = Unrolled(
            network, self.items, objective, near, self.recipe, self.generator, self.rng
        )
        stage = self._named("fine-tune")
        loss = finetune(whole, self._descent(stage), self.recipe.epochs)
        encoder = self._exported(network, stage)
        self.stages.append(self._code_report(encoder, stage, loss, began))
        return encoder

    def _pretrained(self, objective: Objective, n_bits: int) -> Autoencoder:
        """A network pre-trained layer by layer; hidden layers once for all rounds."""
        network = self._initial(n_bits).to(self.shared.device)
        first = 0
        if self.shared.pretrained is not None:
            network.copy_hidden(self.shared.pretrained)
            first = len(network.encoder) - 1
        if self.recipe.pretrain_epochs:
            for index in range(first, len(network.encoder)):
                began = time.perf_counter()
                stage = self._named(f"pre-train {index + 1}")
                layer = LayerOfStack(
                    network, index, self.items, objective, self.recipe, self.generator
                )
                loss = pretrain_layer(layer, self._descent(stage), self.recipe.pretrain_epochs)
                self.stages.append(StageReport(stage, time.perf_counter() - began, loss))
        if self.turn < self.recipe.rounds and self.shared.pretrained is None:
            self.shared.pretrained = deepcopy(network)
        return network

    def _initial(self, n_bits: int) -> Autoencoder:
        recipe, shape = self.recipe, self.items.shape
        told = self.items.targets
        n_outputs = None if told is None else told.shape[1]
        if recipe.filters and shape is not None:
            return conv_autoencoder(shape, recipe.filters, n_bits, self.initial, n_outputs)
        n_features, latent = self.items.n_features, self.shared.latent
        hidden = tuple(min(width, max(n_features, _LEAST_UNITS)) for width in recipe.hidden)
        return dense_autoencoder(
            n_features,
            hidden,
            n_bits,
            self.initial,
            n_outputs,
            normalised=recipe.normalised,
            latent=None if latent is None else torch.from_numpy(latent),
        )

    def _exported(self, network: Autoencoder, stage: str) -> Encoder:
        moments = LogitMoments.of(raw_logits_of(network, self.items))
        # the probability that noise of this size leaves a logit positive, as a logistic curve
        logit_scale = _PROBIT_SLOPE / self.recipe.noise[1]
        try:
            if self.recipe.filters and self.items.shape is not None:
                shape, scale = self.items.shape, self.items.scale
                return export_conv(network, shape, moments, scale, logit_scale)
            return export(network, moments, self.items.scale, logit_scale)
        except ValueError as error:
            raise TrainingError(f"{stage}: {error}") from error

    def _code_report(self, encoder: Encoder, stage: str, loss: float, began: float) -> StageReport:
        gain = self.recipe.gain[1]
        logits = encoder.logits(self.items.features)
        codes = Codes.pack(logits > 0)
        return StageReport(
            stage,
            time.perf_counter() - began,
            loss,
            noise=self.recipe.noise[1] * gain,
            saturated=float((np.abs(logits) * gain > np.log(9.0)).mean()),  # sigmoid > .9 or < .1
            bit_balance=bit_balance(codes),
            n_distinct=codes.n_distinct(),
        )

    def _descent(self, stage: str) -> Descent:
        return Descent(
            stage,
            len(self.items),
            self.recipe.batch_size,
            self.recipe.learning_rate,
            self.rng,
            self.shared.device,
            self.shared.bfloat16,
            self.shared.on_progress,
            generator=self.generator,
            checkpoints=self.shared.checkpoints,
        )

    def _named(self, stage: str) -> str:
        return stage if self.recipe.rounds == 1 else f"{stage}, round {self.turn}"
