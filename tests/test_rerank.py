"""A shortlist ordered again by the features that the collection keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashret import Collection, specs
from hashret.errors import CollectionError, DamagedError
from hashret.items import Item
from hashret.rank import similarities
from hashret.snapshot import Snapshot
from hashret.specs import VectorSpec
from indexer import Indexer, TrainingOptions
from tests.corpora import clustered_vectors, topic_items
from tests.models.encoders import as_sparse
from tests.shortlist import shortlisted

OPTIONS = TrainingOptions(n_bits=8, seed=0, device="cpu", epochs=2)


def filled(path, kind, items, **options):
    with Indexer(path, kind, **options) as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items[: len(items) // 2])
        indexer.commit()
        indexer.add(items[len(items) // 2 :])
        indexer.commit()
    return path


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("texts") / "c", "text", topic_items(60))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 8), width=st.integers(1, 6), seed=st.integers(0, 999))
def test_similarities_are_the_cosine_and_minus_the_distance(n, width, seed):
    rng = np.random.default_rng(seed)
    dense = rng.random((n, width)).astype(np.float32) * (rng.random((n, width)) < 0.6)
    query = rng.random((1, width)).astype(np.float32)
    found = similarities(as_sparse(query), as_sparse(dense))
    assert np.allclose(found, dense.astype(float) @ query[0])
    found = similarities(query, dense)
    assert np.allclose(found, -np.linalg.norm(dense.astype(float) - query, axis=1))
    with pytest.raises(TypeError, match="for sparse items, got a dense array"):
        similarities(query, as_sparse(dense))


def test_the_shortlist_is_the_best_by_score_of_the_nearest_and_its_order_that_of_the_features(
    texts,
):
    items = topic_items(60)
    with Collection.open(texts) as collection:
        chosen_by_distance = 0
        for item in items[:12]:
            by_codes = collection.query(item.payload, k=60, rerank=0)
            how = {"rerank_by": "features"}
            for n in (5, 12, 20, 40):
                found = {hit.id for hit in collection.query(item.payload, k=n, rerank=n, **how)}
                assert found == {hit.id for hit in shortlisted(by_codes, n)}
                chosen_by_distance += found == {hit.id for hit in by_codes[:n]}
            hits = collection.query(item.payload, k=5, rerank=20, **how)
            assert {hit.id for hit in hits} <= {hit.id for hit in shortlisted(by_codes, 20)}
            assert hits[0].id == item.id
            assert hits[0].similarity == pytest.approx(1.0, abs=1e-6)
            alike = [
                hit.similarity for hit in collection.query(item.payload, k=20, rerank=20, **how)
            ]
            assert alike == sorted(alike, reverse=True)
            assert [hit.similarity for hit in hits] == alike[:5]
            everything = collection.query(item.payload, k=60, rerank=60, **how)
            featurizer = collection.coder.featurizer
            rows = featurizer.transform([item.payload for item in items]).to_dense()
            query = featurizer.transform([item.payload]).to_dense()[0]
            by_id = dict(zip([item.id for item in items], rows @ query, strict=True))
            for hit in everything:
                assert hit.similarity == pytest.approx(by_id[hit.id], abs=1e-6)
        assert chosen_by_distance < 48, "no case tells the score from the distance"


def test_a_stored_item_can_ask_too_and_is_not_its_own_hit(texts):
    with Collection.open(texts) as collection:
        hits = collection.similar("sea-000", k=4, rerank=30)
        assert len(hits) == 4
        assert "sea-000" not in {hit.id for hit in hits}
        itself = collection.similar("sea-000", k=4, rerank=30, include_self=True)
        assert itself[0].id == "sea-000"


def test_vectors_keep_features_when_told_and_then_rank_by_distance(tmp_path):
    vectors = clustered_vectors(80)
    items = [Item(str(i), vector) for i, vector in enumerate(vectors)]
    with Collection.open(filled(tmp_path / "without", "vector", items)) as collection:
        assert not collection.has_features
        with pytest.raises(CollectionError, match="--store-features"):
            collection.query(vectors[0], k=3, rerank=10)
    path = filled(tmp_path / "with", "vector", items, store_features=True)
    with Collection.open(path) as collection:
        assert collection.has_features
        hits = collection.query(vectors[3], k=80, rerank=80)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        nearest = {str(i) for i in np.argsort(-(unit @ unit[3]))[:10]}
        euclid = {str(i) for i in np.argsort(np.linalg.norm(vectors - vectors[3], axis=1))[:10]}
        assert {hit.id for hit in hits[:10]} in (nearest, euclid)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("asymmetric", [False, True])
def test_a_shortlist_of_vectors_is_ordered_as_their_floats_say(tmp_path, metric, asymmetric):
    rng = np.random.default_rng(0)
    vectors = clustered_vectors(80) * rng.uniform(0.2, 5, (80, 1)).astype(np.float32)
    items = [Item(str(i), vector) for i, vector in enumerate(vectors)]
    with Indexer(tmp_path / "c", "vector", store_features=True) as indexer:
        indexer.fit(items, OPTIONS, spec=VectorSpec(metric=metric))
        indexer.add(items)
        indexer.commit()
    asked = vectors[:5] + 0.1
    exact = {
        "cosine": (asked @ vectors.T)
        / np.outer(np.linalg.norm(asked, axis=1), np.linalg.norm(vectors, axis=1)),
        "euclidean": -np.linalg.norm(asked[:, None] - vectors[None], axis=2),
    }[metric]
    with Collection.open(tmp_path / "c") as collection:
        of_all = collection.query(asked, k=80, asymmetric=asymmetric)
        answers = collection.query(asked, k=10, rerank=30, asymmetric=asymmetric)
    for by_code, hits, row in zip(of_all, answers, exact, strict=True):
        shortlist = by_code[:30] if asymmetric else shortlisted(by_code, 30)
        best = sorted((int(hit.id) for hit in shortlist), key=lambda i: -row[i])[:10]
        assert [int(hit.id) for hit in hits] == best
        np.testing.assert_allclose([hit.similarity for hit in hits], row[best], atol=1e-4)
        assert {hit.id for hit in hits} != {hit.id for hit in by_code[:10]}


def few_codes(n=60):
    """Pictures that come in near copies, coloured, so that many share a code of 8 bits."""
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 256, (n // 3, 4, 4, 3))
    large = np.kron(np.repeat(coarse, 3, axis=0), np.ones((1, 4, 4, 1)))
    return [np.clip(one + rng.normal(0, 4, one.shape), 0, 255).astype(np.uint8) for one in large]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    items = [Item(f"{i:02}", one) for i, one in enumerate(few_codes())]
    options = TrainingOptions(n_bits=8, seed=0, preset="patches", epochs=1, rounds=1)
    with Indexer(tmp_path_factory.mktemp("images") / "c", "image") as indexer:
        indexer.fit(items, options)
        for part in (items[:40], items[40:]):
            indexer.add(part)
            indexer.commit()
        indexer.compact()
        return indexer._layout.root


def test_of_images_the_picture_itself_is_first_and_features_decide_within_a_bucket(images):
    pictures = few_codes()
    with Collection.open(images) as collection:
        assert collection.codes.n_distinct() < 30
        assert collection.has_features
        for i, picture in enumerate(pictures):
            own = f"{i:02}"
            for hits in (
                collection.query(picture, k=3),
                collection.query(Image.fromarray(picture), k=60),
                collection.similar(own, k=3, include_self=True),
                collection.bucket(picture),
                collection.within(picture, 4),
                collection.similar_within(own, 4, include_self=True),
            ):
                assert (hits[0].id, hits[0].similarity, hits[0].distance) == (own, 0.0, 0)
            ranked = [-hit.similarity for hit in collection.query(picture, k=60, rerank=60)]
            assert ranked == sorted(ranked)
            by_code = collection.query(picture, k=60, rerank=0)
            keys = [(hit.distance, -hit.score, hit.id) for hit in by_code]
            assert keys == sorted(keys)
            assert {hit.similarity for hit in by_code} == {None}
            # of the shortlist the first by likeness, as said by hand
            few = {hit.id for hit in shortlisted(by_code, 20)}
            every = collection.query(picture, k=60, rerank=60)
            best = [hit.id for hit in every if hit.id in few][:5]
            assert [hit.id for hit in collection.query(picture, k=5, rerank=20)] == best


@settings(max_examples=60, deadline=None)
@given(
    asked=st.integers(0, 59),
    k=st.integers(1, 70),
    looked_at=st.integers(1, 70),
    radius=st.integers(0, 8),
    nth=st.integers(0, 59),
    nearer=st.sampled_from([1.0, 0.999]),
)
def test_copies_come_first_and_all_else_by_codes(images, asked, k, looked_at, radius, nth, nearer):
    picture, own = few_codes()[asked], f"{asked:02}"
    with Collection.open(images) as collection:
        by_looks = collection.query(picture, k=60, rerank=60)
        alike = {hit.id: hit.similarity for hit in by_looks}
        copies = -by_looks[nth].similarity * nearer  # just so near, or one not any more
        by_code = collection.query(picture, k=60, rerank=0)

        def ordered(hits):
            first = [hit for hit in hits if -alike[hit.id] <= copies]
            rest = [hit for hit in hits if -alike[hit.id] > copies]
            first.sort(key=lambda hit: (-alike[hit.id], hit.id))
            rest.sort(key=lambda hit: (hit.distance, -alike[hit.id], hit.id))
            return [hit.id for hit in first + rest]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hashret.search.hits._LOOKED_AT", looked_at)
            patch.setattr(Snapshot, "copy_distance", copies)
            found = [
                collection.query(picture, k=k),
                collection.similar(own, k=k, include_self=True),
                collection.similar(own, k=60),
                collection.within(picture, radius),
            ]
        # what a stored item asks has no doubts of its bits
        of_stored = sorted(by_code, key=lambda hit: (hit.distance, hit.id))
        others = [hit for hit in of_stored if hit.id != own]
        near = [hit for hit in by_code if hit.distance <= radius]
        n = max(k, looked_at)
        wanted = [by_code[:n], of_stored[:n], others[: max(60, looked_at)], near]
        wanted = [ordered(hits) for hits in wanted]
        assert [hit.id for hit in found[0]] == wanted[0][:k]
        assert [hit.id for hit in found[1]] == wanted[1][:k]
        assert [hit.id for hit in found[2]] == wanted[2]
        assert [hit.id for hit in found[3]] == wanted[3]


def test_how_near_copies_are_is_learned_and_without_it_only_the_same_is_one(images):
    with Collection.open(images) as collection:
        assert 0.1 < collection.copy_distance < 1.0
        hits = collection.query(few_codes()[0], k=3)
        assert {hit.id for hit in hits} == {"00", "01", "02"}  # the near copies
        spec = specs.to_json(collection.coder.featurizer.spec)
    assert spec.pop("copy_distance") > 0
    assert specs.from_json(spec).copy_distance == 0.0


def test_altered_copies_are_nearer_than_other_pictures(images):
    """Darker, brighter, of less contrast, grey: the original first, whatever the code says."""
    pictures = few_codes()[::3]
    changes = {
        "darker": lambda p: p * 0.6,
        "brighter": lambda p: p * 1.2,
        "duller": lambda p: 60 + p * 0.5,
        "grey": lambda p: np.repeat((p @ [0.299, 0.587, 0.114])[..., None], 3, axis=2),
        "compressed": lambda p: p // 16 * 16,
    }
    with Collection.open(images) as collection:
        for name, change in changes.items():
            copies = [np.clip(change(p.astype(float)), 0, 255).astype(np.uint8) for p in pictures]
            answers = collection.query(copies, k=4)
            found = [int(hits[0].id) // 3 == i for i, hits in enumerate(answers)]
            assert np.mean(found) >= 0.9, name


def test_images_may_be_kept_without_features(tmp_path):
    items = [Item(f"{i:02}", one) for i, one in enumerate(few_codes(24))]
    path = tmp_path / "c"
    with Indexer(path, "image", store_features=False) as indexer:
        indexer.fit(items, TrainingOptions(n_bits=8, seed=0, preset="dense", epochs=1))
        indexer.add(items)
        indexer.commit()
    with Collection.open(path) as collection:
        hits = collection.query(items[0].payload, k=24)
        keys = [(hit.distance, -hit.score, hit.id) for hit in hits]
        assert keys == sorted(keys)
        with pytest.raises(CollectionError, match="--store-features"):
            collection.query(items[0].payload, k=3, rerank=10)


def test_items_added_later_keep_features_as_the_first_did(tmp_path):
    items = topic_items(40)
    path = filled(tmp_path / "c", "text", items, store_features=False)
    with Indexer(path) as indexer:
        indexer.add(topic_items(44)[40:])
        indexer.commit()
    with Collection.open(path) as collection:
        assert not collection.has_features


def test_a_shortlist_shorter_than_what_is_shown_is_refused(texts):
    with Collection.open(texts) as collection, pytest.raises(ValueError, match="at least k"):
        collection.query("ship", k=10, rerank=5)


def test_damage_to_features_is_found_before_they_are_used(tmp_path):
    path = filled(tmp_path / "c", "text", topic_items(40))
    file = sorted((path / "segments").glob("*.safetensors"))[0]
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    file.write_bytes(content)
    with Collection.open(path) as collection:
        assert collection.query("ship storm", k=3)
        with pytest.raises(DamagedError, match="SHA-256"):
            collection.query("ship storm", k=40, rerank=40, rerank_by="features")
