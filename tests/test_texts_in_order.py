"""Texts whose codes are made of words in order: all else about them works on their bags of words."""

import os
import subprocess
import sys

import numpy as np
import pytest

from hashret import Collection
from hashret.errors import CollectionError, InputError, TrainingError
from hashret.insight.duplicates import duplicates
from hashret.insight.pairs import distances
from hashret.items import Item
from hashret.rank import similarities
from hashret.specs import TextSpec
from indexer import Indexer
from indexer.training import TrainingOptions
from indexer.tuning import tune
from tests.corpora import topic_items
from tests.training.recipes import change_all

PRESETS = ("recursive", "recurrent")
ITEMS = [
    *topic_items(60),
    Item("order-1", "harbour ship sail orbit rocket"),
    Item("order-2", "orbit rocket sail ship harbour"),
]


@pytest.fixture(autouse=True)
def little_training(monkeypatch):
    change_all(monkeypatch, least_steps=2, epochs=1, pretrain_epochs=1, pair_steps=2)


def options(preset):
    return TrainingOptions(n_bits=64, preset=preset, device="cpu")


def indexed(path, preset, items=ITEMS, spec=None, **keep):
    with Indexer(path, "text", **keep) as indexer:
        indexer.fit(items, options(preset), spec=spec)
        indexer.add(items)
        indexer.commit()
    return path


@pytest.fixture(scope="module", params=PRESETS)
def path(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, least_steps=2, epochs=1, pretrain_epochs=1, pair_steps=2)
        return indexed(tmp_path_factory.mktemp("order") / "c", request.param)


@pytest.fixture
def collection(path):
    with Collection.open(path) as collection:
        yield collection


def test_a_stored_text_as_a_query_has_its_stored_code(collection):
    items = {item.id: item for item in collection.items()}
    for one in ITEMS:
        found = collection.coder.encode([one.payload])
        assert found.codes.hex(0) == items[one.id].code


def test_texts_of_the_same_words_have_different_codes(collection):
    one, other = (collection.coder.encode([item.payload]) for item in ITEMS[-2:])
    bags = [collection.coder.kept(found.features).to_dense() for found in (one, other)]
    assert np.array_equal(*bags)
    assert one.codes.hex(0) != other.codes.hex(0)


def test_a_shortlist_is_ranked_by_the_cosine_of_bags(collection):
    n_words = len(collection.coder.featurizer.vocabulary)
    stored = collection.features(np.arange(len(collection.codes)))
    assert (
        stored.n_features
        == n_words
        == collection.coder.featurizer.n_features - 256
        == collection.coder.n_kept
    )
    query = ITEMS[5].payload
    hits = collection.query(query, k=5, rerank=len(ITEMS), rerank_by="features")
    cosines = similarities(collection.coder.kept(collection.coder.encode([query]).features), stored)
    best = np.sort(cosines)[::-1][:5]
    assert [hit.similarity for hit in hits] == pytest.approx(best.tolist())
    assert hits[0].id == ITEMS[5].id
    assert distances(collection).by_features
    assert duplicates(collection, radius=64) is not None


def test_workers_encode_as_one_process_does(tmp_path):
    alone = [indexed(tmp_path / str(n), "recursive", workers=n) for n in (1, 2)]
    codes = []
    for one in alone:
        with Collection.open(one) as found:
            codes.append([(item.id, item.code) for item in found.items()])
    assert codes[0] == codes[1]


def test_another_model_is_learned_from_texts_and_not_from_bags(tmp_path):
    path = indexed(tmp_path / "c", "recursive")
    with Indexer(path) as indexer:
        indexer.fit(options=options("dense"))
        indexer.commit()
    with Collection.open(path) as found:
        assert found.coder.featurizer.spec.in_order == 0
        assert len(found) == len(ITEMS)
    with Indexer(path) as indexer:
        indexer.fit(options=options("recurrent"))
        indexer.commit()
    with Collection.open(path) as found:
        assert found.coder.featurizer.spec.in_order == 256
        assert len(found.query(ITEMS[0].payload, k=3)) == 3
    without = indexed(tmp_path / "without", "recursive", store_text=False)
    with Indexer(without) as indexer, pytest.raises(CollectionError, match="give the source again"):
        indexer.fit(options=options("recursive"))
    bags = indexed(tmp_path / "bags", "dense", store_text=False)
    with Indexer(bags) as indexer, pytest.raises(TrainingError, match="expected steps in order"):
        indexer.fit(options=options("recursive"))


def test_how_many_words_are_in_order_can_be_chosen_where_there_are_some(tmp_path):
    path = indexed(tmp_path / "c", "recursive", spec=TextSpec(in_order=3))
    with Collection.open(path) as found:
        assert found.coder.featurizer.spec.in_order == 3
    with (
        Indexer(tmp_path / "d", "text") as indexer,
        pytest.raises(InputError, match="in_order 0 with a preset that takes bags"),
    ):
        indexer.fit(ITEMS, options("dense"), spec=TextSpec(in_order=3))


def test_words_in_order_have_no_halves_to_tune_by():
    with pytest.raises(InputError, match="takes bags of words, got 'recursive'"):
        tune(ITEMS, "text", preset="recursive")


def test_a_cold_query_loads_nothing_heavy(path):
    script = (
        "import sys\n"
        "from indexer.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'faiss', 'PIL', 'rich'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "query", str(path), "ship and harbour", "--codes-only"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    assert done.stderr.splitlines()[-1] == "[]"
    assert "-0" in done.stdout
