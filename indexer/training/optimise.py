"""Gradient descent for every stage: batches, learning rate, precision, a check of each loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

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
_PRECISIONS = (torch.float32, torch.bfloat16)
#: From this many times as fast on bfloat16 is chosen: far from both kinds of processors that were
#: measured (2.7 and .6), so that one processor always chooses the same.
_MUCH_FASTER = 1.25


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


def bfloat16_is_faster(device: torch.device) -> bool:
    """Whether the device multiplies matrices faster in bfloat16 than in float32.

    A CPU with matrix units for it does. One that has only AVX-512's instructions for it is timed:
    of such processors some take two fifths of the time, others half as long again. PyTorch has no
    public function that tells what a CPU has; without its private ones the result is False.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return _cpu_has("amx_tile") or (_cpu_has("avx512_bf16") and _bfloat16_speed() > _MUCH_FASTER)


def _cpu_has(name: str) -> bool:
    """Whether PyTorch knows that the CPU has these instructions."""
    tell = getattr(torch.cpu, f"_is_{name}_supported", None)
    return tell is not None and tell()


@cache
def _bfloat16_speed() -> float:
    """How many times as fast as in float32 a product of matrices is in bfloat16, on this CPU.

    It takes a twentieth of a second. The least of several times of one thread, taken in turns, is
    much the same whatever else runs.
    """
    shapes = ((256, 512), (512, 2048))  # of a layer of the decoder, with fewer outputs
    pairs = [[torch.ones(shape, dtype=kind) for shape in shapes] for kind in _PRECISIONS]
    least = [float("inf")] * len(pairs)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for turn in range(6):
        for i, (rows, weights) in enumerate(pairs):
            began = time.thread_time()
            rows @ weights
            if turn:  # the first one chooses and loads what computes it
                least[i] = min(least[i], time.thread_time() - began)
    torch.set_num_threads(n_threads)
    return least[0] / max(least[1], 1e-9)
