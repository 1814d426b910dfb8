"""Nothing in, nothing out: a collection from which all was removed, and questions about nothing."""

import numpy as np
import pytest

from hashret import Collection
from hashret.codes import Codes
from hashret.errors import CollectionError, HashretError
from indexer import Indexer
from tests.torture.bases import KINDS, items_of, make


@pytest.fixture(scope="module", params=KINDS)
def emptied(request, tmp_path_factory):
    """An open collection without an item, and a payload of its kind."""
    path = make(tmp_path_factory.mktemp("emptied") / "c", request.param, 24)
    items = items_of(request.param, 24)
    with Indexer(path) as indexer:
        indexer.remove([item.id for item in items])
        indexer.commit()
    with Collection.open(path) as collection:
        yield collection, items[0].payload


@pytest.mark.parametrize(
    "how", [{}, {"rerank": 10}, {"where": "n < 3"}, {"group": "n"}, {"asymmetric": True}]
)
def test_of_no_items_none_is_a_hit(emptied, how):
    collection, payload = emptied
    assert len(collection.query(payload, **how)) == 0
    assert [len(hits) for hits in collection.query([payload] * 2, **how)] == [0, 0]
    assert collection.query([], **how) == []


def test_nothing_is_decoded_encoded_or_compared(emptied):
    collection, payload = emptied
    coder = collection.coder
    assert len(collection.decode(Codes(np.empty((0, collection.n_bits // 8), np.uint8)))) == 0
    assert len(coder.encode([]).codes) == 0
    features = coder.features([])[0]
    assert coder.encoder.logits(features).shape == (0, collection.n_bits)
    assert coder.kept(features).shape == (0, coder.n_kept)
    kept = coder.kept(coder.features([coder.prepare(payload)])[0])
    assert coder.featurizer.similarities(kept, coder.kept(features)).shape == (0,)
    assert collection.features(np.empty(0, np.int64)).shape[0] == 0
    assert collection.search_rows([payload]).positions.shape == (0,)


def test_what_needs_items_says_so(emptied):
    collection, _ = emptied
    for ask in (lambda: collection.generate(2), collection.outliers):
        with pytest.raises(HashretError, match=r"expected .*items"):
            ask()


def test_only_of_texts_words_are_asked(emptied):
    collection, _ = emptied
    if collection.kind == "text":
        assert collection.spelling("ship").instead == ""
    else:
        with pytest.raises(CollectionError, match="expected texts, whose words"):
            collection.spelling("ship")


def test_exports_of_nothing_are_files(emptied, tmp_path):
    collection, _ = emptied
    for suffix in (".jsonl", ".parquet", ".npz"):
        assert collection.export(tmp_path / f"e{suffix}") == 0
        assert (tmp_path / f"e{suffix}").exists()
