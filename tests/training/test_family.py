"""Every preset of every kind: it trains, repeats, and ends in an exact encoder."""

import numpy as np
import pytest
import torch

from hashret.errors import UnknownKindError
from hashret.sparse import take_rows
from indexer.training import TrainingOptions, train
from indexer.training.corruption import outside_span
from indexer.training.options import AS_GIVEN
from indexer.training.presets import PRESETS, preset_for
from tests.training.corpora import as_taken, grouped_points, grouped_words, stripes
from tests.training.recipes import change_all

CORPORA = {
    "text": (lambda: grouped_words(60)[0], None),
    "image": (lambda: stripes(40)[0], (16, 16, 1)),
    "vector": (lambda: grouped_points(60)[0], None),
    "sequence": (lambda: grouped_words(60)[0], None),
}
LEARNED = [
    (kind, preset) for kind, rows in PRESETS.items() for preset in rows if preset != AS_GIVEN
]


@pytest.mark.parametrize(("kind", "preset"), LEARNED)
def test_every_preset_trains_repeats_and_is_exact(kind, preset, monkeypatch):
    change_all(monkeypatch, hidden=(12,), filters=(3,), least_steps=6, epochs=1, pretrain_epochs=1)
    corpus, shape = CORPORA[kind]
    features, ordering = as_taken(corpus(), kind, preset)
    options = TrainingOptions(n_bits=16, seed=2, device="cpu", preset=preset)
    first, again = (
        train(features, kind, options, shape=shape, ordering=ordering)[0] for _ in range(2)
    )
    codes = first.encode(features).packed
    assert np.array_equal(codes, again.encode(features).packed)
    for row in (0, 7, 39):
        alone = take_rows(features, np.array([row]))
        assert np.array_equal(first.encode(alone).packed[0], codes[row])
        assert np.array_equal(first.logits(alone)[0], first.logits(features)[row])


@pytest.mark.parametrize(
    ("kind", "preset"), [("text", "towers"), ("vector", "conv"), ("image", "quick")]
)
def test_a_preset_that_a_kind_has_not_is_refused_with_those_that_it_has(kind, preset):
    with pytest.raises(UnknownKindError) as refused:
        preset_for(kind, preset)
    assert f"preset: expected one of {', '.join(sorted(PRESETS[kind]))} for" in str(refused.value)
    assert f"got {preset!r}; choose one of these" in str(refused.value)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_a_dropped_span_is_one_run_of_its_share_and_anywhere(share):
    lengths = np.array([40, 1, 7, 0, 40])
    generator = torch.Generator().manual_seed(0)
    sizes, began = [], []
    for _ in range(300):
        kept = outside_span(lengths, share, generator)
        assert kept.shape == (88,)
        for item in torch.split(kept, lengths.tolist()):
            dropped = np.flatnonzero(~item.numpy())
            assert len(dropped) <= max(0, len(item) - 1)  # a step stays
            if len(dropped):
                assert np.array_equal(dropped, np.arange(dropped[0], dropped[-1] + 1))
        last = np.flatnonzero(~kept[-40:].numpy())
        sizes.append(len(last))
        began += last[:1].tolist()
    assert np.mean(sizes) == pytest.approx(min(39, 40 * share), abs=0.5)
    if 0 < share < 1:
        assert min(began) == 0
        assert max(began) == 40 - max(sizes)


def test_short_items_lose_their_share_on_average():
    generator = torch.Generator().manual_seed(0)
    kept = outside_span(np.full(4000, 3), 0.25, generator)
    assert (~kept).float().mean().item() == pytest.approx(0.25, abs=0.02)
