"""Teach a decoder, last of all: from the codes that an encoder gives back to the items' features.

The decoder that an autoencoder learns with is thrown away: it takes noisy numbers, where the codes
of the exported encoder are bits, and some presets have none. This one sees nothing but the bits, so
every encoder can have one, and what it says of an item is what the item's code says.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hashret.codes import Codes
from hashret.decoders.decoder import Decoder, held_quantiles
from hashret.decoders.rebuilt import ordering_of, rebuilt
from hashret.errors import TrainingError
from hashret.models.base import Encoder
from hashret.sparse import Features, SparseRows, by_layout, require_dense, take_rows
from hashret.specs.decoders import DecoderSpec
from hashret.specs.encoders import IdentitySpec
from hashret.specs.ordering import Ordering
from indexer.training.batches import epoch_batches
from indexer.training.neighbours.term_weighting import l1_normalised
from indexer.training.networks.linear_start import OPEN, linear_start
from indexer.training.optimise import choose_device
from indexer.training.options import TrainingOptions
from indexer.training.report import Course, OnProgress, StageReport

_STAGE = "decoder"
#: Items that a decoder is taught with at most, and the share of them that is held out.
_MOST_ITEMS, _HELD_SHARE = 20_000, 0.1
#: Epochs, and steps at least: one for each item, but at least the first and at most the second.
_EPOCHS, _LEAST_STEPS = 8, (60, 300)
#: Steps at least between two looks at the held-out items, of which so many in a row may find no
#: progress.
_LOOK_STEPS, _PATIENCE = 25, 2
_WARM_UP_STEPS = 20
_BATCH = 128
#: Units of the hidden layer of a decoder of numbers. Words have none: each bit adds a weight to
#: each word, which is as good and tells what the bit says.
_HIDDEN = (512,)
#: Learning rates of Adam.
_RATE_WORDS, _RATE_NUMBERS = 1e-2, 2e-3


def taught_decoder(
    features: Features,
    encoder: Encoder,
    options: TrainingOptions,
    on_progress: OnProgress | None = None,
) -> tuple[Decoder, StageReport]:
    """A decoder of the encoder's codes, and the report of its stage.

    It learns from the features of at most 20,000 of n >= 2 items, a seeded sample, but for a tenth,
    whose errors say when to stop and are kept (`Decoder.held_errors`). The same arguments give the
    same decoder, on one machine. Raises TrainingError if no error is finite.
    """
    began = time.perf_counter()
    rng = np.random.default_rng([options.seed, 1])
    order = rng.permutation(len(features))[:_MOST_ITEMS]
    n_held = max(1, int(len(order) * _HELD_SHARE))
    held, rows = (take_rows(features, np.sort(part)) for part in np.split(order, [n_held]))
    held_codes, ordering = encoder.encode(held), ordering_of(encoder.spec)
    losses: list[float] = []
    if isinstance(encoder.spec, IdentitySpec):
        spec = DecoderSpec("bits", encoder.n_bits, encoder.n_bits)
        decoder = Decoder(spec, [], [], require_dense(rows, "bits").mean(axis=0), np.empty(0))
    else:
        own = rebuilt(rows, ordering)
        is_series = ordering is not None and not (ordering.first or ordering.n_tokens)
        lesson = by_layout(own, _steps if is_series else _words, _numbers)
        spec = lesson.spec(encoder.n_bits, ordering)
        codes, device = encoder.encode(rows), choose_device(options.device)
        teaching = _Teaching(lesson, spec, codes, device, rng)
        decoder, losses = teaching.run(held_codes, held, on_progress)
    decoder.held_errors = held_quantiles(decoder.errors(held_codes, held))
    report = StageReport(_STAGE, time.perf_counter() - began)
    if losses:
        course = Course.of(losses)
        report = replace(report, loss=course.final, losses=course.losses)
    return decoder, report


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What is taught: the form of the outputs, and how those of a batch are compared."""

    outputs: Literal["words", "numbers", "steps"]
    hidden: tuple[int, ...]
    rate: float
    """The learning rate."""
    scale: float
    """The unit of the numbers that the network learns, in units of the features."""
    usual: np.ndarray
    """The sums of the last layer for the usual item, (n_outputs,): its bias at first."""
    loss: Callable[[Tensor, np.ndarray], Tensor]
    """Of the sums of the last layer (b, n_outputs) for these rows."""
    wanted: np.ndarray | None = None
    """What the sums are to be, (n, n_outputs), if a linear decoder of that is a good beginning."""

    def spec(self, n_bits: int, ordering: Ordering | None) -> DecoderSpec:
        """The settings of a decoder that learns this."""
        spec = DecoderSpec(self.outputs, n_bits, len(self.usual), self.hidden, self.scale)
        return spec if ordering is None else replace(spec, **asdict(ordering))


def _words(rows: SparseRows) -> _Lesson:
    """The shares of the words in each row, by cross-entropy (`decoders.outputs.WordShares`)."""
    shares = l1_normalised(rows)
    counts = np.bincount(shares.indices, shares.values, shares.n_features)
    # a word that only held-out items have is as if a hundredth of an item were of it
    usual = (counts + 0.01) / (counts.sum() + 0.01 * len(counts))

    def loss(sums: Tensor, batch: np.ndarray) -> Tensor:
        taken = shares.take(batch)
        owner = torch.from_numpy(np.repeat(np.arange(len(batch)), taken.nnz_per_row))
        values = torch.from_numpy(taken.values).to(sums.device)
        said = sums[owner.to(sums.device), torch.from_numpy(taken.indices).to(sums.device)]
        full = torch.from_numpy((taken.nnz_per_row > 0).astype(np.float32)).to(sums.device)
        return ((torch.logsumexp(sums, 1) * full).sum() - (said * values).sum()) / len(batch)

    return _Lesson("words", (), _RATE_WORDS, 1.0, np.log(usual), loss)


def _numbers(rows: np.ndarray) -> _Lesson:
    """The features themselves, by squared error."""
    scale = max(float(rows.std()), 1e-6)

    def loss(sums: Tensor, batch: np.ndarray) -> Tensor:
        return functional.mse_loss(sums, torch.from_numpy(wanted[batch]).to(sums.device))

    mean, wanted = rows.mean(axis=0, dtype=np.float64) / scale, rows / np.float32(scale)
    return _Lesson("numbers", _HIDDEN, _RATE_NUMBERS, scale, mean, loss, wanted)


def _steps(rows: SparseRows) -> _Lesson:
    """The numbers of each row, as many as it has, and how many, both by squared error."""
    width = int(rows.indices.max(initial=0)) + 1
    counts = np.bincount(rows.indices, minlength=width)
    usual = np.bincount(rows.indices, rows.values, width) / np.maximum(counts, 1)
    shares = (rows.nnz_per_row / width).astype(np.float32)

    def loss(sums: Tensor, batch: np.ndarray) -> Tensor:
        taken = rows.take(batch)
        owner = torch.from_numpy(np.repeat(np.arange(len(batch)), taken.nnz_per_row))
        values = torch.from_numpy(taken.values).to(sums.device)
        said = sums[owner.to(sums.device), torch.from_numpy(taken.indices).to(sums.device)]
        share = torch.from_numpy(shares[batch]).to(sums.device)
        return functional.mse_loss(said, values) + functional.mse_loss(sums[:, -1], share)

    usual = np.append(usual, shares.mean())
    return _Lesson("steps", _HIDDEN, _RATE_NUMBERS, 1.0, usual, loss)


class _Teaching:
    """A network that learns a lesson, and the best decoder that it was so far."""

    def __init__(
        self,
        lesson: _Lesson,
        spec: DecoderSpec,
        codes: Codes,
        device: torch.device,
        rng: np.random.Generator,
    ):
        self._lesson = lesson
        self._signed = torch.from_numpy(np.where(codes.bits, np.float32(1), np.float32(-1)))
        self._device, self._rng = device, rng
        self._spec = spec
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        layers: list[nn.Module] = []
        for n_in, n_out in self._spec.layer_shapes():
            layer = nn.Linear(n_in, n_out)
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.ReLU()]
        self._linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        nn.init.zeros_(self._linear[-1].weight)
        with torch.no_grad():
            self._linear[-1].bias.copy_(torch.from_numpy(lesson.usual))
        if lesson.wanted is not None and codes.n_bits <= self._linear[0].out_features:
            self._begin_linear(codes, lesson.wanted)
        self._network = nn.Sequential(*layers[:-1]).to(device)

    def _begin_linear(self, codes: Codes, wanted: np.ndarray) -> None:
        """Begin as the best linear decoder, which a unit for each bit passes on."""
        first, last = self._linear
        weights, biases = linear_start(codes.bits, wanted, self._rng)
        with torch.no_grad():
            first.weight[: codes.n_bits] = torch.eye(codes.n_bits)
            first.bias[: codes.n_bits] = OPEN
            last.weight[:, : codes.n_bits] = torch.from_numpy(weights.T)
            last.bias.copy_(torch.from_numpy(biases))

    def run(
        self, held_codes: Codes, held: Features, on_progress: OnProgress | None
    ) -> tuple[Decoder, list[float]]:
        """Learn until the held-out items are rebuilt no better; the best decoder, and all losses.

        Adam (Kingma and Ba, 2015) with a linear decay to zero over the epochs.
        """
        # before it learned anything, it says what is usual, which may be all that can be said
        best, since = self._decoder(), 0
        least = float(best.errors(held_codes, held).mean())
        losses: list[float] = []
        for _ in self._looks(losses, on_progress):
            decoder = self._decoder()
            error = float(decoder.errors(held_codes, held).mean())
            if error < least:
                best, least, since = decoder, error, 0
            else:
                since += 1
            if since >= _PATIENCE:
                break
        if not math.isfinite(least):
            raise TrainingError(
                f"{_STAGE}: expected a finite error, got {least}; look for extreme values in the "
                "items, or train without a decoder"
            )
        return best, losses

    def _looks(self, losses: list[float], on_progress: OnProgress | None) -> Iterator[None]:
        """Learn, and yield after each epoch, or some of few steps; adds each step's loss."""
        n = len(self._signed)
        size = max(1, min(_BATCH, n // 8))
        per_epoch = max(1, n // size)
        n_epochs = max(_EPOCHS, math.ceil(np.clip(n, *_LEAST_STEPS) / per_epoch))
        n_steps, looked = n_epochs * per_epoch, 0
        optimiser = torch.optim.Adam(self._network.parameters(), fused=True)
        for _ in range(n_epochs):
            for batch in epoch_batches(n, size, self._rng):
                done = len(losses)
                warm = min(1.0, (done + 1) / _WARM_UP_STEPS)
                optimiser.param_groups[0]["lr"] = self._lesson.rate * warm * (1.0 - done / n_steps)
                optimiser.zero_grad(set_to_none=True)
                sums = self._network(self._signed[torch.from_numpy(batch)].to(self._device))
                loss = self._lesson.loss(sums, batch)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                losses.append(float(loss.detach()))
                if on_progress:
                    on_progress(_STAGE, done + 1, n_steps, losses[-1])
            if len(losses) - looked >= min(_LOOK_STEPS, n_steps):
                looked = len(losses)
                yield

    def _decoder(self) -> Decoder:
        """The network as a decoder, its weights rounded as they are stored."""

        def stored(parameter: Tensor) -> np.ndarray:
            return parameter.detach().cpu().numpy().astype(np.float16)

        weights = [stored(layer.weight).T for layer in self._linear]
        biases = [stored(layer.bias) for layer in self._linear]
        usual = self._lesson.usual.astype(np.float16)
        return Decoder(self._spec, weights, biases, usual, np.empty(0))
