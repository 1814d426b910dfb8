"""Train codes of a user's own vectors by which the nearest float vectors are found.

Training starts at the ITQ codes (`itq`) and learns two towers (`networks.two_towers`) to order
items as the floats do (`NearFloats`), through bits that are rounded from the first step. Codes
follow the Euclidean distance of the features, which for unit vectors gives the order of cosines.
Finally, the recall for held-out items decides between the towers and the rotation alone.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hashret.codes import Codes, hamming
from hashret.errors import TrainingError
from hashret.measures import recall_of_truth
from hashret.models.base import Encoder
from hashret.models.dense import DenseEncoder
from hashret.sparse import n_distinct, require_dense
from indexer.training.batches import Batches
from indexer.training.checkpoints import Checkpoints
from indexer.training.networks.bottleneck import sign
from indexer.training.networks.two_towers import TwoTowers, export_towers
from indexer.training.optimise import Descent, bfloat16_is_faster, choose_device
from indexer.training.options import TrainingOptions
from indexer.training.recipe import TowersRecipe
from indexer.training.report import (
    OnProgress,
    StageReport,
    TrainingReport,
    bit_balance,
    code_warnings,
)
from indexer.training.training_set import TrainingSet
from indexer.training.vectors.itq import itq_projection
from indexer.training.watching import Watching

#: Number of items on which the rotation is found, and among which held-out items search.
_SAMPLE = 16_384
#: Held-out items: 1/_SHARE of all, at most _MOST; in small corpora up to _FEW, at most a quarter.
_SHARE, _MOST, _FEW = 32, 500, 50
#: Least number of held-out items; with fewer nothing can be decided, and nothing is learned.
_LEAST = 5
_TRUTH = 10  # number of nearest float vectors that a held-out item should find first
_LARGEST_RATE = (
    0.02  # largest learning rate of Adam, for any bits and features; larger ones diverged
)


class TowersTrainer:
    """Learns codes of any length for one training set of dense rows; each length by itself."""

    def __init__(
        self,
        items: TrainingSet,
        options: TrainingOptions,
        recipe: TowersRecipe,
        watching: Watching | None = None,
        checkpoints: Checkpoints | None = None,
    ):
        self._features = require_dense(items.features, "the preset 'towers'")
        self._options = options
        self._recipe = recipe
        self._on_progress = (watching or Watching()).step
        self._checkpoints = checkpoints or Checkpoints()

    def learn(self, n_bits: int) -> tuple[DenseEncoder, TrainingReport]:
        """An encoder with codes of n_bits."""
        options = replace(self._options, n_bits=n_bits)
        course = _Course(
            self._features, options, self._recipe, self._on_progress, self._checkpoints
        )
        return course.run()


@dataclass(frozen=True, slots=True)
class _Judged:
    """An encoder, its codes of the training items, and how many of their nearest items held-out
    ones find first: by the query's weights and by distance, added."""

    encoder: DenseEncoder
    codes: Codes
    recall: float


class _Course:
    """One training from beginning to end: its data, its sources of randomness, its report."""

    def __init__(
        self,
        features: np.ndarray,
        options: TrainingOptions,
        recipe: TowersRecipe,
        on_progress: OnProgress,
        checkpoints: Checkpoints,
    ):
        device = choose_device(options.device)
        self.options = options
        self.recipe = recipe
        self.on_progress = on_progress
        self.checkpoints = checkpoints
        self.rng = np.random.default_rng(options.seed)
        self.initial = torch.Generator().manual_seed(options.seed)
        mean_square = float(np.square(features, dtype=np.float64).mean())
        self.scale = float(1.0 / np.sqrt(max(mean_square, 1e-12)))
        order = self.rng.permutation(len(features))
        held_out = _held_out(len(features))
        self.held_out = features[order[:held_out]]
        self.pool = features[order[held_out:]]
        self.items = Batches(self.pool, self.scale, device)
        self.report = TrainingReport(
            options, len(features), device.type, bfloat16_is_faster(device)
        )
        self.features = features

    def run(self) -> tuple[DenseEncoder, TrainingReport]:
        """Find the rotation, train, and keep whichever has the better recall for held-out items."""
        start = self._rotated()
        best = self._judged(start, "rotate")
        if len(self.held_out) >= _LEAST:
            learned = self._judged(self._learned(start), "learn")
            best = learned if learned.recall >= best.recall else best
        self.report.warnings += code_warnings(best.codes, n_distinct(self.features))
        return best.encoder, self.report

    def _rotated(self) -> TwoTowers:
        """Towers that consist of the ITQ projection only, with logits of mean 0 and variance 1."""
        began = time.perf_counter()
        rows = self.pool[:_SAMPLE] * np.float32(self.scale)
        mean = rows.mean(axis=0, dtype=np.float64)
        projection = self.checkpoints.array(
            "rotate",
            self.rng,
            lambda: itq_projection(rows - mean, self.options.n_bits, self.rng),
        )
        variance = float(np.square((rows - mean) @ projection).mean())
        if variance > 1e-12:  # identical items have none
            projection /= np.sqrt(variance)
        towers = TwoTowers(projection, -mean @ projection, 0, self.initial)
        self._finished("rotate", began)
        return towers.to(self.items.device)

    def _learned(self, start: TwoTowers) -> TwoTowers:
        """Towers trained from the start on blocks of items."""
        began = time.perf_counter()
        recipe, n = self.recipe, len(self.items)
        towers = start.widened(recipe.hidden, self.initial)
        block = self._block(np.arange(min(n, recipe.block)))
        queries = block[: recipe.queries]
        times = self.options.multiples
        wanted = float(self.options.neighbours or recipe.perplexity * times.neighbours)
        perplexity = min(wanted, max(1.0, n / 8))
        temperature = temperature_for(similarities(queries, block), perplexity)
        symmetric = min(1.0, recipe.symmetric_weight / self.options.n_bits)
        loss = NearFloats(towers, recipe.queries, temperature, symmetric)
        set_steepness(loss, block)
        per_epoch = max(1, n // recipe.block)
        steps = max(1, round(recipe.steps_for(n) * times.epochs))
        epochs = self.options.epochs or -(-steps // per_epoch)
        course = self._descent().run(
            towers.parameters(), epochs, lambda rows, done: loss(self._block(rows))
        )
        seconds = time.perf_counter() - began
        report = StageReport("learn", seconds, course.final, losses=course.losses)
        self.report.stages.append(report)
        return towers

    def _block(self, rows: np.ndarray) -> Tensor:
        batch = self.items.batch(rows)
        if not isinstance(batch, Tensor):
            raise TypeError("features: expected a dense array for the preset 'towers', got bags")
        return batch

    def _descent(self) -> Descent:
        # a step of Adam moves every weight by about as much: the more features a logit adds up, the
        # less each weight should move; and with more bits the start is nearer to the goal
        rate = self.recipe.learning_rate / self.options.n_bits
        rate *= np.sqrt(self.recipe.rate_features / self.items.n_features)
        return Descent(
            "learn",
            len(self.items),
            self.recipe.block,
            min(float(rate), _LARGEST_RATE),
            self.rng,
            self.items.device,
            self.report.bfloat16,
            self.on_progress,
            cosine=True,
            checkpoints=self.checkpoints,
        )

    def _judged(self, towers: TwoTowers, stage: str) -> _Judged:
        """The towers as an encoder, with its recall for held-out items."""
        try:
            encoder = export_towers(towers, self.scale)
        except ValueError as error:
            raise TrainingError(f"{stage}: {error}") from error
        codes = encoder.encode(self.features)
        by_weights, by_distance = None, 0.0
        if len(self.held_out):
            by_weights, by_distance = held_out_recall(encoder, self.held_out, self.pool[:_SAMPLE])
        self.report.stages[-1] = replace(
            self.report.stages[-1],
            bit_balance=bit_balance(codes),
            n_distinct=codes.n_distinct(),
            recall=by_weights,
        )
        return _Judged(encoder, codes, (by_weights or 0.0) + by_distance)

    def _finished(self, stage: str, began: float) -> None:
        self.report.stages.append(StageReport(stage, time.perf_counter() - began))
        self.on_progress(stage, 1, 1, float("nan"))


def _held_out(n: int) -> int:
    return min(_MOST, max(n // _SHARE, min(n // 4, _FEW)))


def held_out_recall(
    encoder: Encoder, queries: np.ndarray, items: np.ndarray
) -> tuple[float, float]:
    """Of the 10 items nearest to each query by Euclidean distance, the share that codes find.

    Two figures: among the 10 first by the query's weights against stored bits, and by Hamming
    distance (ties by row). Features are dense, (n, n_features).
    """
    count = min(_TRUTH, len(items))
    wide = items.astype(np.float64)
    near = queries.astype(np.float64) @ wide.T - 0.5 * np.square(wide).sum(axis=1)
    truth = np.argsort(-near, axis=1, kind="stable")[:, :count]
    stored = encoder.encode(items)
    logits = encoder.logits(queries)
    weights = 2.0 * encoder.confidences(queries, logits) - 1.0
    signs = 2.0 * stored.bits.astype(np.float32) - 1.0
    apart = hamming(Codes.pack(logits > 0), stored)
    ranked = [
        np.argsort(d, axis=1, kind="stable")[:, :count] for d in (-(weights @ signs.T), apart)
    ]
    by_weights, by_distance = (float(recall_of_truth(rows, truth).mean()) for rows in ranked)
    return by_weights, by_distance


#: The score of an item with itself, far below all others, so that it is never its own neighbour.
_NEVER = -1e4
_BISECTIONS = 30  # number of bisections of 15 units of log temperature, to a precision of 1e-8


def similarities(queries: Tensor, features: Tensor) -> Tensor:
    """Minus half the squared distances, up to a constant for each row, (n_queries, n).

    An item's similarity to itself is -inf. `queries` are the first rows of `features`. Computed in
    float32, because bfloat16 could not tell near neighbours apart.
    """
    with torch.autocast(features.device.type, enabled=False):
        near = queries @ features.T - 0.5 * features.square().sum(dim=1)
    near.fill_diagonal_(-math.inf)
    return near


def temperature_for(near: Tensor, perplexity: float) -> float:
    """The divisor of `similarities` that gives each row about `perplexity` neighbours.

    One temperature for all rows: the mean entropy of softmax(near / temperature) is the
    logarithm of the perplexity (van der Maaten and Hinton, JMLR 2008, section 2, per row there).
    """
    centred = near - near.amax(dim=1, keepdim=True)
    spread = float(-centred[torch.isfinite(centred)].mean())
    low, high = math.log(max(spread, 1e-6)) - 12.0, math.log(max(spread, 1e-6)) + 3.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        share = torch.softmax(centred / math.exp(middle), dim=1)
        entropy = float(torch.special.entr(share).sum(dim=1).mean())
        low, high = (middle, high) if entropy < math.log(perplexity) else (low, middle)
    return math.exp(0.5 * (low + high))


@dataclass(frozen=True, slots=True)
class NearFloats:
    """The loss of two towers on a block of features, of which the first rows are queries."""

    towers: TwoTowers
    queries: int
    temperature: float
    symmetric_weight: float

    def __call__(self, features: Tensor) -> Tensor:
        """Mean cross-entropy by the query's weights plus, with a factor, by its own bits."""
        queries = features[: self.queries]
        near = torch.softmax(similarities(queries, features) / self.temperature, dim=1)
        bits = sign(self.towers.logits(features))  # (n, n_bits)
        loss = cross_entropy(near, self.towers.scores(queries, bits))
        by_bits = self.towers.scores(queries, bits, by_bits=bits[: len(queries)])
        return loss + self.symmetric_weight * cross_entropy(near, by_bits)


def cross_entropy(near: Tensor, scores: Tensor) -> Tensor:
    """The mean cross-entropy of softmax(scores), without the item itself, against `near`."""
    own = torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)
    others = scores.masked_fill(own, _NEVER)
    return -(near * functional.log_softmax(others, dim=1)).sum(dim=1).mean()


def set_steepness(loss: NearFloats, features: Tensor) -> None:
    """Set the initial steepness of both scores to the value that fits the distances best.

    Learning it would take long, and from too flat a start the first steps would undo the rotation.
    """
    towers, queries = loss.towers, features[: loss.queries]
    with torch.no_grad():
        near = torch.softmax(similarities(queries, features) / loss.temperature, dim=1)
        bits = sign(towers.logits(features))
        own = (None, bits[: len(queries)])
        for which, by_bits in enumerate(own):
            tried = {}
            for quarter in range(29):  # 1 to 128 in quarters of an octave
                steepness = quarter * math.log(2.0) / 4.0
                towers.log_steepness[which] = steepness
                scores = towers.scores(queries, bits, by_bits=by_bits)
                tried[steepness] = float(cross_entropy(near, scores))
            towers.log_steepness[which] = min(tried, key=tried.__getitem__)
