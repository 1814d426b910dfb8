"""Training is done where the network is; tried without a GPU, on two other devices.

PyTorch's "meta" has shapes and no numbers: every loss of every preset is computed there. Whole
trainings, which need numbers, go through a device of our own (`another_device`). Both refuse, as
CUDA does, an operation on tensors of two devices.
"""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from indexer.training import decoder as decoder_file
from indexer.training import train
from indexer.training import trainer as trainer_file
from indexer.training.decoder import taught_decoder
from indexer.training.denoising import network as denoiser_file
from indexer.training.layers.greedy import LayerOfStack
from indexer.training.objectives import WordsTarget
from indexer.training.options import TrainingOptions
from indexer.training.presets import PRESETS
from indexer.training.trainer import AutoencoderTrainer, _Round
from indexer.training.training_set import TrainingSet
from indexer.training.vectors import towers as towers_file
from tests.training.another_device import trained_on
from tests.training.corpora import as_taken, grouped_points, grouped_words

META = torch.device("meta")
LONG = ("image", "sequence")
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


@pytest.mark.parametrize(
    "kind", ["text", "vector", *(pytest.param(k, marks=pytest.mark.long) for k in LONG)]
)
def test_a_whole_training_is_the_same_on_another_device(kind, monkeypatch):
    for file in (trainer_file, towers_file):  # a device of our own computes in float32 only
        monkeypatch.setattr(file, "bfloat16_is_faster", lambda device: False)
    features, ordering, shape = grouped_points(200 if kind == "vector" else 24)[0], None, None
    if kind in ("text", "sequence"):
        features, ordering = as_taken(grouped_words(24)[0], kind, next(iter(PRESETS[kind])))
    if kind == "image":
        shape = (2, 4, 3)
    options = TrainingOptions(n_bits=8, epochs=1)

    def learned():
        encoder, report = train(features, kind, options, shape=shape, ordering=ordering)
        decoder, _ = taught_decoder(features, encoder, options)
        return encoder, decoder, report.device

    here = learned()
    with trained_on(trainer_file, towers_file, decoder_file):
        away = learned()
    assert (here[2], away[2]) == ("cpu", "meta")
    for one, other in zip(here[:2], away[:2], strict=True):
        assert_same(one.tensors(), other.tensors())


def test_a_denoiser_is_the_same_on_another_device(monkeypatch):
    monkeypatch.setattr(denoiser_file, "_LEAST_STEPS", 10)
    patches = [np.random.default_rng(0).random((12, 8, 8, 1), np.float32)]
    learn = denoiser_file.taught_patch_denoiser
    here = learn(patches, TrainingOptions())[0]
    with trained_on(denoiser_file):
        away = learn(patches, TrainingOptions())[0]
    assert_same(here.tensors(), away.tensors())


def test_a_training_that_leaves_a_target_on_the_cpu_is_refused(monkeypatch):
    monkeypatch.setattr(WordsTarget, "_mean", left_on_the_cpu(WordsTarget._mean))
    with (
        trained_on(trainer_file),
        pytest.raises(RuntimeError, match="another device"),
    ):
        train(grouped_words(40)[0], "text", TrainingOptions(n_bits=8, epochs=1))


def left_on_the_cpu(method):
    return lambda *given: method(*given).cpu()


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], name)
