"""What a collection says of how it answered; probing by confidence; crowds of equal codes."""

import gc
import json
import re
import weakref
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection, Item, kernels
from hashret.indexes.planner import calibration, cost_model
from hashret.indexes.scan import ScanIndex
from hashret.search import searcher
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import clustered_vectors, topic_items


@pytest.fixture(scope="module")
def vectors():
    return clustered_vectors()


@pytest.fixture(scope="module")
def path(vectors, tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "vectors"
    with Indexer(path, "vector") as indexer:
        items = [Item(f"{(37 * i) % 120:03}", v, {"n": i}) for i, v in enumerate(vectors)]
        indexer.fit(items, TrainingOptions(n_bits=8, device="cpu"))  # few bits: many ties
        indexer.add(items)
        indexer.commit()
    return path


@pytest.fixture
def asked(path):
    with Collection.open(path) as collection:
        yield collection


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "texts"
    with Indexer(path, "text") as indexer:
        items = topic_items()
        indexer.fit(items, TrainingOptions(n_bits=16, seed=0, device="cpu"))
        indexer.add(items)
        indexer.commit()
    return path


def hashret(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.mark.parametrize("where", [None, "n < 50"])
def test_enough_probes_give_the_first_by_score(asked, vectors, where):
    answers = asked.query(vectors[:9], k=7, probes=119 if where is None else 49, where=where)
    truth = asked.query(vectors[:9], k=7, asymmetric=True, where=where)
    assert [hits.hits for hits in answers] == [hits.hits for hits in truth]
    for hits in answers:
        assert (hits.plan.path, hits.plan.n_tables, hits.approximation) == (
            "by confidence",
            1,
            None,
        )
        assert str(hits.plan).endswith("proved to be the best by score")


@pytest.mark.parametrize("probes", [120, 10**9, 10**30])
def test_as_many_probes_as_items_compare_all(asked, vectors, probes):
    answers = asked.query(vectors[:9], k=120, probes=probes)
    truth = asked.query(vectors[:9], k=120, asymmetric=True)
    assert [hits.hits for hits in answers] == [hits.hits for hits in truth]
    assert {(hits.plan.path, hits.approximation) for hits in answers} == {("by score", None)}


def test_too_few_probes_say_so(asked, vectors):
    few = asked.query(vectors[:9], k=100, probes=2)
    for hits, all_hits in zip(few, asked.query(vectors[:9], k=120, asymmetric=True), strict=True):
        assert len(hits) < 100
        assert list(hits) == list(all_hits)[: len(hits)]
        assert str(hits.approximation).startswith("approximate (probes)")
        assert hits.plan.probed == 2 * 9
        assert hits.complete_radius == -1


def test_wrong_probes_are_refused(asked, vectors):
    with pytest.raises(ValueError, match="probes: expected at least 1, got 0"):
        asked.query(vectors[0], probes=0)
    with pytest.raises(ValueError, match="index: expected none beside"):
        asked.query(vectors[0], probes=3, index="scan")


@pytest.mark.parametrize(
    ("index", "k", "path_taken", "n_tables"),
    [("scan", 3, "scan", 0), ("table", 40, "table + scan", 1), ("auto", 3, "scan", 0)],
)
def test_a_plan_says_what_was_done(path, vectors, index, k, path_taken, n_tables):
    with Collection.open(path, index=index) as collection:
        hits = collection.query(vectors[0], k=k)
        plan = hits.plan
        assert (plan.path, plan.n_tables, plan.n_queries) == (path_taken, n_tables, 1)
        assert (plan.n_items, plan.compared) == (120, 120)
        assert plan.proved == hits.complete_radius == hits[-1].distance
        assert plan.seconds > 0
        assert collection.query(vectors[0], k=3, asymmetric=True).plan.compared == 120
        assert collection.similar(hits[0].id, 3, where="n < 9").plan.n_items == 9
        assert collection.query(vectors[0], where="n < 0").plan.compared == 0


def test_a_plan_counts_the_probes_of_a_bucket(path, vectors):
    with Collection.open(path, index="table") as collection:
        plan = collection.bucket(vectors[0]).plan
        assert (plan.path, plan.probed, plan.compared, plan.proved) == ("table", 1, 0, 0)


def test_the_answer_to_a_batch_is_that_to_its_queries(path, vectors, monkeypatch):
    # blocks so small, and ties so many, that every block has another size
    monkeypatch.setattr(searcher, "_FIRST_BLOCK", 2)
    monkeypatch.setattr(searcher, "_FOUND", 60)
    with Collection.open(path) as collection:
        batch = collection.query(vectors[:11], k=4)
        assert batch == [collection.query(vector, k=4) for vector in vectors[:11]]
        assert sum({id(h.plan): h.plan.n_queries for h in batch}.values()) > 11


def test_neighbours_of_many_items_are_those_of_each(path, monkeypatch):
    monkeypatch.setattr(searcher, "_FIRST_BLOCK", 2)
    monkeypatch.setattr(searcher, "_FOUND", 60)
    with Collection.open(path) as collection:
        ids = [f"{i:03}" for i in range(11)]
        for ask in (collection.similar, collection.similar_within):
            batch = ask(ids, 4)
            assert batch == [ask(one, 4) for one in ids]
            assert len({id(hits.plan) for hits in batch}) > 2
            assert ask([]) == []


def test_a_search_by_score_builds_no_index(path, vectors):
    def build(codes):
        raise AssertionError("built")

    with Collection.open(path, index=build) as collection, Collection.open(path) as other:
        for how in ({"asymmetric": True}, {"probes": 3}):
            assert collection.query(vectors[0], **how) == other.query(vectors[0], **how)


def test_an_index_is_not_kept_for_ever(path):
    with Collection.open(path) as collection:
        snapshot = collection.snapshot

        def moved(former):
            return searcher.Searcher(snapshot, "auto", former)

        now = searcher.Searcher(snapshot, "auto")
        built = [weakref.ref(now.index(lambda codes: ScanIndex(codes))) for _ in range(20)]
        gc.collect()
        assert sum(one() is not None for one in built) == 4
        for _ in range(20):  # each another call, after each move
            now = moved(now)
            built.append(weakref.ref(now.index(lambda codes: ScanIndex(codes))))
        gc.collect()
        assert sum(one() is not None for one in built) == 4
        table = weakref.ref(now.index("table"))
        for _ in range(3):  # asked for now and then it stays
            now = moved(now)
            assert now.index("table") is not None
            for _ in range(10):
                now = moved(now)
        assert table() is not None
        for _ in range(10):
            now = moved(now)
        gc.collect()
        assert table() is None
        assert not now._indexes._bases


def test_the_first_of_a_crowd_of_equal_codes_are_so_by_id_also_after_a_change(tmp_path):
    one = np.zeros(8, np.float32)
    one[0] = 1
    rng = np.random.default_rng(0)
    others = rng.standard_normal((60, 8)).astype(np.float32)
    crowd = [Item(f"{(7 * i) % 400:03}", one) for i in range(400)]
    with Indexer(tmp_path / "c", "vector") as indexer:
        items = [*crowd, *(Item(f"x{i}", other) for i, other in enumerate(others))]
        indexer.fit(items, TrainingOptions(n_bits=8, device="cpu"))
        indexer.add(items)
        indexer.commit()
        with Collection.open(tmp_path / "c", index=ScanIndex.build) as collection:
            for _ in range(2):
                assert [hit.id for hit in collection.query(one, k=3)] == ["000", "001", "002"]
            indexer.remove(["001"])
            indexer.commit()
            collection.refresh()
            assert [hit.id for hit in collection.query(one, k=3)] == ["000", "002", "003"]


def test_explain_says_on_standard_error_how_hits_were_found(texts):
    asked = "query", texts, "a ship in a storm", "-k", 3
    for how, path, proved in (
        ("--codes-only", "scan", "complete within "),
        ("--hybrid", r"scan \+ words", "not proved to be complete"),
    ):
        plain = hashret(*asked, how)
        done = hashret(*asked, how, "--explain")
        assert done.stdout == plain.stdout
        assert re.search(rf"^path: {path} \(", done.stderr, re.MULTILINE)
        assert f"; {proved}" in done.stderr
    done = hashret(*asked, "--codes-only", "--explain")
    # compiled where another test of this process had the kernels loaded
    how = re.match(
        r"path: scan \((NumPy|compiled)\); 0 probes, 120 comparisons among 120 items, ", done.stderr
    )
    assert how


def test_explain_says_it_of_the_neighbours_of_an_item_too(texts):
    with Collection.open(texts) as collection:
        item_id = next(iter(collection.items())).id
    plain = hashret("similar", texts, item_id, "-k", 3)
    done = hashret("similar", texts, item_id, "-k", 3, "--explain")
    assert done.stdout == plain.stdout
    assert done.stderr.splitlines()[0] + "\n" == plain.stderr
    assert done.stderr.splitlines()[1].startswith("path: ")


def test_explain_a_batch_within_its_lines(texts, tmp_path):
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"text": "a ship"}\n{"text": "zyzzyva"}\n', encoding="utf-8")
    lines = hashret("query", texts, "--batch", queries, "--explain").stdout.splitlines()
    known, unknown = map(json.loads, lines)
    assert known["plan"]["path"] == "scan + words"
    assert known["plan"]["complete_radius"] == -1
    assert known["plan"]["items"] == 120
    assert "plan" not in unknown


def test_probes_on_the_command_line(texts):
    done = hashret("query", texts, "a ship in a storm", "-k", 200, "--probes", 2, "--explain")
    approximate, path = done.stderr.splitlines()
    assert approximate.startswith("approximate (probes): recall not measured")
    assert path.startswith("path: by confidence, 1 table (")
    assert done.stderr.rstrip().endswith("may miss some")
    wrong = hashret("query", texts, "a ship", "--probes", 2, "--radius", 1)
    assert wrong.exit_code == 2
    assert "--probes: expected a payload and no distance" in wrong.stderr


def test_a_collection_that_is_asked_much_measures_once_for_its_machine(
    path, vectors, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cost_model, "_measured", {})
    monkeypatch.setattr(kernels, "_loaded", None)
    monkeypatch.setattr(searcher, "_CALIBRATE_AFTER", 0.0)
    measured = []

    def measure():
        given = cost_model.GIVEN[False]
        measured.append(given)
        return given | {"scan": replace(given["scan"], word=7.0)}

    monkeypatch.setattr(calibration, "measure", measure)
    with Collection.open(path) as collection:
        first = collection.query(vectors[0])
        assert collection.query(vectors[0]) == first
    assert len(measured) == 1
    monkeypatch.setattr(cost_model, "_measured", {})  # another process
    with Collection.open(path) as collection:
        collection.query(vectors[0])
        assert cost_model.current(with_kernels=False)["scan"].word == 7.0
    assert len(measured) == 1
