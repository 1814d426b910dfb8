"""A training as TensorBoard shows it: `tensorboard --logdir DIR`.

Scalars: `loss/STAGE` at each step; `noise`, `saturated`, `ones/least`, `ones/mean` and `ones/most`
of a bit, of the sample that is looked at. Histograms: `logits` of all bits. Of some items what
their codes tell: pictures where they are images, else the words of texts; at last `report`.
"""

from __future__ import annotations

import json
import math
from os import PathLike
from typing import Any

import numpy as np

from hashret.errors import InputError, MissingExtraError
from hashret.features.base import Featurizer
from hashret.specs import ImageSpec, TextSpec
from indexer.training.report import TrainingReport
from indexer.training.watching.watcher import Seen, Watcher

#: Words of a text that are shown, those of the greatest weights.
_WORDS = 12


class TensorBoard(Watcher):
    """Writes what it is told to a folder of TensorBoard events."""

    def __init__(self, folder: str | PathLike[str]):
        """Write to `folder`, which is made if need be; events of earlier runs stay there.

        Raises `MissingExtraError` without the package tensorboard, and `InputError` if nothing can
        be written there.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtraError(
                "watching a training: expected the library tensorboard, which is not installed; "
                "pip install 'hashret[tensorboard]'"
            ) from None
        try:
            self._writer: Any = SummaryWriter(folder)
        except OSError as error:
            raise InputError(
                f"{folder}: expected a folder for the events of TensorBoard, got {error.strerror}; "
                "name another one"
            ) from error
        self._featurizer: Featurizer | None = None

    def close(self) -> None:
        """Write what is not yet on disk."""
        self._writer.close()

    def on_features(self, featurizer: Featurizer) -> None:
        """From now on, items are shown as this featurizer's words or pictures."""
        self._featurizer = featurizer

    def on_step(self, stage: str, step: int, n_steps: int, loss: float) -> None:
        """Write the loss, if there is one."""
        if not math.isnan(loss):
            self._writer.add_scalar(f"loss/{stage}", loss, step)

    def on_codes(self, seen: Seen) -> None:
        """Write what the codes are like, and what they tell of some items."""
        look, stage, step = seen.look, seen.stage, seen.step
        low, mean, high = look.bit_balance
        figures = {"noise": look.noise, "saturated": look.saturated}
        figures |= {"ones/least": low, "ones/mean": mean, "ones/most": high}
        for name, value in figures.items():
            if value is not None:
                self._writer.add_scalar(f"{name}/{stage}", value, step)
        self._writer.add_histogram(f"logits/{stage}", seen.logits, step)
        spec = None if self._featurizer is None else self._featurizer.spec
        if isinstance(spec, ImageSpec):
            picture = self._pictures(seen, spec)
            self._writer.add_image(f"rebuilt/{stage}", picture, step, dataformats="HWC")
        elif isinstance(spec, TextSpec):
            self._writer.add_text(f"rebuilt/{stage}", self._words(seen), step)

    def on_end(self, report: TrainingReport) -> None:
        """Write the report as JSON, and all that is not yet on disk."""
        told = json.dumps(report.to_json(), indent=2)
        self._writer.add_text("report", "".join(f"    {line}\n" for line in told.splitlines()))
        self._writer.flush()

    def _pictures(self, seen: Seen, spec: ImageSpec) -> np.ndarray:
        """Images side by side, and below them what their codes tell; (h, w, channels) uint8."""
        learned = self._featurizer.tensors() if self._featurizer else {}
        rows = []
        for features in seen.rebuilt():
            levels = features.reshape(-1, spec.height, spec.width, spec.channels)
            levels = levels / learned["scale"] + learned["mean"]
            rows.append(np.hstack(list(levels)))
        return np.clip(np.vstack(rows), 0, 255).astype(np.uint8)

    def _words(self, seen: Seen) -> str:
        """A table: the words of texts that weigh most, and those that their codes tell."""
        vocabulary = getattr(self._featurizer, "vocabulary", ())

        def first(row: np.ndarray) -> str:
            order = np.argsort(-row, kind="stable")[:_WORDS].tolist()
            words = [str(vocabulary[place]) for place in order if row[place] > 0]
            return " ".join(words).replace("|", "\\|")

        pairs = zip(*seen.rebuilt(), strict=True)
        lines = [f"| {first(own)} | {first(told)} |\n" for own, told in pairs]
        return "| words of a text | words that its code tells |\n|---|---|\n" + "".join(lines)
