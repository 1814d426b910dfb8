"""What a watcher of a training is told, and the one who tells all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hashret.codes import Codes
from hashret.sparse import Features, dense_rows, take_rows
from indexer.training.report import Look, TrainingReport

if TYPE_CHECKING:
    from hashret.features.base import Featurizer
    from hashret.models.base import Encoder

#: Items that are looked at: enough for shares to the percent, encoded in milliseconds.
_SEEN = 512
#: Of them those that are rebuilt, in `Seen.rebuilt`.
_SHOWN = 8
#: The shrinkage of the linear map that rebuilds features from bits, in items.
_PRIOR = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the codes are like at one moment of a training, by a sample of its items."""

    stage: str
    step: int
    """The number of steps of the stage that are done."""
    look: Look
    logits: np.ndarray
    """(m, n_bits) float32, of mean 0 and variance 1 while they are learned; without noise."""
    features: Features
    """(m, n_features): of the same items, in the order of the training."""

    def rebuilt(self) -> tuple[np.ndarray, np.ndarray]:
        """Some items' features, and what their codes tell of them, (at most 8, n_features) each.

        The second are predicted by the linear map from bits to features that fits the other items
        best. It shows what is in the codes, whatever the network's own decoder rebuilds.
        """
        n = min(_SHOWN, len(self.logits) // 2)
        rows = np.asarray(dense_rows(self.features), np.float64)
        bits = np.where(self.logits > 0, 1.0, -1.0)
        mean, middle = rows[n:].mean(axis=0), bits[n:].mean(axis=0)
        known = bits[n:] - middle
        gram = known.T @ known + _PRIOR * np.eye(bits.shape[1])
        weights = np.linalg.solve(gram, known.T @ (rows[n:] - mean))
        return rows[:n], mean + (bits[:n] - middle) @ weights


class Watcher:
    """Is told how a training goes. Derive from it, and define what you want to be told.

    The methods are called in the process and thread of the training, which waits for them; what
    one of them raises ends the training. Nothing that they are given may be changed.
    """

    def on_features(self, featurizer: Featurizer) -> None:
        """How items become features is settled. Not called by `train`, which is given features."""

    def on_stage(self, stage: str, n_steps: int) -> None:
        """A stage of so many steps begins, or goes on after an interruption."""

    def on_step(self, stage: str, step: int, n_steps: int, loss: float) -> None:
        """So many steps of the stage are done; the loss of the last, NaN if it has none.

        Steps are those of gradient descent, rows where neighbours are sought, or one in all.
        """

    def on_codes(self, seen: Seen) -> None:
        """What codes are like: at most 20 times in a fine-tuning, and of the encoder returned.

        The last call has the stage "codes".
        """

    def on_end(self, report: TrainingReport) -> None:
        """The training has ended well."""


class Watching:
    """Tells watchers of one training what happens."""

    def __init__(self, watchers: Sequence[Watcher] = ()):
        self._watchers = watchers
        self._stage = ""

    def __bool__(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    def step(self, stage: str, done: int, total: int, loss: float) -> None:
        """Steps were done: see `Watcher.on_step`. The first step of a stage begins it."""
        for watcher in self._watchers:
            if stage != self._stage:
                watcher.on_stage(stage, total)
            watcher.on_step(stage, done, total, loss)
        self._stage = stage

    def codes(self, seen: Seen) -> None:
        """The codes of a sample were computed."""
        for watcher in self._watchers:
            watcher.on_codes(seen)

    def end(self, encoder: Encoder, features: Features, report: TrainingReport) -> None:
        """The training of `encoder` on `features` has ended."""
        if not self:
            return
        sample = take_rows(features, seen_rows(len(features)))
        logits = encoder.logits(sample)
        last = report.stages[-1]
        look = Look.of(1.0, last.noise, last.saturated, Codes.pack(logits > 0))
        self.codes(Seen("codes", 1, look, logits.astype(np.float32), sample))
        for watcher in self._watchers:
            watcher.on_end(report)


def seen_rows(n: int) -> np.ndarray:
    """The items of n that are looked at, evenly spaced, increasing."""
    return np.linspace(0, n - 1, min(n, _SEEN)).astype(np.int64)
