"""From payloads to features: in blocks, which give what all at once give."""

import numpy as np
import pytest

from hashret.codes import Codes
from hashret.features.image import ImageFeaturizer
from hashret.features.texts.featurizer import TextFeaturizer
from hashret.features.vector import VectorFeaturizer
from hashret.sparse import SparseRows
from hashret.specs import ImageSpec
from indexer.ingest.fit import fit_features
from indexer.ingest.prepare import Preparer
from indexer.training.report import code_warnings, flat_warnings
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
    featurizer, found, rows = fit_features(payloads, kind, None, preparer)
    prepared = preparer.prepare(payloads, featurizer.spec)
    preparer.close()
    assert len(prepared) == 40
    assert max(sizes) == 7
    assert rows.tolist() == list(range(40))
    expected = at_once(featurizer, prepared)
    if isinstance(expected, SparseRows):
        for name in ("indptr", "indices", "values"):
            mine, theirs = getattr(found, name), getattr(expected, name)
            assert mine.dtype == theirs.dtype
            assert np.array_equal(mine, theirs)
    else:
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_most_items_alike_are_told_of():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (200, 16)).astype(bool)
    assert not [one for one in code_warnings(Codes.pack(bits), 200) if "one and the same" in one]
    bits[:110] = bits[0]
    told = code_warnings(Codes.pack(bits), 200)
    assert [one for one in told if "110 of 200 items have one and the same code" in one]


def test_images_that_are_nearly_constant_are_told_of():
    rng = np.random.default_rng(0)
    bright = [rng.integers(0, 65536, (8, 8), np.uint16) for _ in range(30)]
    dark = [one >> 4 for one in bright]  # 12 bits beside 16
    spec = ImageSpec(height=8, width=8, channels=1)

    def told(payloads):
        featurizer, features, _ = fit_features(payloads, "image", spec, Preparer("image"))
        return flat_warnings(featurizer.spans(features))

    assert told(bright) == told(dark) == []  # the corpus says what is white
    assert "20 of 50 are nearly constant" in told([*bright, *dark[:20]])[0]
