"""The network and its export to the fixed-point grid."""

from functools import partial

import numpy as np
import pytest
import torch

from indexer.training import optimise
from indexer.training.batches import Batches
from indexer.training.finetune import raw_logits_of
from indexer.training.networks.bottleneck import (
    LogitMoments,
    NoisySigmoidBottleneck,
    normalise,
    ramp,
)
from indexer.training.networks.dense import dense_autoencoder, export
from indexer.training.optimise import bfloat16_is_faster, choose_device
from indexer.training.parts import NoisySigmoid
from tests.training.corpora import grouped_words

CPU = torch.device("cpu")
ROWS, _ = grouped_words(300)
ITEMS = Batches(ROWS, 10.0, CPU)


def network(hidden=(40, 30), n_bits=16, seed=0, *, normalised=False, n_latent=0):
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(ROWS.n_features, n_latent, generator=generator) if n_latent else None
    return dense_autoencoder(
        ROWS.n_features, hidden, n_bits, generator, normalised=normalised, latent=directions
    )


def exported(net):
    return export(net, LogitMoments.of(raw_logits_of(net, ITEMS)), 10.0, 1.7)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(("hidden", "n_latent"), [((), 0), ((40,), 0), ((40,), 5), ((40, 30), 5)])
def test_exported_logits_are_those_of_the_network_but_for_rounding(hidden, n_latent, normalised):
    net = network(hidden, normalised=normalised, n_latent=n_latent)
    expected = normalise(torch.from_numpy(raw_logits_of(net, ITEMS))).numpy()
    logits = exported(net).logits(ROWS)
    assert logits == pytest.approx(expected, abs=2e-3)
    assert logits.mean(axis=0) == pytest.approx(np.zeros(16), abs=1e-3)
    assert logits.std(axis=0) == pytest.approx(np.ones(16), abs=1e-2)


def test_exported_numbers_lie_on_the_grid_and_sums_stay_exact():
    encoder = exported(network())
    for tensor in encoder.tensors().values():
        units = tensor.astype(np.float64) * 65536
        assert np.array_equal(units, np.rint(units))
    for layer, clamp in enumerate(encoder.spec.clamps):
        weight = encoder.tensors()[f"layers.{layer}.weight"].astype(np.float64)
        bias = encoder.tensors()[f"layers.{layer}.bias"]
        assert (clamp * np.abs(weight).sum(axis=0) + np.abs(bias)).max() * 2**32 <= 2**53
    assert encoder.spec.clamps[0] > 10.0  # room for the features themselves


def test_a_bit_that_never_varies_is_exported_and_constant():
    net = network()
    with torch.no_grad():
        net.encoder[-1].weight[:, 3] = 0.0
        net.encoder[-1].bias[3] = 1e5
    codes = exported(net).encode(ROWS)
    assert len(set(codes.bits[:, 3])) == 1
    assert codes.n_distinct() > 50


def test_latent_coordinates_need_a_hidden_layer():
    with pytest.raises(ValueError, match="latent: expected hidden layers"):
        network((), n_latent=3)


def test_latent_coordinates_are_fixed_and_no_layer_learns_to_rebuild_them():
    net = network((40,), normalised=True, n_latent=5)
    assert net.hidden(1, ITEMS.batch(np.arange(3))).shape == (3, 45)
    assert net.encoder[-1].weight.shape == (45, 16)
    assert net.decoder[0].weight.shape == (16, 40)
    assert all(parameter.shape != (ROWS.n_features, 5) for parameter in net.parameters())


def test_weights_without_bound_are_refused():
    net = network()
    with torch.no_grad():
        net.encoder[0].weight[0, 0] = 300.0
    with pytest.raises(ValueError, match="smaller learning rate"):
        exported(net)


def test_hidden_layers_are_taken_over_and_code_layers_not():
    old, new = network(seed=1), network(n_bits=8, seed=2)
    new.copy_hidden(old)
    assert torch.equal(new.encoder[1].weight, old.encoder[1].weight)
    assert torch.equal(new.decoder[-1].bias, old.decoder[-1].bias)
    assert new.encoder[-1].weight.shape == (30, 8)


def test_normalised_logits_of_equal_rows_are_zero():
    assert torch.equal(normalise(torch.full((4, 3), 7.0)), torch.zeros(4, 3))


def test_noise_grows_along_the_ramp_and_moves_codes():
    assert [ramp((0.5, 2.5), done) for done in (0.0, 0.5, 1.0)] == [0.5, 1.5, 2.5]
    raw = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    clean = torch.sigmoid(4.0 * normalise(raw))

    def code(done):
        settings = NoisySigmoid(noise=(0.0, 1.0), gain=(4.0, 4.0))
        return NoisySigmoidBottleneck(settings, torch.Generator().manual_seed(1))(raw, done).code

    moved = [(code(done) - clean).abs().mean().item() for done in (0.0, 0.3, 1.0)]
    assert moved[0] == pytest.approx(0.0, abs=1e-6)
    assert moved[0] < moved[1] < moved[2]


@pytest.mark.parametrize(
    ("has", "speed", "is_faster"),
    [
        ((), 9.0, False),  # not timed: without instructions for it a product takes seconds
        (("avx512_bf16",), 2.2, True),
        (("avx512_bf16",), 0.64, False),
        (("amx_tile", "avx512_bf16"), 0.64, True),
    ],
)
def test_bfloat16_is_chosen_where_it_is_faster(monkeypatch, has, speed, is_faster):
    for name in ("amx_tile", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", partial(has.__contains__, name))
    monkeypatch.setattr(optimise, "_bfloat16_speed", lambda: speed)
    assert bfloat16_is_faster(CPU) == is_faster


def test_what_pytorch_does_not_tell_of_a_cpu_is_missing(monkeypatch):
    for name in ("amx_tile", "avx512_bf16"):
        monkeypatch.delattr(torch.cpu, f"_is_{name}_supported")
    assert not bfloat16_is_faster(CPU)


def test_devices_have_three_names():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        choose_device("gpu")
