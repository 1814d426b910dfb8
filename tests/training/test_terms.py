"""Terms of fine-tuning that a recipe gives weight: they do what they are for."""

import numpy as np
import pytest
import torch

from indexer.training import TrainingOptions, train
from indexer.training.neighbours.neighbourhoods import Neighbourhoods
from indexer.training.objectives import (
    CodedBatch,
    Mixture,
    NeighboursTerm,
    balance,
    independence,
    neighbours_contrast,
)
from indexer.training.parts import Balance, Independence, Neighbours
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


def test_two_items_are_near_if_either_is_a_neighbour_of_the_other():
    members = np.array([[1], [4], [3], [4], [0]], np.int32)
    mixture = Mixture(Neighbourhoods(members, 1), 0.8, 1, np.random.default_rng(0))
    rows = np.array([4, 2, 0, 1])
    pairs = {(4, 0), (0, 1), (1, 4)}  # 2 and 4 have only 3 in common, which is not there
    expected = [[a == b or (a, b) in pairs or (b, a) in pairs for b in rows] for a in rows]
    assert mixture.are_near(rows).tolist() == expected
    assert Mixture(None, 0.0, 1, mixture.rng).are_near(rows).tolist() == np.eye(4).tolist()


def test_the_contrast_of_neighbours_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    code, keys = (torch.from_numpy(rng.random((5, 8))) for _ in range(2))
    is_near = np.eye(5, dtype=bool)
    is_near[0, 1] = is_near[1, 0] = is_near[0, 3] = True
    scores = ((2 * code - 1) @ (2 * keys - 1).T / (8 * 0.3)).numpy()
    loss = 0.0
    for row in (0, 1):  # the others have no neighbour in the batch
        chances = np.exp(scores[row]) / np.exp(scores[row]).sum()
        loss -= np.log(chances[is_near[row]]).mean() / 5
    found = neighbours_contrast(code, keys, torch.from_numpy(is_near), 0.3)
    assert found.item() == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    ("n_bits", "share"), [(8, 1.0), (16, 1.0), (24, 0.5), (32, 0.0), (128, 0.0)]
)
def test_the_contrast_of_neighbours_of_images_is_for_short_codes(n_bits, share):
    members = np.array([[1], [0], [3], [2]], np.int32)
    mixture = Mixture(Neighbourhoods(members, 1), 0.8, 1, np.random.default_rng(0))
    code = torch.from_numpy(np.random.default_rng(1).random((4, n_bits)))
    coded = []

    def encode(rows):
        coded.append(rows)
        return code[rows]

    batch = CodedBatch(np.arange(4), code, mixture, encode)
    whole = NeighboursTerm(Neighbours(0.2))(batch).item()
    coded.clear()
    found = NeighboursTerm(Neighbours(0.2, short_only=True))(batch).item()
    assert whole > 0.0
    assert found == pytest.approx(share * whole)
    assert len(coded) == (share > 0)  # no second pass for nothing
