"""The folded trunk: linear layers that begin as the features' principal components, in bits.

A threshold on a direction is one bit of an item's coordinate there, and 256 thresholds on as many
directions say less than a few bits each of the first hundred. So a coordinate that is worth several
bits is folded: with u the coordinate,

    g_1 = u,   g_(k+1) = g_k - t_k sign(g_k)

and bit k says whether g_k is above its mean. These are the digits of a quantiser, the coarsest
first, and u is nearly their weighted sum: a linear decoder has it back. Each g is a saw-tooth,
which rectified units compute, but for a steep slope in place of each jump. Bits go where they lower
the error most, so that coordinates of little variance have none (reverse water-filling: Cover and
Thomas, "Elements of information theory", section 10.3.3).

That is where learning begins: the network rebuilds as principal components do, quantised with as
many bits, and learns from there what they can't.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from hashret.sparse import require_dense
from indexer.training.neighbours.randomized_svd import principal_directions
from indexer.training.networks.autoencoder import Autoencoder
from indexer.training.networks.dense import DenseTrunk, dense_autoencoder
from indexer.training.networks.linear_start import OPEN, linear_start
from indexer.training.parts import Folded
from indexer.training.training_set import Preparation

#: Items that directions and folds are found by at most.
_MOST_ITEMS = 20_000
#: The most bits of a coordinate: 64 cells, of which each has hundreds of those items.
_MOST_BITS = 6
#: The turns of a fold that are tried, in means of the absolute value; of normal numbers 1.23 is the
#: best for the second bit (Max, "Quantizing for minimum distortion", 1960).
_TURNS = (1.0, 1.1, 1.2, 1.3)
#: Half of the width of the slope that stands for a jump, in that of a cell, and at least, in
#: deviations: bits that turn at one jump turn together if it is steep, and weights are below 256.
_SLOPE, _LEAST_SLOPE = 0.05, 0.015
#: The least standard deviation of a coordinate that gets a bit, in units of the input's root mean
#: square: weights are divided by it, and the exported ones are below 256.
_LEAST_DEVIATION = 0.02


@dataclass(frozen=True, slots=True)
class Fold:
    """A saw-tooth: values less an offset that depends on the piece that they are in."""

    jumps: np.ndarray
    """(n_pieces - 1,) float64, increasing: where a piece ends and the next begins."""
    offsets: np.ndarray
    """(n_pieces,) float64."""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The folded values, of the same shape."""
        return np.asarray(values - self.offsets[np.searchsorted(self.jumps, values)])

    def again(self, turn: float) -> Fold:
        """This fold less `turn` times its sign."""
        ends = np.concatenate([[-np.inf], self.jumps, [np.inf]])
        jumps: list[float] = []
        offsets: list[float] = []
        for low, high, offset in zip(ends[:-1], ends[1:], self.offsets, strict=True):
            jumps.append(float(low))
            if low < offset < high:
                offsets.append(offset - turn)
                jumps.append(float(offset))
            offsets.append(offset + turn if offset < high else offset - turn)
        return Fold(np.array(jumps[1:]), np.array(offsets))

    def centred(self, values: np.ndarray) -> Fold:
        """This fold less its mean over some values."""
        return Fold(self.jumps, self.offsets + self(values).mean())


@dataclass(slots=True)
class Folds:
    """A coordinate of the items and its folds, as many as were asked for so far."""

    values: np.ndarray
    """(n,) float64, of mean 0 and variance 1."""
    variance: float
    """Of the coordinate, in squared units of the features."""
    found: list[Fold] = field(default_factory=list)

    def first(self, n_bits: int) -> list[Fold]:
        """The first folds, of which each is a bit."""
        if not self.found:
            self.found.append(Fold(np.empty(0), np.zeros(1)).centred(self.values))
        while len(self.found) < n_bits:
            last = self.found[-1]
            mean = float(np.abs(last(self.values)).mean())
            tried = [last.again(turn * mean).centred(self.values) for turn in _TURNS]
            self.found.append(min(tried, key=lambda one: self._error([*self.found, one])))
        return self.found[:n_bits]

    def error(self, n_bits: int) -> float:
        """The mean squared error of the means of cells, in squared units of the features."""
        return self.variance * self._error(self.first(n_bits))

    def _error(self, folds: Sequence[Fold]) -> float:
        owner = cells(folds, self.values)
        counts = np.bincount(owner)
        means = np.bincount(owner, self.values) / np.maximum(counts, 1)
        return float(np.square(self.values - means[owner]).mean())


def cells(folds: Sequence[Fold], values: np.ndarray) -> np.ndarray:
    """The cell of each value, (n,) int64; bit k of its number says whether fold k is above 0."""
    found = np.zeros(len(values), np.int64)
    for k, fold in enumerate(folds):
        found |= (fold(values) > 0).astype(np.int64) << k
    return found


def allotted(coordinates: Sequence[Folds], n_bits: int, n_units: int) -> list[int]:
    """How many bits each coordinate gets, where they lower the error most; n_bits at most in all.

    So many that `n_units` units compute the folds: at most two for each jump, and one.
    """
    told = [0] * len(coordinates)

    def gain(i: int) -> tuple[float, int]:
        return coordinates[i].error(told[i] + 1) - coordinates[i].error(told[i]), i

    usable = [i for i, one in enumerate(coordinates) if one.variance >= _LEAST_DEVIATION**2]
    waiting = [gain(i) for i in usable]
    heapq.heapify(waiting)
    left, free = n_bits, n_units
    while waiting and left:
        _, i = heapq.heappop(waiting)
        more = 1 << told[i]
        if more > free:
            continue
        told[i], left, free = told[i] + 1, left - 1, free - more
        if told[i] < _MOST_BITS:
            heapq.heappush(waiting, gain(i))
    return told


class FoldedTrunk(DenseTrunk):
    """Linear layers, one of them hidden, that begin as quantised principal components."""

    settings: Folded

    def __init__(self, settings: Folded, preparation: Preparation):
        super().__init__(settings, preparation)
        self._preparation = preparation

    def network(
        self, n_bits: int, n_raw: int, n_outputs: int | None, generator: torch.Generator
    ) -> Autoencoder:
        """A new network, which rebuilds features; spare bits and units begin at random."""
        rng = self._preparation.rng()
        features = require_dense(self.features, "the trunk 'folded'")
        rows = features[np.sort(rng.permutation(len(features))[:_MOST_ITEMS])]
        rows = rows.astype(np.float32) * np.float32(self.scale)
        width = self.settings.hidden[0]
        network = dense_autoencoder(
            rows.shape[1], (width,), n_bits, generator, n_outputs, n_raw=n_raw
        )
        mean = rows.mean(axis=0)
        centred = rows - mean
        # twice as many as are used: the last ones found are mixed with those beyond
        directions = principal_directions(centred, min(2 * n_bits, *rows.shape), rng)[:, :n_bits]
        found = []
        for column in (centred @ directions).T.astype(np.float64):
            deviation = max(float(column.std()), float(np.finfo(np.float32).tiny))
            found.append(Folds((column - column.mean()) / deviation, deviation**2))
        with torch.no_grad():
            start_encoder(network, mean, directions, found, allotted(found, n_bits, width))
            raw = network.raw_logits(torch.from_numpy(rows))[:, :n_bits]
            start_decoder(network, (raw > raw.mean(dim=0)).numpy(), rows, rng)
        return network


def start_encoder(
    network: Autoencoder,
    mean: np.ndarray,
    directions: np.ndarray,
    coordinates: Sequence[Folds],
    told: Sequence[int],
) -> None:
    """Set the encoder's weights so that its first bits are so many of each coordinate."""
    first, second = network.encoder
    second.weight[:, : sum(told)] = 0.0
    bit = unit = 0
    for direction, one, n_bits in zip(directions.T, coordinates, told, strict=True):
        if not n_bits:
            continue
        folds, deviation = one.first(n_bits), one.variance**0.5
        jumps = folds[-1].jumps
        width = float(np.diff(jumps).min(initial=1.0))
        around = min(max(_SLOPE * width, _LEAST_SLOPE), width / 4)
        low, high = one.values.min(initial=jumps.min(initial=0.0)), one.values.max(initial=0.0)
        bends = np.sort(np.concatenate([[low - 1.0], jumps - around, jumps + around]))
        places = np.append(bends, max(high, bends[-1]) + 1.0)
        at = np.stack([fold(places) for fold in folds], axis=1)  # (n_places, n_bits)
        slopes = np.diff(at, axis=0) / np.diff(places)[:, None]
        # a fold is a sum of units that open one after the other, each by what its slope changes
        changes = np.diff(slopes, axis=0, prepend=0.0)
        units, bits = slice(unit, unit + len(bends)), slice(bit, bit + n_bits)
        into = torch.from_numpy((direction / deviation).astype(np.float32))
        first.weight[:, units] = into[:, None]
        first.bias[units] = torch.from_numpy(-bends - mean @ direction / deviation).float()
        second.weight[units, bits] = torch.from_numpy(changes).float()
        second.bias[bits] = torch.from_numpy(at[0]).float()
        bit, unit = bits.stop, units.stop


def start_decoder(
    network: Autoencoder, bits: np.ndarray, rows: np.ndarray, rng: np.random.Generator
) -> None:
    """Let the decoder begin as the best linear one of the rows' bits, if it has enough units."""
    first, last = network.decoder
    n_bits = bits.shape[1]
    if n_bits > first.weight.shape[1]:
        return
    weights, biases = linear_start(bits, rows, rng)
    first.weight[:, :n_bits] = torch.eye(n_bits)
    first.bias[:n_bits] = OPEN
    last.weight.zero_()
    last.weight[:n_bits] = torch.from_numpy(weights)
    last.bias.copy_(torch.from_numpy(biases))
