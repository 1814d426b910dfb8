"""Teach a denoiser on clean patches of the corpus's own images.

Patches are given noise of a random strength, and a network learns to say what was added: a
denoising autoencoder that predicts the noise, which gained over predicting the patch. The number of
steps is bounded, so it takes some seconds, whatever the corpus.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hashret.decoders.patch_denoiser import LEVELS, MOST_NOISE, PatchDenoiser, detail
from hashret.errors import TrainingError
from hashret.specs.denoisers import PatchDenoiserSpec
from indexer.training.optimise import choose_device
from indexer.training.options import TrainingOptions
from indexer.training.report import Course, OnProgress, StageReport

#: Height and width of a patch, in pixels.
SIDE = 8
#: The most patches that are learned from, of all images and for each item of a small corpus: so
#: many take some seconds, and a small part of what the codes of as many items take.
MOST_PATCHES, PATCHES_AN_ITEM = 48_000, 64
_STAGE = "denoiser"
#: Units of each hidden layer, by the number of channels: a patch in colour has three times the
#: numbers. 384 for 256 gained 1 dB on photos.
_HIDDEN = {1: (256, 256), 3: (384, 384)}
_BATCH = 128
_RATE = 8e-3  # of Adam; at .001 as many steps left 1.5 dB
#: Times that each patch is seen; but so many steps at least.
_EPOCHS, _LEAST_STEPS = 8, 100
_WARM_UP_STEPS = 100
#: Added to the noise by which a patch's error is divided, so that little noise is learned too.
_LEAST_NOISE = 0.02
#: The share of patches whose noisy levels are cut at black and white, as files have them.
_CUT_SHARE = 0.5
#: The share of patches of a network for colours that are grey, with the same noise in all channels.
_GREY_SHARE = 0.15
#: The most images, and patches of each, from which the readings of noise are learned.
_READ_IMAGES, _READ_PATCHES = 400, 64


def taught_patch_denoiser(
    patches: Sequence[np.ndarray],
    options: TrainingOptions,
    on_progress: OnProgress | None = None,
) -> tuple[PatchDenoiser, StageReport]:
    """A denoiser of images with these patches, and the report of its stage.

    `patches`: for each of one or more images, (n, SIDE, SIDE, channels) float32, with levels from
    0, black, to 1. The same arguments give the same denoiser, on one machine. Raises TrainingError
    if a loss is not finite.
    """
    began = time.perf_counter()
    rng = np.random.default_rng([options.seed, 2])
    channels = patches[0].shape[3]
    spec = PatchDenoiserSpec(channels, SIDE, _HIDDEN[channels])
    device = choose_device(options.device)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    layers: list[nn.Module] = []
    for n_in, n_out in spec.layer_shapes():
        layer = nn.Linear(n_in, n_out)
        nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    network = nn.Sequential(*layers[:-1]).to(device)
    every = torch.from_numpy(np.concatenate(patches))
    losses = _descend(network, every, device, generator, on_progress)
    weights = [layer.weight.detach().cpu().numpy().T.astype(np.float16) for layer in linear]
    biases = [layer.bias.detach().cpu().numpy().astype(np.float16) for layer in linear]
    denoiser = PatchDenoiser(spec, weights, biases, _readings(patches, rng))
    course = Course.of(losses)
    seconds = time.perf_counter() - began
    return denoiser, StageReport(_STAGE, seconds, course.final, losses=course.losses)


def _descend(
    network: nn.Module,
    patches: Tensor,
    device: torch.device,
    generator: torch.Generator,
    on_progress: OnProgress | None,
) -> list[float]:
    """Learn by Adam (Kingma and Ba, 2015) with a cosine decay; the loss of each step."""
    n_steps = max(_LEAST_STEPS, len(patches) * _EPOCHS // _BATCH)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    losses: list[float] = []
    for step in range(n_steps):
        warm = min(1.0, (step + 1) / min(_WARM_UP_STEPS, n_steps // 5))
        decay = 0.5 * (1.0 + float(np.cos(np.pi * step / n_steps)))
        optimiser.param_groups[0]["lr"] = _RATE * warm * decay
        rows = torch.randint(len(patches), (_BATCH,), generator=generator)
        clean, noisy, noise = _with_noise(patches[rows], generator)
        optimiser.zero_grad(set_to_none=True)
        given = torch.cat([noisy.flatten(1) - 0.5, noise], dim=1).to(device)
        added = (noisy - clean).flatten(1).to(device)
        errors = (network(given) - added).square().mean(dim=1, keepdim=True)
        loss = (errors / (noise.to(device) + _LEAST_NOISE)).mean()
        losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]):
            raise TrainingError(
                f"{_STAGE}: expected a finite loss, got {losses[-1]} at step {step + 1} of "
                f"{n_steps}; try another seed, or train without a decoder"
            )
        loss.backward()
        optimiser.step()
        if on_progress:
            on_progress(_STAGE, step + 1, n_steps, losses[-1])
    return losses


def _with_noise(clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Patches, the same with noise, and its deviations (n, 1); of colours a few are made grey."""

    def chosen(share: float) -> Tensor:
        return torch.rand((len(clean), 1, 1, 1), generator=generator) < share

    deviations = torch.rand((len(clean), 1), generator=generator) * MOST_NOISE
    noise = torch.randn(clean.shape, generator=generator)
    if clean.shape[3] > 1:
        grey = chosen(_GREY_SHARE)
        noise = torch.where(grey, noise[..., :1], noise)
        clean = torch.where(grey, clean.mean(dim=3, keepdim=True), clean)
    noisy = clean + noise * deviations[:, :, None, None]
    return clean, torch.where(chosen(_CUT_SHARE), noisy.clamp(0.0, 1.0), noisy), deviations


def _readings(patches: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The usual `detail` of images with noise of each level, as it is and cut to the range."""
    found = []
    for i in rng.permutation(len(patches))[:_READ_IMAGES]:
        clean = patches[i][:_READ_PATCHES]
        noise = rng.standard_normal(clean.shape)
        noisy = [clean + level * noise for level in LEVELS]
        found.append([[detail(each), detail(np.clip(each, 0.0, 1.0))] for each in noisy])
    return np.asarray(np.median(found, axis=0).T)
