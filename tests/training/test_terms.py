"""Terms of fine-tuning that a recipe gives weight: they do what they are for."""

import numpy as np
import pytest
import torch

from indexer.training import TrainingOptions, train
from indexer.training.neighbours.neighbourhoods import Neighbourhoods
from indexer.training.objectives import Mixture, balance, independence
from indexer.training.presets import Balance, Independence
from tests.training.corpora import grouped_points
from tests.training.recipes import change


@pytest.mark.parametrize(("term", "measure"), [(Independence, independence), (Balance, balance)])
def test_a_term_with_weight_makes_the_codes_better_at_it(term, measure, monkeypatch):
    points, _ = grouped_points(200)

    def of(weight: float) -> float:
        settings = {"hidden": (16,), "noise": (0.1, 0.1), "terms": (term(weight),)}
        with monkeypatch.context() as patch:
            change(patch, "vector", "dense", **settings)
            options = TrainingOptions(8, preset="dense", epochs=40, device="cpu")
            encoder, _ = train(points, "vector", options)
        return measure(torch.sigmoid(16.0 * torch.from_numpy(encoder.logits(points)))).item()

    assert of(10.0) < 0.7 * of(0.0)


def test_partners_are_neighbours_items_themselves_or_either():
    near = Neighbourhoods(np.roll(np.arange(60, dtype=np.int32), -1)[:, None], 1)
    rows = np.arange(60)

    def partners(own_share: float, known: Neighbourhoods | None) -> np.ndarray:
        return Mixture(known, 0.5, 1, np.random.default_rng(0)).partners(rows, own_share)

    assert (partners(0.0, near) == (rows + 1) % 60).all()
    assert (partners(1.0, near) == rows).all()
    assert (partners(0.0, None) == rows).all()
    mixed = partners(0.5, near)
    own = mixed == rows
    assert 15 < own.sum() < 45
    assert (mixed[~own] == ((rows + 1) % 60)[~own]).all()
