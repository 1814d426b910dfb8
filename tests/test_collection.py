"""A collection as a user meets it: learned, asked, changed, reopened."""

import numpy as np
import pytest

from hashret import Collection, Item
from hashret.codes import Codes, hamming
from hashret.errors import (
    CollectionError,
    DamagedError,
    EmptyCorpusError,
    InputError,
    LockedError,
    NotACollectionError,
    PayloadError,
    UnknownItemError,
    UnknownKindError,
    WhereError,
)
from hashret.indexes import APPROXIMATE, INDEXES
from hashret.indexes.views.delta import UpdatedApproximateIndex, UpdatedIndex
from indexer import Indexer, TrainingOptions
from tests.catalogs import copied
from tests.corpora import clustered_vectors, topic_items

pytestmark = pytest.mark.usefixtures("each_catalog")
OPTIONS = TrainingOptions(n_bits=32, seed=0, device="cpu")


@pytest.fixture(scope="module")
def items():
    return topic_items()


@pytest.fixture(scope="module")
def path(items, tmp_path_factory, each_catalog):
    path = tmp_path_factory.mktemp("collections") / "topics"
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        tally = indexer.add(items)
        indexer.commit()
    assert (tally.seen, tally.added, tally.n_skipped) == (len(items), len(items), 0)
    return path


@pytest.fixture
def topics(path):
    with Collection.open(path) as collection:
        yield collection


@pytest.fixture
def writable(path, tmp_path):
    """A copy that a test may change."""
    copy = tmp_path / "copy"
    copied(path, copy)
    return copy


def test_a_query_finds_its_own_topic(topics):
    for topic, text in (
        ("sea", "captain anchor harbour storm ship"),
        ("kitchen", "a recipe for bread: flour, salt and butter"),
        ("space", "telescope comet moon orbit star"),
        ("music", "violin piano choir melody song"),
    ):
        hits = topics.query(text, k=10)
        assert len(hits) == 10
        assert sum(hit.metadata["topic"] == topic for hit in hits) >= 8


def test_an_indexed_text_is_its_own_nearest_neighbour(topics, items):
    answers = topics.query([item.payload for item in items], k=len(items))
    for item, hits in zip(items, answers, strict=True):
        own = next(hit for hit in hits if hit.id == item.id)
        assert own.distance == 0
        assert own.metadata == item.metadata
        assert own.preview.startswith(item.payload[:40])


@pytest.mark.parametrize("index", sorted(INDEXES))
def test_every_index_gives_the_brute_force_answer(path, items, index):
    texts = [item.payload for item in items[:20]]
    with Collection.open(path, index=index) as collection:
        codes = collection.codes
        ids = sorted(item.id for item in items)
        stored = {stored.id: stored for stored in collection.items()}
        assert list(stored) == ids
        encoded = Codes(np.concatenate([Codes.from_hex(stored[i].code).packed for i in ids]))
        queries = collection.coder.encode(texts)
        distances = hamming(queries.codes, encoded)
        for k in (1, 7, len(ids), len(ids) + 5):
            for hits, row in zip(collection.query(texts, k=k), distances, strict=True):
                assert [hit.distance for hit in hits] == sorted(row.tolist())[:k]
                keys = [(hit.distance, -hit.score, hit.id) for hit in hits]
                assert keys == sorted(keys)
                assert len({hit.id for hit in hits}) == len(hits)
        for radius in (0, 3, codes.n_bits):
            for hits, row in zip(collection.within(texts, radius), distances, strict=True):
                assert {hit.id for hit in hits} == {
                    item_id for item_id, d in zip(ids, row, strict=True) if d <= radius
                }
        assert collection.bucket(texts[0]).hits == collection.within(texts[0], radius=0).hits


def test_ties_are_ordered_and_cut_by_id(tmp_path):
    texts = {f"{i:02}": "alpha beta gamma delta" for i in range(30)}
    items = [Item(i, t) for i, t in reversed(texts.items())]
    items += [Item(f"other-{i}", "epsilon zeta eta theta") for i in range(30)]
    with Indexer(tmp_path / "c", "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        hits = collection.query("alpha beta gamma delta", k=5)
        assert [hit.id for hit in hits] == ["00", "01", "02", "03", "04"]
        assert [hit.distance for hit in hits] == [0] * 5
        assert [hit.id for hit in collection.similar("00", k=3)] == ["01", "02", "03"]
        assert [h.id for h in collection.similar("07", k=2, include_self=True)] == ["00", "01"]


def test_one_and_many(topics):
    one = topics.query("ship and harbour")
    many = topics.query(["ship and harbour", "bread and butter"])
    assert isinstance(many, list)
    assert many[0].hits == one.hits
    assert len(one) == 10
    assert topics.query([]) == []
    assert topics.query(Item("x", "ship and harbour")).hits == one.hits


def test_a_query_with_no_known_word_says_so(topics):
    hits = topics.query("xylophone quagmire")
    assert len(hits) == 0
    assert "no word" in hits.note
    mixed = topics.query(["xylophone quagmire", "ship"])
    assert [bool(len(hits)) for hits in mixed] == [False, True]
    assert mixed[1].note == ""


def test_similar_leaves_the_item_out(topics):
    hits = topics.similar("sea-000", k=5)
    assert "sea-000" not in {hit.id for hit in hits}
    assert [hit.metadata["topic"] for hit in hits].count("sea") >= 4
    both = topics.similar(["sea-000", "music-003"], k=5)
    assert both[0].hits == hits.hits
    everyone = topics.similar_within("sea-000", radius=32, include_self=True)
    assert len(everyone) == len(topics)


def test_unknown_ids_and_wrong_calls(topics, tmp_path, path):
    with pytest.raises(UnknownItemError, match="nowhere"):
        topics.similar("nowhere")
    with pytest.raises(UnknownItemError, match="nowhere"):
        topics.get("nowhere")
    with pytest.raises(ValueError, match="k: expected"):
        topics.query("ship", k=0)
    with pytest.raises(ValueError, match="radius: expected"):
        topics.within("ship", radius=-1)
    with pytest.raises(PayloadError):
        topics.query(3.5)
    with pytest.raises(PayloadError):
        topics.query("   ")
    with pytest.raises(NotACollectionError, match="hashret index"):
        Collection.open(tmp_path / "missing")
    with pytest.raises(UnknownKindError, match="scan"):
        Collection.open(path, index="nope")
    with pytest.raises(UnknownKindError, match="scan"):
        topics.query("ship", index="nope")
    for how in ({"k": 2.5}, {"k": "3"}, {"probes": 2.5}, {"rerank": 10.5}):
        with pytest.raises(TypeError, match="expected a whole number"):
            topics.query("ship", **how)
    with pytest.raises(TypeError, match="radius: expected a whole number"):
        topics.within("ship", radius=[1, 2])
    with pytest.raises(TypeError, match="where: expected a string"):
        topics.query("ship", where=["year > 3"])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c: c.query("ship", rerank=10, rerank_by=np.zeros(2)), "rerank_by: expected str"),
        (lambda c: c.query("ship", rerank=10, rerank_by="{k}"), r"got '\{k\}'; choose one"),
        (lambda c: c.query("ship", index=len), "expected a function that gives an index of codes"),
        (lambda c: c.groups(np.zeros(2)), "field: expected str"),
        (lambda c: c.export("x.npz", order=np.zeros(2)), "order: expected str"),
        (lambda c: c.generate(seed=-1), "seed: expected 0 or more, got -1"),
        (lambda c: c.outliers(p="1"), "p: expected a number, got '1'"),
        (lambda c: c.outliers(p=None), "p: expected a number, got NoneType"),
        (lambda c: c.outliers(fdr=np.zeros(2)), "fdr: expected a number, got ndarray"),
        (lambda c: c.spelling(b"ship"), "question: expected str, got bytes"),
        (lambda c: c.snippets("ab", "ship"), "hits: expected Hit, got 'a'"),
        (lambda c: c.snippets(c.query("ship"), "ship", width=None), "width: expected a whole"),
        (lambda c: c.snippets(c.query("ship"), "ship", width=0), "width: expected 1 column"),
    ],
)
def test_a_wrong_type_is_named_and_no_error_from_within(topics, call, says):
    with pytest.raises((TypeError, ValueError), match=says):
        call(topics)


def test_more_than_there_are_is_all(topics):
    every = topics.query("ship", k=len(topics))
    for k in (10**30, 2**63 - 1, np.uint64(2**64 - 1)):
        assert topics.query("ship", k=k).hits == every.hits
        assert len(topics.similar("sea-000", k=k)) == len(topics) - 1
        assert len(topics.search_rows("ship", k=k).positions) == len(topics)
        assert len(topics.query("ship", k=3, rerank=k)) == 3
        assert len(topics.query("ship", k=3, asymmetric=True, probes=k)) == 3
    assert len(topics.within("ship", radius=10**30)) == len(topics)


def test_get_and_contains(topics, items):
    stored = topics.get("sea-000")
    assert stored.metadata == items[0].metadata
    assert len(stored.code) == 8
    assert "sea-000" in topics
    assert "sea-001" not in topics
    assert len(topics) == len(items)


def test_unchanged_items_are_skipped_and_changed_ones_replaced(writable, items):
    changed = [
        Item(items[0].id, items[0].payload + " anchor", items[0].metadata),
        Item(items[1].id, items[1].payload, {"topic": "kitchen", "year": 1999}),
        *items[2:],
        Item("new", "bread and salt", {}),
    ]
    with Indexer(writable) as indexer:
        tally = indexer.add(changed)
        indexer.commit()
    assert (tally.added, tally.replaced, tally.unchanged) == (1, 2, len(items) - 2)
    with Collection.open(writable) as collection:
        assert len(collection) == len(items) + 1
        assert collection.get(items[1].id).metadata["year"] == 1999
        assert collection.get("new").preview == "bread and salt"


def test_a_snapshot_stands_until_it_is_refreshed(writable, items):
    with Collection.open(writable) as before, Indexer(writable) as indexer:
        indexer.remove([items[0].id, items[5].id])
        indexer.add([Item("late", "ship harbour sail")])
        assert before.refresh() is False
        indexer.commit()
        assert items[0].id in before
        assert "late" not in before
        assert len(before.query("ship", k=500)) == len(items)
        assert before.refresh() is True
        assert items[0].id not in before
        assert len(before) == len(items) - 1
        ids = {hit.id for hit in before.query("ship", k=500)}
        assert "late" in ids
        assert items[5].id not in ids


def test_what_is_not_committed_is_gone(writable, items):
    with Indexer(writable) as indexer:
        indexer.remove([items[0].id])
        indexer.add([Item("never", "ship harbour sail")])
    with Collection.open(writable) as collection:
        assert len(collection) == len(items)
        assert "never" not in collection
    with Indexer(writable) as indexer:  # and the next writer is not in its way
        indexer.add([Item("next", "ship harbour sail")])
        indexer.commit()
    with Collection.open(writable) as collection:
        assert len(collection) == len(items) + 1


def test_prune_removes_what_was_not_seen(writable, items):
    with Indexer(writable) as indexer:
        indexer.add(items[10:])
        assert indexer.prune() == 10
        indexer.commit()
    with Collection.open(writable) as collection:
        assert {stored.id for stored in collection.items()} == {item.id for item in items[10:]}


def test_removing_an_unknown_id_removes_nothing(writable, items):
    with Indexer(writable) as indexer:
        with pytest.raises(UnknownItemError, match="ghost"):
            indexer.remove([items[0].id, "ghost"])
        indexer.commit()
    with Collection.open(writable) as collection:
        assert len(collection) == len(items)


def test_an_item_given_twice_is_reported_once(writable):
    with Indexer(writable) as indexer:
        tally = indexer.add([Item("twin", "ship sail"), Item("twin", "bread oven")])
        indexer.commit()
    assert (tally.added, tally.n_skipped) == (1, 1)
    assert tally.first_skipped[0].error_class == "duplicate-id"
    with Collection.open(writable) as collection:
        assert collection.get("twin").preview == "ship sail"


def test_bad_items_are_skipped_with_their_reason(writable, items):
    told = []
    with Indexer(writable, on_skipped=told.append) as indexer:
        tally = indexer.add(
            [Item("empty", "  "), Item("odd", "xylophone"), Item("ok", "ship sail")]
        )
        indexer.commit()
    assert (tally.added, tally.uncoded, tally.n_skipped, tally.seen) == (2, 1, 1, 3)
    assert {skipped.id for skipped in told} == {"empty"}


def test_refitting_must_not_lose_items(writable, items):
    with Indexer(writable) as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items[:50])
        with pytest.raises(CollectionError, match="70"):
            indexer.commit()
    with Collection.open(writable) as collection:
        assert len(collection) == len(items)
    with Indexer(writable) as indexer:
        indexer.fit(items, TrainingOptions(n_bits=16, seed=1, device="cpu"))
        indexer.add(items[:50])
        indexer.prune()
        indexer.commit()
    with Collection.open(writable) as collection:
        assert (len(collection), collection.n_bits) == (50, 16)


def test_progress_counts_up_within_each_stage(items, tmp_path):
    told = {}

    def on_progress(stage, done, total):
        assert total is None or done <= total
        assert done >= told.get(stage, 0)
        told[stage] = done

    with Indexer(tmp_path / "c", "text", on_progress=on_progress) as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items, total=len(items))
    assert {"read", "encode"} < told.keys()
    assert told["encode"] == len(items)
    assert len(told) <= 12, "a stage's name must not change while it runs"


def test_one_writer_at_a_time(writable):
    with Indexer(writable), pytest.raises(LockedError):
        Indexer(writable)


def test_a_collection_needs_a_model_and_a_kind(tmp_path):
    with pytest.raises(ValueError, match="kind"):
        Indexer(tmp_path / "c")
    with Indexer(tmp_path / "c", "text") as indexer:
        with pytest.raises(CollectionError, match="items to learn from, got none"):
            indexer.fit()
        with pytest.raises(CollectionError, match="call fit and add"):
            indexer.commit()
        with pytest.raises(EmptyCorpusError):
            indexer.fit([])
        with pytest.raises(EmptyCorpusError):
            indexer.fit([Item("a", "  ")])
    assert not (tmp_path / "c").exists()


def test_a_collection_keeps_its_kind(writable):
    with pytest.raises(InputError, match=r"kind text as .* has, got image"):
        Indexer(writable, "image")


def test_the_same_seed_gives_the_same_codes(path, items, tmp_path):
    with Indexer(tmp_path / "again", "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    with Collection.open(path) as one, Collection.open(tmp_path / "again") as two:
        np.testing.assert_array_equal(one.codes.packed, two.codes.packed)


@pytest.mark.parametrize("n", [2, 5])
def test_tiny_corpora(tmp_path, n):
    items = topic_items(n)
    with Indexer(tmp_path / "c", "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        assert len(collection.query(items[0].payload)) == n


def test_items_all_alike_are_indexed_with_a_warning(tmp_path):
    items = [Item(str(i), "ship harbour sail") for i in range(20)]
    with Indexer(tmp_path / "c", "text") as indexer:
        report = indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    assert report.warnings
    with Collection.open(tmp_path / "c") as collection:
        assert len(collection.bucket("ship harbour sail")) == 20


def test_vectors(tmp_path):
    vectors = clustered_vectors()
    with Indexer(tmp_path / "c", "vector") as indexer:
        items = [Item(str(i), vector) for i, vector in enumerate(vectors)]
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        for i, hits in enumerate(collection.query(vectors[:20], k=10)):
            assert sum(int(hit.id) % 4 == i % 4 for hit in hits) >= 8
        assert collection.query(vectors[0], k=3).hits == collection.query(vectors[:1], k=3)[0].hits
        with pytest.raises(PayloadError, match="24"):
            collection.query(np.zeros(5, np.float32))
        with pytest.raises(PayloadError):
            collection.query(np.full(24, np.nan, np.float32))


def test_images_as_arrays(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (4, 16, 16), dtype=np.uint8)
    images = np.clip(base[np.arange(60) % 4] + rng.integers(-20, 20, (60, 16, 16)), 0, 255)
    items = [Item(str(i), image.astype(np.uint8)) for i, image in enumerate(images)]
    with Indexer(tmp_path / "c", "image") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        hits = collection.query(items[0].payload, k=10)
        assert hits[0].distance == 0
        assert sum(int(hit.id) % 4 == 0 for hit in hits) >= 8


def test_asymmetric_queries_give_the_best_scores_of_all_items(tmp_path):
    vectors = clustered_vectors()
    with Indexer(tmp_path / "c", "vector") as indexer:
        items = [Item(f"{(37 * i) % 120:03}", vector) for i, vector in enumerate(vectors)]
        indexer.fit(items, TrainingOptions(n_bits=8, device="cpu"))  # few bits: many ties
        indexer.add(items)
        indexer.remove([items[7].id])
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        everything = collection.query(vectors[:9], k=119)
        for n in (1, 10, 119):
            answers = collection.query(vectors[:9], k=n, asymmetric=True)
            for hits, every in zip(answers, everything, strict=True):
                ranked = sorted(every, key=lambda hit: (-hit.score, hit.distance, hit.id))
                assert list(hits) == ranked[:n]
        differs = [list(a) != list(b) for a, b in zip(answers, everything, strict=True)]
        assert any(differs)  # else this shows nothing
        alone = collection.query(vectors[3], k=5, asymmetric=True)
        assert alone.hits == answers[3].hits[:5]
        assert collection.query([], asymmetric=True) == []


def test_an_asymmetric_query_without_a_known_word_has_no_hits(topics):
    nothing, some = topics.query(["zyzzyva", "ship"], k=3, asymmetric=True)
    assert len(nothing) == 0
    assert nothing.note
    assert len(some) == 3


@pytest.fixture(scope="module")
def numbered(tmp_path_factory, each_catalog):
    """Vectors with a number each, some of them removed and replaced, in two segments."""
    path = tmp_path_factory.mktemp("collections") / "numbered"
    vectors = clustered_vectors(400, 16, seed=5)
    items = [
        Item(f"v{i:03}", vector, {"n": i, "even": i % 2 == 0}) for i, vector in enumerate(vectors)
    ]
    with Indexer(path, "vector", store_features=True) as indexer:
        indexer.fit(items, TrainingOptions(n_bits=16, seed=0, device="cpu"))
        indexer.add(items)
        indexer.commit()
    with Indexer(path) as indexer:
        indexer.remove(["v007"])
        indexer.add([Item("v008", vectors[8], {"n": 1000})])
        indexer.commit()
    return path


@pytest.mark.parametrize(
    ("where", "chosen"),
    [
        ("n >= 0", lambda n: True),
        ("even", lambda n: n % 2 == 0 and n != 1000),
        ("n in (7, 8, 9, 300)", lambda n: n in (9, 300)),
        ("n == 1000", lambda n: n == 1000),
        ("id.startswith('v00') and n < 5", lambda n: n < 5),
    ],
)
@pytest.mark.parametrize("index", sorted(INDEXES))
def test_a_condition_selects_before_the_search(numbered, index, where, chosen):
    with Collection.open(numbered, index=index) as collection:
        everything = len(collection)
        asked = list(clustered_vectors(5, 16, seed=9))
        for asymmetric in (False, True):
            ranked = collection.query(asked, k=everything, asymmetric=asymmetric)
            found = collection.query(asked, k=6, asymmetric=asymmetric, where=where)
            for hits, all_hits in zip(found, ranked, strict=True):
                assert list(hits) == [h for h in all_hits if chosen(h.metadata["n"])][:6]
        ranked = collection.within(asked, radius=3)
        for hits, all_hits in zip(collection.within(asked, 3, where=where), ranked, strict=True):
            assert list(hits) == [h for h in all_hits if chosen(h.metadata["n"])]
        others = collection.similar("v020", k=everything)
        expected = [h for h in others if chosen(h.metadata["n"])]
        assert list(collection.similar("v020", k=4, where=where)) == expected[:4]
        near = [h for h in expected if h.distance <= 3]
        assert list(collection.similar_within("v020", 3, where=where)) == near
        best = collection.query(asked[0], k=3, rerank=everything, where=where)
        whole = collection.query(asked[0], k=everything, rerank=everything)
        assert list(best) == [h for h in whole if chosen(h.metadata["n"])][:3]
        listed = [item.id for item in collection.items(where=where)]
        assert listed == [i.id for i in collection.items() if chosen(i.metadata["n"])]


def test_a_condition_is_of_the_snapshot(numbered, tmp_path):
    path = copied(numbered, tmp_path / "copy")
    with Collection.open(path) as collection:
        vector = clustered_vectors(1, 16, seed=9)[0]
        before = list(collection.query(vector, k=9, where="n < 5"))
        with Indexer(path) as indexer:
            indexer.remove([before[0].id])
            indexer.commit()
        assert list(collection.query(vector, k=9, where="n < 5")) == before
        assert list(collection.query(vector, k=9, where="n <5")) == before  # not remembered
        assert collection.refresh()
        assert list(collection.query(vector, k=9, where="n < 5")) == before[1:]


def test_a_condition_that_none_satisfies_says_so(numbered):
    with Collection.open(numbered) as collection:
        vector = np.ones(16, np.float32)
        for how in ({}, {"asymmetric": True}, {"probes": 5}):
            hits = collection.query(vector, where="colour == 'red'", **how)
            assert (len(hits), hits.note) == (0, "no item satisfies the condition")
        with pytest.raises(WhereError):
            collection.query(vector, where="n = 3")


@pytest.mark.parametrize("index", sorted(INDEXES))
def test_a_refreshed_collection_answers_as_one_opened_anew(numbered, tmp_path, index):
    path = copied(numbered, tmp_path / "copy")
    asked = list(clustered_vectors(6, 16, seed=9))
    rng = np.random.default_rng(3)
    with Collection.open(path, index=index) as collection:
        first = collection.index
        for change in range(3):
            with Indexer(path) as indexer:
                indexer.remove([f"v{i:03}" for i in range(20 + 4 * change, 24 + 4 * change)])
                new = rng.normal(size=(4, 16)).astype(np.float32)
                indexer.add([Item(f"new{change}-{i}", v, {"n": i}) for i, v in enumerate(new)])
                indexer.commit()
            assert collection.refresh()
            assert not collection.refresh()
            with Collection.open(path, index=index) as anew:
                assert collection.query(asked, k=30) == anew.query(asked, k=30)
                assert collection.within(asked, 4) == anew.within(asked, 4)
                assert collection.similar("v100", k=9) == anew.similar("v100", k=9)
            assert isinstance(collection.index, UpdatedIndex)
            assert collection.index is not first
        with Indexer(path) as indexer:  # too much for the former index
            indexer.remove([f"v{i:03}" for i in range(100, 180)])
            indexer.commit()
        collection.refresh()
        with Collection.open(path, index=index) as anew:
            assert collection.query(asked, k=30) == anew.query(asked, k=30)
        assert not isinstance(collection.index, UpdatedIndex)


def test_a_refresh_reads_only_what_is_new(numbered, tmp_path, monkeypatch):
    import hashret.store.segments.segment as module

    path = copied(numbered, tmp_path / "copy")
    read = []
    open_codes = module.open_codes
    monkeypatch.setattr(
        module, "open_codes", lambda *a: (read.append(a[1].name), open_codes(*a))[1]
    )
    with Collection.open(path) as collection:
        before = list(read)
        with Indexer(path) as indexer:
            indexer.add([Item("new", np.ones(16, np.float32))])
            indexer.commit()
        collection.refresh()
        assert len(set(before)) == len(before) == len(read) - 1
        assert read[-1] not in before
        snapshot = collection.commit, len(collection), collection.query(np.ones(16), k=5)
        with Indexer(path) as indexer:
            indexer.add([Item("another", np.ones(16, np.float32) * 2)])
            indexer.commit()
        newest = max((path / "segments").glob("*.npy"))
        newest.write_bytes(newest.read_bytes()[:-1] + b"\xff")
        with pytest.raises(DamagedError):
            collection.refresh()
        assert (collection.commit, len(collection), collection.query(np.ones(16), k=5)) == snapshot


def test_an_empty_collection_has_nothing_to_rank_again(writable):
    with Collection.open(writable) as collection:
        ids = [item.id for item in collection.items()]
    with Indexer(writable) as indexer:
        indexer.remove(ids)
        indexer.commit()
    with Collection.open(writable) as collection:
        assert not collection.query("captain of the ship", k=3, rerank=10)


@pytest.mark.parametrize("index", sorted(APPROXIMATE))
def test_an_approximate_answer_says_so_and_exact_stays_the_default(topics, index):
    text, ids = "captain anchor harbour storm ship", ["sea-000", "music-003"]
    exact = topics.query(text, k=5)
    assert exact.approximation is None
    hits = topics.query(text, k=5, index=index)
    said = hits.approximation
    assert (said.index, said.k, said.n_queries) == (index, 10, 30)
    assert 0.5 <= said.recall <= 1
    assert (len(hits), hits.complete_radius) == (5, -1)
    everything = {hit.id: hit for hit in topics.query(text, k=len(topics))}
    assert all(everything[hit.id] == hit for hit in hits)
    assert list(topics.query(text, k=500, index=index)) == list(everything.values())
    for hits in topics.similar(ids, k=4, index=index):
        assert hits.approximation == said
        assert len(hits) == 4
    assert topics.query(text, k=3, rerank=20, index=index).approximation == said
    assert topics.query(text, k=5) == exact


@pytest.mark.parametrize("index", sorted(APPROXIMATE))
def test_a_collection_opened_with_an_approximate_index(path, topics, index):
    text = "captain anchor harbour storm ship"
    with Collection.open(path, index=index) as collection:
        assert collection.query(text).approximation.index == index
        # what compares every code, or the selected ones, is exact and says nothing else
        for asked in ({"where": "year >= 2010"}, {"asymmetric": True}, {"index": "auto"}):
            hits = collection.query(text, k=7, **asked)
            assert hits.approximation is None
            assert list(hits) == list(topics.query(text, k=7, **asked))
        with pytest.raises(ValueError, match=f"every row within a radius, got {index}"):
            collection.within(text, 2)
        with pytest.raises(ValueError, match="beside a condition"):
            collection.query(text, where="year > 1", index=index)
        with pytest.raises(ValueError, match="beside asymmetric"):
            collection.query(text, asymmetric=True, index=index)
        with pytest.raises(UnknownKindError, match="faiss-hnsw"):
            collection.query(text, index="hnsw")


@pytest.mark.parametrize("index", sorted(APPROXIMATE))
def test_a_refreshed_approximate_index_knows_what_is_gone_and_what_is_new(writable, items, index):
    text = items[0].payload
    with Collection.open(writable, index=index) as collection:
        said = collection.query(text).approximation
        with Indexer(writable) as indexer:
            indexer.remove([items[0].id])
            indexer.add([Item("new", text)])
            indexer.commit()
        assert items[0].id in {hit.id for hit in collection.query(text, k=120)}
        assert collection.refresh()
        hits = collection.query(text, k=1)
        assert (hits[0].id, hits[0].distance) == ("new", 0)
        assert hits.approximation == said
        assert isinstance(collection.index, UpdatedApproximateIndex)
        everything = {hit.id for hit in collection.query(text, k=500)}
        assert everything == {item.id for item in items[1:]} | {"new"}
        with pytest.raises(ValueError, match="every row within a radius"):
            collection.within(text, 2)
