"""Recirculation: it learns to rebuild, by changes of activity and no derivative."""

import numpy as np
import pytest
import torch

from indexer.training import TrainingOptions, train
from indexer.training.batches import Batches
from indexer.training.layers.recirculation import Loop, as_dense
from indexer.training.networks.dense import Linear
from tests.training.corpora import grouped_points, grouped_words, stripes
from tests.training.recipes import change
from tests.training.watchers import Steps

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("kind", "corpus", "shape"),
    [
        ("text", grouped_words, None),
        ("vector", grouped_points, None),
        ("image", stripes, (16, 16, 1)),
    ],
)
def test_every_layer_learns_to_rebuild_its_input(kind, corpus, shape, monkeypatch):
    change(monkeypatch, kind, "recirculation", hidden=(48, 32), pretrain_epochs=20, epochs=1)
    features, _ = corpus(400)
    options = TrainingOptions(n_bits=16, seed=1, device="cpu", preset="recirculation")
    _, report = train(features, kind, options, shape=shape)
    stages = [stage for stage in report.stages if stage.stage.startswith("pre-train")]
    assert len(stages) == 3
    for stage in stages:
        assert stage.loss < 0.8 * stage.losses[0], stage.stage


def test_no_derivative_is_taken_and_fine_tuning_follows(monkeypatch):
    change(monkeypatch, "vector", "recirculation", hidden=(16,), least_steps=9, epochs=1)
    backward, watcher, during = torch.Tensor.backward, Steps(), []

    def recorded(self, *arguments, **named):
        during.append(watcher.calls[-1][0] if watcher.calls else "the first")
        return backward(self, *arguments, **named)

    monkeypatch.setattr(torch.Tensor, "backward", recorded)
    monkeypatch.setattr(torch.autograd, "grad", lambda *_: pytest.fail("a derivative was taken"))
    options = TrainingOptions(n_bits=8, seed=1, device="cpu", preset="recirculation")
    train(grouped_points(60)[0], "vector", options, watchers=[watcher])
    assert {call[0] for call in watcher.calls} == {"pre-train 1", "pre-train 2", "fine-tune"}
    assert set(during) <= {"pre-train 2", "fine-tune"}  # that of the step before
    assert during.count("pre-train 2") == 1


class Layer:
    """What a loop needs of a layer of the stack: the first of a network without normalisation."""

    n_fixed, index, is_last = 0, 0, False

    def __init__(self, rows, n_out):
        generator = torch.Generator().manual_seed(0)
        self.rows = rows
        self.encoder = Linear(rows.shape[1], n_out, generator)
        self.decoder = Linear(n_out, rows.shape[1], generator)
        self.whole = self.network = self

    def input(self, rows):
        return self.rows[rows]

    def activated(self, sums):
        return torch.relu(sums)

    def start_decoder(self):
        pass


def test_a_step_is_the_rule_of_hinton_and_mcclelland():
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    layer = Layer(rows, 3)
    loop = Loop.of(layer, 0.75)
    up, down = layer.encoder, layer.decoder
    assert torch.equal(down.weight, up.weight.T)
    loss = loop.step(np.arange(6), 0.0)
    assert not loss.requires_grad
    v0, w = rows.numpy(), up.weight.detach().numpy()
    h0 = np.maximum(v0 @ w, 0.0)
    v1 = 0.75 * v0 + 0.25 * h0 @ w.T
    h1 = np.maximum(v1 @ w, 0.0)
    assert down.weight.grad.numpy() == pytest.approx(-h0.T @ (v0 - v1) / 6, rel=1e-4, abs=1e-6)
    assert up.weight.grad.numpy() == pytest.approx(-v1.T @ (h0 - h1) / 6, rel=1e-4, abs=1e-6)
    assert up.bias.grad.numpy() == pytest.approx(-(h0 - h1).mean(axis=0), rel=1e-4, abs=1e-6)
    error = np.square(v0 - h0 @ w.T).mean() / v0.var(axis=0, ddof=1).mean()
    assert loss.item() == pytest.approx(error, rel=1e-4)


def test_small_changes_are_near_to_the_gradient_of_the_reconstruction_error():
    rows = torch.randn(400, 12, generator=torch.Generator().manual_seed(1))
    layer = Layer(rows, 20)
    loop = Loop.of(layer, 0.99)
    loop.step(np.arange(400), 0.0)
    moved = torch.cat([one.grad.flatten() for one in loop.parameters()])
    rebuilt = layer.decoder.forward(torch.relu(layer.encoder.forward(rows)))
    (0.5 * (rows - rebuilt).square().sum(dim=1).mean()).backward(inputs=list(loop.parameters()))
    true = torch.cat([one.grad.flatten() for one in loop.parameters()]) - moved  # they add up
    # where the weights are symmetric, both go downhill together
    assert torch.cosine_similarity(moved, true, dim=0).item() > 0.7


def test_sparse_rows_are_made_dense():
    features, _ = grouped_words(9)
    batch = Batches(features, 2.0, CPU).batch(np.array([5, 1]))
    expected = 2.0 * features.to_dense()[[5, 1]]
    assert as_dense(batch, features.n_features).numpy() == pytest.approx(expected)


def test_a_layer_that_is_not_linear_is_refused(monkeypatch):
    change(monkeypatch, "image", "conv", pretraining=_recirculation(), filters=(4,), epochs=1)
    options = TrainingOptions(n_bits=8, device="cpu", preset="conv")
    with pytest.raises(TypeError, match="expected linear layers, got Convolution"):
        train(stripes(40)[0], "image", options, shape=(16, 16, 1))


def _recirculation():
    from indexer.training.presets import Recirculation

    return Recirculation()
