"""Answers as rows, and questions as codes: against plain Python, for every way of asking."""

import threading

import numpy as np
import pytest

from hashret import Codes, Collection, FoundRows, Item
from hashret.codes import hamming
from hashret.errors import CollectionError, UnknownKindError, WhereError
from hashret.rank import expected_agreement
from indexer import Indexer, TrainingOptions
from tests.corpora import clustered_vectors, topic_items

UNKNOWN = "xylophone quagmire"


@pytest.fixture(scope="module")
def items():
    """Texts of which every fourth occurs twice more, so that codes tie."""
    items = topic_items(60)
    return items + [Item(f"{n}-{one.id}", one.payload) for n in "ab" for one in items[::4]]


@pytest.fixture(scope="module")
def path(items, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "c"
    options = TrainingOptions(n_bits=16, preset="dense", device="cpu")
    with Indexer(path, "text") as indexer:
        indexer.fit(items, options)
        indexer.add(items)
        indexer.commit()
    with Indexer(path) as indexer:  # positions are not rows: some are gone
        indexer.remove([items[0].id, items[30].id])
        indexer.commit()
    return path


@pytest.fixture(scope="module")
def collection(path):
    with Collection.open(path) as collection:
        yield collection


@pytest.fixture(scope="module")
def texts(items):
    return [items[3].payload, UNKNOWN, "the old ship", items[8].payload, "salt and a star"]


def brute_force(collection, texts, n, *, radius=None, where=None, by_score=False):
    """The (positions, distances, scores) of each text."""
    allowed = range(len(collection.codes))
    if where is not None:
        allowed = collection.positions_where(where).tolist()
    answers = []
    for text in texts:
        asked = collection.coder.encode([text])
        if not asked.known[0]:
            answers.append([])
            continue
        distances = hamming(asked.codes, collection.codes)[0].astype(int)
        scores = expected_agreement(asked.confidences[0], collection.codes)
        found = [(int(i), int(distances[i]), float(scores[i])) for i in allowed]
        if radius is not None:
            found = [one for one in found if one[1] <= radius]
        key = (lambda t: (-t[2], t[1], t[0])) if by_score else (lambda t: (t[1], -t[2], t[0]))
        answers.append(sorted(found, key=key)[:n])
    return answers


def as_lists(found: FoundRows):
    return [list(zip(*(column.tolist() for column in one), strict=True)) for one in found]


WAYS = [
    {"k": 1},
    {"k": 7},
    {},
    {"k": 1000},
    {"radius": 0},
    {"radius": 3},
    {"radius": 16},
    {"radius": 5, "k": 4},
    {"k": 5, "where": "topic == 'sea' or year > 2010"},
    {"radius": 4, "where": "not (topic == 'sea')"},
    {"k": 6, "asymmetric": True},
    {"k": 6, "asymmetric": True, "where": "topic != 'sea'"},
    {"k": 6, "probes": 1 << 20},
    {"k": 8, "index": "table"},
    {"k": 8, "index": "multi-index"},
]


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_rows_are_those_of_brute_force(collection, texts, how):
    by_score = bool(how.get("asymmetric") or how.get("probes"))
    n = how.get("k", 10 if "radius" not in how else None)
    expected = brute_force(
        collection,
        texts,
        n,
        radius=how.get("radius"),
        where=how.get("where"),
        by_score=by_score,
    )
    found = collection.search_rows(texts, **how)
    assert as_lists(found) == expected
    assert [len(one[0]) == 0 for one in found][1], "a payload without a known feature"
    assert found.complete_radius[1] == -1
    assert len(found) == len(texts) == len(found.limits) - 1
    types = (found.limits, found.positions, found.distances, found.scores, found.complete_radius)
    assert [str(one.dtype) for one in types] == ["int64", "int64", "int32", "float64", "int32"]


def test_rows_agree_with_hits_where_nothing_ties(collection, texts):
    found = collection.search_rows(texts, k=12)
    ids = collection.ids()
    answers = collection.query(texts, k=12, rerank=0)
    for (positions, distances, scores), hits in zip(found, answers, strict=True):
        assert distances.tolist() == [hit.distance for hit in hits]
        assert scores.tolist() == [hit.score for hit in hits]
        whole = {(hit.distance, hit.score) for hit in hits[:-1]} - {
            (hit.distance, hit.score) for hit in hits[-1:]
        }
        for pair in whole:
            here = (distances == pair[0]) & (scores == pair[1])
            at = {ids[position] for position in positions[here]}
            assert at == {hit.id for hit in hits if (hit.distance, hit.score) == pair}


def test_no_item_is_read_for_rows(path, texts):
    with Collection.open(path) as collection:
        collection.search_rows(texts, k=5)
        collection.search_rows(collection.codes, radius=2)
        assert not collection.snapshot.items._opened
        assert collection.query(texts[0], k=1)
        assert collection.snapshot.items._opened


def test_one_payload_is_the_only_query(collection, texts):
    one = collection.search_rows(texts[0], k=3)
    assert len(one) == 1
    assert as_lists(one) == as_lists(collection.search_rows(texts[:1], k=3))
    none = collection.search_rows([], k=3)
    assert (len(none), none.limits.tolist(), len(none.positions)) == (0, [0], 0)
    with pytest.raises(IndexError, match="expected one of 1, got 1"):
        one[1]


def test_rows_name_the_index_that_may_miss_some(collection, texts):
    assert collection.search_rows(texts, k=3).approximation is None
    found = collection.search_rows(texts, k=3, index="faiss-hash")
    assert found.approximation.index == "faiss-hash"


def test_ids_of_positions(collection, items):
    kept = [item.id for item in items if item.id not in (items[0].id, items[30].id)]
    assert collection.ids() == kept
    assert collection.ids([5, 0, 5]) == [kept[5], kept[0], kept[5]]
    assert collection.find(collection.ids()).tolist() == list(range(len(kept)))
    with pytest.raises(IndexError):
        collection.ids([len(kept)])
    with pytest.raises(TypeError, match="positions: expected whole numbers"):
        collection.ids([0.5])


# codes as queries


def answered(hits):
    return [(hit.id, hit.distance, hit.score) for hit in hits]


def test_codes_ask_as_the_stored_items_that_have_them(collection):
    ids = collection.ids([1, 5, 9, 50])
    codes = collection.codes[collection.find(ids)]
    near = collection.similar(ids, k=7, include_self=True)
    assert [answered(one) for one in collection.query(codes, k=7)] == [answered(n) for n in near]
    inside = collection.similar_within(ids, 3, include_self=True)
    assert [answered(one) for one in collection.within(codes, 3)] == [answered(n) for n in inside]
    assert all(
        hit.code == codes.hex(i) for i, hits in enumerate(collection.bucket(codes)) for hit in hits
    )
    assert len(collection.query(codes[:1], k=2)) == 1, "codes are many, also a single one"
    assert collection.query(codes[:0]) == []
    condition = "topic == 'sea'"
    for hits in collection.query(codes, k=3, where=condition):
        assert all(hit.metadata["topic"] == "sea" for hit in hits)


def test_rows_of_codes_are_certain_of_each_bit(collection):
    found = collection.search_rows(collection.codes, k=4)
    expected = hamming(collection.codes, collection.codes)
    for (positions, distances, scores), row in zip(found, expected, strict=True):
        pairs = sorted((int(d), i) for i, d in enumerate(row))[:4]
        assert list(zip(distances.tolist(), positions.tolist(), strict=True)) == pairs
        assert scores.tolist() == [(16 - d) / 16 for d, _ in pairs]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"asymmetric": True}, "asymmetric: expected a payload and no distance, got codes"),
        ({"probes": 3}, "probes: expected a payload and no distance, got codes"),
        ({"rerank": 20}, "rerank: expected a payload, whose features are compared, got codes"),
    ],
)
def test_codes_have_no_doubts_and_no_features(collection, how, says):
    with pytest.raises(ValueError, match=says):
        collection.query(collection.codes[:1], **how)
    if "rerank" not in how:
        with pytest.raises(ValueError, match=says):
            collection.search_rows(collection.codes[:1], **how)


def test_wrong_questions_for_rows(collection):
    with pytest.raises(ValueError, match="expected 16 bits, got 32"):
        collection.search_rows(Codes.empty(32))
    with pytest.raises(ValueError, match="expected 16 bits, got 32"):
        collection.query(Codes(np.zeros((1, 4), np.uint8)))
    with pytest.raises(ValueError, match="k: expected at least 1"):
        collection.search_rows("ship", 0)
    with pytest.raises(TypeError, match="radius: expected a whole number"):
        collection.search_rows("ship", radius=1.5)
    with pytest.raises(TypeError, match="asymmetric: expected True or False"):
        collection.search_rows("ship", asymmetric=1)
    with pytest.raises(UnknownKindError):
        collection.search_rows("ship", index="nope")
    with pytest.raises(WhereError):
        collection.search_rows("ship", where="topic =")


def test_copies_of_an_image_are_not_looked_for_by_codes(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    items = [Item(str(i), image) for i, image in enumerate(images)]
    with Indexer(tmp_path / "c", "image") as indexer:
        indexer.fit(items, TrainingOptions(n_bits=16, preset="dense", device="cpu"))
        indexer.add(items)
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        assert collection.copy_distance is not None
        asked = collection.codes[3:4]
        by_codes = collection.query(asked, k=5)[0]
        expected = collection.similar(collection.ids([3])[0], k=5, rerank=0, include_self=True)
        assert answered(by_codes) == answered(expected)
        found = collection.search_rows(images[3], k=5)
        assert found.distances.tolist() == sorted(found.distances.tolist())


def test_vectors_and_a_collection_without_a_model(tmp_path):
    vectors = clustered_vectors(40)
    with Indexer(tmp_path / "c", "vector") as indexer:
        indexer.fit(
            [Item(str(i), v) for i, v in enumerate(vectors)],
            TrainingOptions(n_bits=16, preset="dense", device="cpu"),
        )
        indexer.add(Item(str(i), v) for i, v in enumerate(vectors))
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        assert len(collection.search_rows(vectors[:9], k=2)) == 9
        assert len(collection.search_rows(vectors[0], k=2)) == 1
    with (
        Indexer(tmp_path / "new", "vector"),
        Collection.open(tmp_path / "new") as empty,
        pytest.raises(CollectionError, match="without"),
    ):
        empty.search_rows(vectors)


def test_threads_get_the_same_rows(collection, texts):
    def ask(i):
        found = (
            collection.search_rows(texts, k=5 + i % 3),
            collection.search_rows(collection.codes, radius=i % 4),
            collection.search_rows(texts, k=4, where=f"year > {2000 + i % 5}"),
        )
        return [as_lists(one) for one in found], collection.ids()

    expected = [ask(i) for i in range(12)]
    wrong = []

    def work(start):
        for i in range(start, start + 12):
            if ask(i % 12) != expected[i % 12]:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
