"""The map of a collection: who is on it, where, and by what."""

from contextlib import nullcontext

import numpy as np
import pytest

from hashret import Collection, Item
from hashret.codes import Codes, hamming
from hashret.errors import CollectionError, EmptyCommitWarning, InputError
from hashret.insight.code_map import lay_out, places_beside, real_valued_codes, values_of
from indexer import Indexer, TrainingOptions
from tests.corpora import clustered_vectors, series, topic_items
from tests.insight.conftest import OPTIONS
from tests.training.recipes import change_all


def made(path, kind, items, options=OPTIONS, **how):
    with pytest.MonkeyPatch.context() as patch, Indexer(path, kind, **how) as indexer:
        if kind == "sequence":
            change_all(patch, least_steps=2, epochs=1, pretrain_epochs=1)
        indexer.fit(items, options)
        indexer.add(items)
        indexer.commit()
    return Collection.open(path)


def test_all_items_with_a_code_are_on_the_map_and_the_same_seed_draws_it_again(topics):
    first, again, other = (lay_out(topics, seed=seed) for seed in (0, 0, 1))
    assert len(first) == len(topics.codes) == len(topics) - 2
    assert first.positions.tolist() == list(range(120))
    assert first.laid_out.all()
    assert first.real_valued
    assert first.places.min() >= 0
    assert first.places.max() <= 1
    assert np.array_equal(first.places, again.places)
    assert not np.array_equal(first.places, other.places)


def test_items_of_a_topic_lie_together(topics):
    places = lay_out(topics).places
    topic = np.array(topics.column("topic"))
    apart = np.square(places[:, None] - places).sum(axis=2) + 9 * np.eye(len(places))
    nearest = np.argsort(apart, axis=1)[:, :5]
    assert (topic[nearest] == topic[:, None]).mean() > 0.9


def test_a_sample_is_shown_and_laid_out(topics):
    found = lay_out(topics, n_laid_out=30, n_shown=90)
    assert len(found) == 90
    assert found.laid_out.sum() == 30
    assert (np.diff(found.positions) > 0).all()
    assert len(lay_out(topics, n_laid_out=30, n_shown=None)) == 120


def test_items_that_are_not_laid_out_land_beside_a_neighbour(topics):
    found = lay_out(topics, n_laid_out=60)
    codes = topics.codes[found.positions]
    laid_out, others = codes[found.laid_out], codes[~found.laid_out]
    apart = hamming(others, laid_out)
    tenth = np.sort(apart, axis=1)[:, 9, None]
    steps = np.sqrt(
        np.square(found.places[~found.laid_out][:, None] - found.places[found.laid_out]).sum(axis=2)
    )
    to_near = np.where(apart <= tenth, steps, np.inf).min(axis=1)
    assert to_near.max() <= 0.5 / np.sqrt(60) + 1e-9
    topic = np.array(topics.column("topic"))
    beside = topic[found.laid_out][steps.argmin(axis=1)]
    assert (beside == topic[~found.laid_out]).mean() > 0.9


def test_a_place_is_beside_one_neighbour_never_between_two():
    rng = np.random.default_rng(0)
    laid_out = Codes.pack(np.zeros((6, 8), bool))  # all tie, in two clusters
    places = np.array([[0, 0], [0, 0.01], [0.01, 0], [0.01, 0.01], [9, 9], [9, 9.01]])
    found = places_beside(Codes.pack(np.zeros((50, 8), bool)), laid_out, places, rng)
    assert np.abs(found).max() <= 0.01 + 0.5 * 9.01 / np.sqrt(6)
    assert len(np.unique(found, axis=0)) == 50


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_collection_of_few_items_has_a_map(tmp_path, n):
    with Indexer(tmp_path / "c", "text") as indexer:
        indexer.fit(topic_items(), OPTIONS)
        indexer.add(topic_items(n))
        with nullcontext() if n else pytest.warns(EmptyCommitWarning):
            indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        found = lay_out(collection)
        assert found.places.shape == (n, 2)
        assert np.isfinite(found.places).all()
        if n == 1:
            assert found.places.tolist() == [[0.5, 0.5]]


def test_without_a_model_there_is_no_map(tmp_path):
    with Indexer(tmp_path / "c", "text") as indexer:
        indexer.add(topic_items(3))
        indexer.commit()
    with (
        Collection.open(tmp_path / "c") as collection,
        pytest.raises(CollectionError, match="model"),
    ):
        lay_out(collection)


IMAGES = [
    Item(str(i), np.random.default_rng(i).integers(0, 255, (16, 16), np.uint8)) for i in range(14)
]
TEXTS = topic_items(60)
VECTORS = [Item(str(i), vector) for i, vector in enumerate(clustered_vectors(40))]
SEQUENCES = [Item(str(i), one) for i, one in enumerate(series(40))]
TO_LEARN = TrainingOptions(n_bits=16)


@pytest.mark.parametrize(
    ("kind", "items", "options", "stored", "real_valued"),
    [
        ("text", TEXTS, OPTIONS, {}, True),
        ("text", TEXTS, OPTIONS, {"store_features": False}, True),
        ("text", TEXTS, OPTIONS, {"store_features": False, "store_text": False}, False),
        ("image", IMAGES, OPTIONS, {}, False),
        ("image", IMAGES, OPTIONS, {"store_images": True}, True),
        ("sequence", SEQUENCES, TO_LEARN, {}, True),
        ("sequence", SEQUENCES, TO_LEARN, {"store_features": False}, False),
        ("vector", VECTORS, TO_LEARN, {}, False),
        ("vector", VECTORS, TO_LEARN, {"store_features": True}, True),
    ],
)
def test_codes_are_real_valued_where_what_is_stored_allows_it(
    tmp_path, kind, items, options, stored, real_valued
):
    with made(tmp_path / "c", kind, items, options, **stored) as collection:
        positions = np.arange(len(collection.codes))
        values, found = real_valued_codes(collection.snapshot, positions)
        assert found == real_valued
        assert np.array_equal(values > 0, collection.codes.bits)
        assert (np.abs(values) < 1).any() == real_valued
        assert lay_out(collection).real_valued == real_valued


@pytest.mark.parametrize("first_kept", [False, True])
def test_items_of_which_nothing_is_kept_have_their_bits(tmp_path, first_kept):
    options = {"store_features": False}
    made(tmp_path / "c", "text", TEXTS[:30], store_text=first_kept, **options).close()
    with Indexer(tmp_path / "c", store_text=not first_kept, **options) as indexer:
        indexer.add(TEXTS[30:])
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        values, real_valued = real_valued_codes(collection.snapshot, np.arange(60))
    kept = (np.abs(values) < 1).any(axis=1)
    assert kept.tolist() == [first_kept] * 30 + [not first_kept] * 30
    assert not real_valued


def test_values_are_those_of_the_items_asked_for(tmp_path):
    items = [
        Item(f"i{i}", text.payload, {"tags": ["a", i], "n": i} if i % 2 else {})
        for i, text in enumerate(topic_items(20))
    ]
    with made(tmp_path / "c", "text", items) as collection:
        every = collection.column("n")
        positions = np.array([3, 4, 11])
        assert values_of(collection, "n", positions) == [every[3], every[4], every[11]]
        assert set(values_of(collection, "tags", np.arange(20))) >= {None, '["a", 1]'}
        with pytest.raises(InputError, match="'m', which none has"):
            values_of(collection, "m", positions)
