"""Terms of fine-tuning that a recipe gives weight: they do what they are for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from indexer.training.batches import TrainingItems
from indexer.training.finetune import Unrolled
from indexer.training.neighbours.neighbourhoods import Neighbourhoods
from indexer.training.networks.dense import dense_autoencoder
from indexer.training.objectives import Squared, balance, independence
from indexer.training.options import TrainingOptions
from indexer.training.presets import PRESETS
from indexer.training.trainer import Course
from tests.training.corpora import grouped_points


@pytest.mark.parametrize(
    ("term", "measure"),
    [("independence_weight", independence), ("balance_weight", balance)],
)
def test_a_term_with_weight_makes_the_codes_better_at_it(term, measure):
    points, _ = grouped_points(200)

    def of(weight: float) -> float:
        chosen = replace(
            PRESETS["dense"]["vector"], hidden=(16,), noise=(0.1, 0.1), **{term: weight}
        ).fitted(len(points), TrainingOptions(8, epochs=40))
        course = Course(points, TrainingOptions(8), chosen, None)
        encoder, _ = course.finish(8)
        logits = encoder.logits(points)
        return measure(torch.sigmoid(16.0 * torch.from_numpy(logits))).item()

    assert of(10.0) < 0.7 * of(0.0)


def test_partners_are_neighbours_items_themselves_or_either():
    points, _ = grouped_points(60)
    items = TrainingItems(points, 1.0, torch.device("cpu"))
    near = Neighbourhoods(np.roll(np.arange(60, dtype=np.int32), -1)[:, None], 1)
    rows = np.arange(60)

    def partners(share: float, known: Neighbourhoods | None) -> np.ndarray:
        chosen = replace(PRESETS["dense"]["vector"], agreement_share=share)
        network = dense_autoencoder(points.shape[1], (8,), 8, torch.Generator())
        whole = Unrolled(
            network,
            items,
            Squared(items, 0.5, 1, np.random.default_rng(0)),
            known,
            chosen,
            torch.Generator(),
            np.random.default_rng(0),
        )
        return whole._partners(rows)

    assert (partners(0.0, near) == (rows + 1) % 60).all()
    assert (partners(1.0, near) == rows).all()
    assert (partners(0.0, None) == rows).all()
    mixed = partners(0.5, near)
    own = mixed == rows
    assert 15 < own.sum() < 45
    assert (mixed[~own] == ((rows + 1) % 60)[~own]).all()
