"""Every loss is computed where the network is: tried on a device that has shapes and no numbers.

PyTorch's "meta" device refuses, as CUDA does, an operation on tensors of two devices; so what
training forgets to move is found on a machine without a GPU.
"""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from indexer.training import trainer as trainer_file
from indexer.training.layers.greedy import LayerOfStack
from indexer.training.options import TrainingOptions
from indexer.training.presets import PRESETS
from indexer.training.trainer import AutoencoderTrainer, _Round
from indexer.training.training_set import TrainingSet
from tests.training.corpora import as_taken, grouped_points, grouped_words

META = torch.device("meta")
PRESETS_OF_NETWORKS = [
    (kind, name)
    for kind, presets in PRESETS.items()
    for name, preset in presets.items()
    if preset.trainer == "autoencoder"
]


@pytest.fixture
def on_meta(monkeypatch):
    """Training chooses the device "meta", whose generator is that of the CPU: it has none."""
    monkeypatch.setattr(trainer_file, "choose_device", lambda name: META)
    without_device = SimpleNamespace(Generator=lambda device=None: torch.Generator())
    monkeypatch.setattr(trainer_file, "torch", without_device)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # "meta" has none


def unrolled(kind, preset):
    """A network of the preset, joined with its losses, and 40 rows to learn from."""
    ordering = None
    if kind in ("text", "sequence"):
        features, ordering = as_taken(grouped_words(60)[0], kind, preset)
    else:
        features, _ = grouped_points(60)
    items = TrainingSet(features, (2, 4, 3) if kind == "image" else None, ordering)
    options = TrainingOptions(n_bits=16, preset=preset)
    whole = AutoencoderTrainer(items, options, PRESETS[kind][preset].recipe)
    wanted = whole.recipe.neighbourhood
    near = whole._neighbourhoods(wanted) if wanted else None
    return _Round(whole, whole.recipe.rounds)._unrolled(near, 16)


@pytest.mark.parametrize(("kind", "preset"), PRESETS_OF_NETWORKS)
def test_losses_and_gradients_are_where_the_network_is(on_meta, kind, preset):
    whole, rows = unrolled(kind, preset), np.arange(40)
    losses = [whole.loss(rows, 0.5)]
    losses += [LayerOfStack(whole, i).loss(rows, 0.0) for i in range(len(whole.network.encoder))]
    for loss in losses:
        assert loss.device == META
        loss.backward()
    assert {parameter.device for parameter in whole.network.parameters()} == {META}
    assert all(parameter.grad is not None for parameter in whole.network.parameters())


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_target_left_on_the_cpu_is_refused(on_meta, kind):
    whole = unrolled(kind, next(iter(PRESETS[kind])))
    whole.target._device = torch.device("cpu")
    with pytest.raises(RuntimeError, match="device"):
        whole.loss(np.arange(40), 0.5)
