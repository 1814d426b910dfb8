"""Resume an interrupted training, with the same result as without the interruption.

Training is a fixed sequence of stages, and all its randomness comes from generators of its own. A
resumed training runs the same sequence: a stage that was finished is skipped, one that was begun
continues from its last checkpoint (weights, Adam's moments, losses and the states of the
generators), and cheap results are computed again. The result is the same, bit for bit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hashret._version import __version__
from hashret.sparse import Features, arrays_of
from hashret.store.checkpoint_files import CheckpointFiles
from indexer.training.options import TrainingOptions
from indexer.training.presets import PRESETS
from indexer.training.report import Look

#: Seconds between checkpoints of a stage; writing one of a large model takes a tenth of a second.
SECONDS = 30.0
_NAME = "training-"


class Checkpoints:
    """The checkpoints of one training, written and read in the order of its stages."""

    def __init__(self, files: CheckpointFiles | None = None, key: str = ""):
        """Without files nothing is stored; checkpoints stored under another key are deleted."""
        self._files = files
        self._key = key
        self._count = 0
        #: Whether there were checkpoints to resume from; whether there were only ones of another
        #: key.
        self.found = self.dropped = False
        if files is not None:
            kept = files.read(f"{_NAME}000")
            self.found = kept is not None and kept[0].get("key") == key
            if not self.found:
                self.dropped = files.clear(_NAME)
                files.write(f"{_NAME}000", {"key": key})

    def stage(
        self,
        name: str,
        n_steps: int,
        optimiser: torch.optim.Optimizer,
        rng: np.random.Generator,
        generator: torch.Generator | None,
    ) -> Stage:
        """The next stage of gradient descent, restored to its last checkpoint."""
        return Stage(*self._next(name), n_steps, optimiser, rng, generator)

    def array(
        self, name: str, rng: np.random.Generator, compute: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """The result of `compute`, stored once; it must draw from `rng` only."""
        keep, kept = self._next(name)
        if kept is not None:
            rng.bit_generator.state = kept[0]["rng"]
            return kept[1]["array"].copy()
        array = compute()
        keep({"rng": rng.bit_generator.state}, {"array": array})
        return array

    def _next(self, name: str) -> tuple[_Keep, _Kept | None]:
        self._count += 1
        files, slot = self._files, f"{_NAME}{self._count:03d}"
        if files is None:
            return lambda facts, arrays: None, None

        def keep(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
            files.write(slot, facts | {"key": self._key, "name": name}, arrays)

        kept = files.read(slot)
        if kept is not None and (kept[0].get("key"), kept[0].get("name")) != (self._key, name):
            kept = None
        return keep, kept


_Keep = Callable[[dict[str, Any], dict[str, np.ndarray]], None]
_Kept = tuple[dict[str, Any], dict[str, np.ndarray]]


class Stage:
    """A stage of gradient descent in progress: the losses of its steps, and the batches to come."""

    def __init__(
        self,
        keep: _Keep,
        kept: _Kept | None,
        n_steps: int,
        optimiser: torch.optim.Optimizer,
        rng: np.random.Generator,
        generator: torch.Generator | None,
    ):
        self._keep = keep
        self._n_steps = n_steps
        self._optimiser = optimiser
        self._weights: list[Tensor] = [p for g in optimiser.param_groups for p in g["params"]]
        self._rng = rng
        self._generator = generator
        self._saved_at = time.monotonic()
        self._epoch_began = rng.bit_generator.state
        #: The losses of the steps taken so far, and the looks at the codes.
        self.losses: list[float] = []
        self.looks: list[Look] = []
        if kept is not None:
            self._put_back(*kept)
        self._was_finished = len(self.losses) == n_steps

    def batches(self, draw: Callable[[], list[np.ndarray]]) -> Iterator[np.ndarray]:
        """Yield the batches of all epochs still to come; `draw` draws those of one epoch."""
        while len(self.losses) < self._n_steps:
            now = self._rng.bit_generator.state
            self._rng.bit_generator.state = self._epoch_began
            epoch = draw()
            taken = len(self.losses) % len(epoch)
            if taken:  # in the middle of an epoch: numbers were drawn since its batches were
                self._rng.bit_generator.state = now
            for at in range(taken, len(epoch)):
                yield epoch[at]
                if at + 1 == len(epoch):
                    self._epoch_began = self._rng.bit_generator.state
                if time.monotonic() - self._saved_at >= SECONDS:
                    self._save()

    def finished(self) -> None:
        """Write the checkpoint of the end of the stage, unless it was written before."""
        if not self._was_finished:
            self._optimiser.state.clear()  # not needed any more
            self._save()

    def _save(self) -> None:
        arrays = {f"weight {i}": _array(weight) for i, weight in enumerate(self._weights)}
        for i, weight in enumerate(self._weights):
            for name, value in self._optimiser.state.get(weight, {}).items():
                arrays[f"{name} {i}"] = _array(value)
        if self._generator is not None:
            arrays["generator"] = _array(self._generator.get_state())
        arrays["losses"] = np.array(self.losses, np.float64)
        looks = [dataclasses.asdict(look) for look in self.looks]
        facts = {"rng": self._rng.bit_generator.state, "epoch": self._epoch_began, "looks": looks}
        self._keep(facts, arrays)
        self._saved_at = time.monotonic()

    def _put_back(self, facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.losses = arrays["losses"].tolist()
        self.looks = [Look.from_json(look) for look in facts.get("looks", [])]
        self._rng.bit_generator.state = facts["rng"]
        self._epoch_began = facts["epoch"]
        if self._generator is not None:
            self._generator.set_state(torch.from_numpy(arrays["generator"].copy()))
        for name, array in arrays.items():
            noun, _, number = name.rpartition(" ")
            if not noun:
                continue
            weight = self._weights[int(number)]
            # an array without dimensions, such as the number of steps, is read back with one
            value = torch.from_numpy(array.copy())
            value = value.reshape(() if noun == "step" else weight.shape).to(weight.device)
            if noun == "weight":
                with torch.no_grad():
                    weight.copy_(value)
            else:
                self._optimiser.state[weight][noun] = value


def _array(tensor: Tensor) -> np.ndarray:
    found: np.ndarray = tensor.detach().cpu().numpy()
    return found


def key_of(
    features: Features,
    kind: str,
    options: TrainingOptions,
    shape: tuple[int, int, int] | None,
    labels: np.ndarray | None = None,
) -> str:
    """A digest of everything that the end of a training depends on, code and threads included."""
    digest = hashlib.sha256()
    facts = [kind, dataclasses.asdict(options), shape, __version__, torch.__version__]
    digest.update(json.dumps([*facts, repr(PRESETS), torch.get_num_threads()]).encode())
    for array in (*arrays_of(features), *(() if labels is None else (labels,))):
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()
