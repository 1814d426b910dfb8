"""Targets and losses against their definitions."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from indexer.training.batches import Batches, epoch_batches
from indexer.training.corruption import add_gaussian, mask
from indexer.training.neighbours.neighbourhoods import Neighbourhoods
from indexer.training.neighbours.term_weighting import l1_normalised, rarity_weighted
from indexer.training.objectives import (
    Mixture,
    SquaredTarget,
    WordsTarget,
    balance,
    contrast,
    independence,
    squared_error,
    word_cross_entropy,
)
from indexer.training.training_set import Preparation, TrainingSet
from tests.models.encoders import as_sparse
from tests.training.corpora import grouped_points, grouped_words

CPU = torch.device("cpu")


class Seen:
    """What a target needs of a trunk: what it sees, and what that is multiplied by."""

    def __init__(self, features, scale=1.0):
        self.features, self.scale = features, scale


def loss_of(target_class, seen, outputs, batch, near=None, share=0.8, draws=4):
    """A function that draws a mixture for the batch's targets, and gives the loss."""
    preparation = Preparation(TrainingSet(seen.features), 0, None)  # words by rarity
    target = target_class(None, preparation, seen, CPU)
    mixture = Mixture(near, share, draws, rng())
    return lambda: target.loss(outputs, *mixture.of(batch))


def rng():
    return np.random.default_rng(0)


def ring(n):
    """Each item's neighbourhood: the two items after it."""
    rows = np.arange(n)
    return Neighbourhoods(np.stack([(rows + 1) % n, (rows + 2) % n], axis=1).astype(np.int32), 2)


def test_cross_entropy_is_that_of_the_softmax():
    outputs, target = torch.randn(4, 6), torch.softmax(torch.randn(4, 6), dim=1)
    expected = functional.cross_entropy(outputs, target)
    assert word_cross_entropy(outputs, target).item() == pytest.approx(expected.item(), rel=1e-5)


def test_words_alone_cost_the_items_own_distribution():
    rows, _ = grouped_words(20)
    batch, outputs = np.array([3, 11, 7]), torch.randn(3, rows.n_features)
    own = l1_normalised(rarity_weighted(rows)).to_dense()[batch]
    loss = loss_of(WordsTarget, Seen(rows), outputs, batch)()
    expected = word_cross_entropy(outputs, torch.from_numpy(own))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_drawn_neighbours_give_the_full_mean_on_average():
    rows, _ = grouped_words(20)
    batch, outputs = np.array([3, 11, 7]), torch.randn(3, rows.n_features)
    words = l1_normalised(rarity_weighted(rows)).to_dense()
    target = 0.2 * words[batch] + 0.4 * words[batch + 1] + 0.4 * words[batch + 2]
    drawn = loss_of(WordsTarget, Seen(rows), outputs, batch, ring(20), draws=2)
    losses = [drawn().item() for _ in range(400)]
    expected = word_cross_entropy(outputs, torch.from_numpy(target)).item()
    assert np.std(losses) > 0
    assert np.mean(losses) == pytest.approx(expected, abs=4 * np.std(losses) / 20)


def test_an_item_without_words_costs_nothing():
    dense = np.zeros((3, 5), np.float32)
    dense[0, 1] = 1.0
    empty = np.array([2])
    assert loss_of(WordsTarget, Seen(as_sparse(dense)), torch.randn(1, 5), empty)().item() == 0.0


def test_squared_error_mixes_the_neighbours_in():
    points, _ = grouped_points(20)
    batch, outputs = np.array([3, 11]), torch.randn(2, points.shape[1])
    one = Neighbourhoods(np.roll(np.arange(20, dtype=np.int32), -1)[:, None], 1)
    loss = loss_of(SquaredTarget, Seen(points, 0.5), outputs, batch, one, 0.3, 3)()
    target = 0.5 * (0.7 * points[batch] + 0.3 * points[batch + 1])
    expected = squared_error(outputs, torch.from_numpy(target))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_contrast_is_the_cross_entropy_over_agreeing_bits():
    code, partners = torch.rand(5, 16), torch.rand(5, 16)
    signs, others = 2.0 * code.double() - 1.0, 2.0 * partners.double() - 1.0
    likely = torch.exp(signs @ others.T / 16 / 0.3)
    expected = -torch.log(likely.diag() / likely.sum(dim=1)).mean()
    assert contrast(code, partners, 0.3).item() == pytest.approx(expected.item(), rel=1e-5)


def test_contrast_wants_partners_near_and_others_far():
    one, other = torch.zeros(8), torch.ones(8)
    apart, alike = torch.stack([one, other]), torch.stack([one, one])
    near = contrast(apart, apart, 0.3).item()
    assert near < contrast(alike, alike, 0.3).item() < contrast(apart, apart.flip(0), 0.3).item()
    assert contrast(alike, alike, 0.3).item() == pytest.approx(np.log(2))


def test_independence_is_the_mean_squared_correlation_of_two_bits():
    code = torch.rand(40, 7, dtype=torch.float64)
    correlations = np.corrcoef(code.numpy(), rowvar=False)
    expected = np.square(correlations[~np.eye(7, dtype=bool)]).mean()
    assert independence(code).item() == pytest.approx(expected, rel=5e-3)


def test_independence_is_least_where_bits_share_nothing():
    every = torch.tensor([[a, b, c] for a in (0.0, 1.0) for b in (0.0, 1.0) for c in (0.0, 1.0)])
    assert independence(every).item() == pytest.approx(0.0, abs=1e-6)
    same = every[:, :1].repeat(1, 3)
    assert independence(same).item() == pytest.approx(1.0, rel=2e-3)
    assert independence(1.0 - same).item() == pytest.approx(1.0, rel=2e-3)
    assert independence(torch.full((8, 3), 0.5)).item() == 0.0
    assert independence(torch.rand(8, 1)).item() == 0.0


def test_balance_is_the_mean_squared_mean_of_the_bits():
    code = torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 0.5]])
    assert balance(code).item() == pytest.approx((0.0 + 1.0 + 0.25) / 3)


def test_each_objective_refuses_the_other_layout():
    points, rows = grouped_points(5)[0], grouped_words(5)[0]
    with pytest.raises(TypeError, match="sparse"):
        WordsTarget(None, None, Seen(points), CPU)
    with pytest.raises(TypeError, match="dense"):
        SquaredTarget(None, None, Seen(rows), CPU)


@pytest.mark.parametrize(("n", "size"), [(2, 256), (10, 4), (257, 256), (1000, 256), (7, 7)])
def test_an_epoch_takes_each_row_once_in_batches_not_below_the_size(n, size):
    batches = epoch_batches(n, size, rng())
    assert sorted(np.concatenate(batches)) == list(range(n))
    assert min(map(len, batches)) >= min(n, size)


def test_masking_zeroes_its_share_and_keeps_the_mean():
    masked = mask(torch.ones(200, 100), 0.3, torch.Generator().manual_seed(0))
    assert (masked == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert masked.mean().item() == pytest.approx(1.0, abs=0.02)


def test_gaussian_corruption_has_its_deviation():
    noisy = add_gaussian(torch.zeros(200, 100), 0.5, torch.Generator().manual_seed(0))
    assert noisy.std().item() == pytest.approx(0.5, abs=0.02)


def test_sparse_and_dense_batches_hold_the_same_rows():
    rows, _ = grouped_words(9)
    batch = Batches(rows, 2.0, CPU).batch(np.array([5, 1]))
    lengths = batch.offsets.diff()
    dense = torch.zeros(2, rows.n_features)
    dense[torch.arange(2).repeat_interleave(lengths), batch.indices] = batch.values
    assert dense.numpy() == pytest.approx(2.0 * rows.to_dense()[[5, 1]])
