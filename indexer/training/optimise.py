"""Gradient descent for every stage: batches, learning rate, precision, a check of each loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from hashret.errors import TrainingError
from indexer.training.batches import epoch_batches
from indexer.training.checkpoints import Checkpoints
from indexer.training.report import Course, Look, OnProgress

#: Steps in which the learning rate grows to its full value, while Adam's moments settle.
_WARM_UP_STEPS = 100
#: The learning rate at the last step, as a share of the full one.
_LAST_RATE = 0.05
#: Most times that a stage is looked at: enough for a curve.
_LOOKS = 20


@dataclass(frozen=True, slots=True)
class Descent:
    """One stage of training: its name, and how its steps over n items are taken."""

    stage: str
    n: int
    batch_size: int
    learning_rate: float
    rng: np.random.Generator
    device: torch.device
    bfloat16: bool
    on_progress: OnProgress | None
    cosine: bool = False
    generator: torch.Generator | None = None
    """The generator of the loss, besides `rng`; a checkpoint holds the states of both."""
    checkpoints: Checkpoints = field(default_factory=Checkpoints)

    def run(
        self,
        parameters: Iterable[nn.Parameter],
        epochs: int,
        loss_of: Callable[[np.ndarray, float], Tensor],
        look: Callable[[int, int], Look] | None = None,
    ) -> Course:
        """Minimise `loss_of(rows, share of the stage done)`; return how the loss went.

        A loss that needs no gradient has set a direction for each parameter in its place.
        `look(steps done, steps in all)` is called up to 20 times on the way; it must draw no random
        number.

        Adam (Kingma and Ba, 2015) with a short warm-up and a linear decay, or a `cosine` one
        (Loshchilov and Hutter, 2017), which stays longer at small steps. Raises TrainingError as
        soon as a loss is not finite.
        """
        optimiser = torch.optim.Adam(list(parameters), lr=self.learning_rate, fused=True)
        per_epoch = max(1, self.n // self.batch_size)
        n_steps = per_epoch * epochs
        stage = self.checkpoints.stage(self.stage, n_steps, optimiser, self.rng, self.generator)
        losses = stage.losses
        for rows in stage.batches(lambda: epoch_batches(self.n, self.batch_size, self.rng)):
            done = len(losses)
            rate = self.learning_rate * _schedule(done, n_steps, self.cosine)
            if look is not None and done % -(-n_steps // _LOOKS) == 0:
                stage.looks.append(look(done, n_steps))
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                loss = loss_of(rows, done / n_steps)
            losses.append(self._finite(loss, done, n_steps))
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if self.on_progress:
                self.on_progress(self.stage, done + 1, n_steps, losses[-1])
        stage.finished()
        return Course.of(losses, stage.looks)

    def _finite(self, loss: Tensor, done: int, n_steps: int) -> float:
        value = float(loss.detach())
        if not np.isfinite(value):
            raise TrainingError(
                f"{self.stage}: expected a finite loss, got {value} at step {done + 1} "
                f"of {n_steps}; "
                "look for extreme values in the items, or try another seed"
            )
        return value


def _schedule(done: int, n_steps: int, cosine: bool) -> float:
    warm_up = min(_WARM_UP_STEPS, max(1, n_steps // 5))
    gone = done / n_steps
    if cosine:
        gone = 0.5 * (1.0 - np.cos(np.pi * gone))
    return float(min(1.0, (done + 1) / warm_up) * (1.0 - (1.0 - _LAST_RATE) * gone))


def choose_device(name: str) -> torch.device:
    """ "auto" is a CUDA device if there is one, else the CPU.

    Raises ValueError for another name than auto, cpu and cuda, TrainingError if CUDA is asked
    for and missing.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device: expected auto, cpu or cuda, got {name!r}; choose one of these")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise TrainingError("device: expected a CUDA device, found none; use --device cpu")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether the device has matrix units for bfloat16, which make it faster than float32.

    The bfloat16 instructions of AVX-512 do not count: with them alone a step took half as long
    again as in float32. PyTorch has no public function that tells this for CPUs; if its private one
    is missing, the result is False.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return has_tiles is not None and has_tiles()
