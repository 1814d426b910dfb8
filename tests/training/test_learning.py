"""From payloads to features: in blocks, which give what all at once give."""

import numpy as np
import pytest

from hashret.features.image import ImageFeaturizer
from hashret.features.text import TextFeaturizer
from hashret.features.vector import VectorFeaturizer
from hashret.sparse import SparseRows
from indexer.ingest.fit import fit_features
from indexer.ingest.prepare import Preparer
from tests.corpora import clustered_vectors, topic_items


def pictures():
    return list(np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), np.uint8))


@pytest.mark.parametrize(
    ("kind", "featurizer_class", "payloads"),
    [
        ("text", TextFeaturizer, [item.payload for item in topic_items(40)]),
        ("vector", VectorFeaturizer, list(clustered_vectors(40))),
        ("image", ImageFeaturizer, pictures()),
    ],
)
def test_features_are_made_in_blocks_and_are_the_same(
    kind, featurizer_class, payloads, monkeypatch
):
    sizes = []
    at_once = featurizer_class.transform

    def recorded(self, prepared):
        sizes.append(len(prepared))
        return at_once(self, prepared)

    monkeypatch.setattr(featurizer_class, "transform", recorded)
    monkeypatch.setattr("indexer.ingest.fit._BLOCK", 7)
    preparer = Preparer(kind)
    featurizer, found = fit_features(payloads, kind, None, preparer)
    prepared = preparer.prepare(payloads, featurizer.spec)
    preparer.close()
    assert len(prepared) == 40
    assert max(sizes) == 7
    expected = at_once(featurizer, prepared)
    if isinstance(expected, SparseRows):
        for name in ("indptr", "indices", "values"):
            mine, theirs = getattr(found, name), getattr(expected, name)
            assert mine.dtype == theirs.dtype
            assert np.array_equal(mine, theirs)
    else:
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
