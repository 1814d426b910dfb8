"""Figures of an evaluation against the same ones worked out by hand and by brute force."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection, Item
from hashret.codes import hamming
from hashret.errors import InputError, MissingExtraError
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from indexer.corpus import Skipped
from indexer.evaluation import evaluate, evaluate_judged, read_judgements
from tests.corpora import topic_items

pytestmark = pytest.mark.usefixtures("each_catalog")
OPTIONS = TrainingOptions(n_bits=16, seed=0, device="cpu")
K = 7


@pytest.fixture(scope="module")
def path(tmp_path_factory, each_catalog):
    path = tmp_path_factory.mktemp("evaluated") / "topics"
    with Indexer(path, "text") as indexer:
        indexer.fit(topic_items(80), OPTIONS)
        indexer.add(topic_items(80))
        indexer.commit()
    return path


@pytest.fixture
def topics(path):
    with Collection.open(path) as collection:
        yield collection


def asking(n=12, seed=5):
    return [
        Item(f"q{i}", item.payload, item.metadata) for i, item in enumerate(topic_items(n, seed))
    ]


def expected_precision(distances, relevant, k):
    """The mean over many random orders of the tied."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(1000):
        order = np.lexsort((rng.random(len(distances)), distances))
        found.append(relevant[order[:k]].mean())
    return np.mean(found)


def test_precision_is_that_of_random_orders_of_the_tied(topics):
    queries = asking()
    found = evaluate(topics, queries, "topic", k=K)
    coder = topics.coder
    labels = np.array(topics.column("topic"))
    by_hand = []
    within = []
    for query in queries:
        distances = hamming(coder.encode([query.payload]).codes, topics.codes)[0]
        relevant = labels == query.metadata["topic"]
        by_hand.append(expected_precision(distances, relevant, K))
        inside = distances <= 2
        within.append((relevant & inside).sum() / max(1, inside.sum()))
    assert found.orders["distance"][f"precision@{K}"] == pytest.approx(np.mean(by_hand), abs=0.01)
    assert found.orders["distance"]["precision within 2"] == pytest.approx(np.mean(within))
    assert found.n_queries == 12
    assert found.n_items == 80


def test_the_order_by_confidences_is_that_of_the_hits(topics):
    queries = asking()
    found = evaluate(topics, queries, "topic", k=K).orders["distance, then confidences"]
    shares = [
        np.mean([hit.metadata["topic"] == query.metadata["topic"] for hit in hits])
        for query, hits in zip(
            queries, topics.query([q.payload for q in queries], k=K), strict=True
        )
    ]
    assert found[f"precision@{K}"] == pytest.approx(np.mean(shares), abs=0.02)


def test_float_neighbours_are_those_of_the_features(topics):
    queries = asking()
    found = evaluate(topics, queries, "topic", k=80).float_neighbours
    assert set(found) == {
        "distance",
        "distance, then confidences",
        "confidences",
        "real-valued codes",
    }
    for shares in found.values():
        assert shares["first 80"] == 1.0
        assert 0.0 < shares["first 10"] < 1.0


def test_without_queries_every_item_asks_for_the_others(topics):
    found = evaluate(topics, None, "topic", k=K)
    assert found.n_queries == 80
    labels = np.array(topics.column("topic"))
    distances = hamming(topics.codes, topics.codes).astype(float)
    np.fill_diagonal(distances, np.inf)
    by_hand = [
        expected_precision(distances[i], (labels == labels[i]) & (np.arange(80) != i), K)
        for i in range(80)
    ]
    assert found.orders["distance"][f"precision@{K}"] == pytest.approx(np.mean(by_hand), abs=0.01)
    itself = evaluate(topics, topic_items(80), "topic", k=K)  # the same items under the same ids
    assert itself.orders["distance"] == found.orders["distance"]


def test_queries_without_a_label_or_a_known_word_are_reported(topics):
    queries = [
        *asking(4),
        Item("mute", "zzyzx qwrtp", {"topic": "sea"}),
        Item("nameless", "ship storm", {}),
        *(Item(f"empty {i}", "ship", {"topic": one}) for i, one in enumerate(("", " ", [], {}))),
        Skipped("broken", "expected text, got none", "empty"),
    ]
    found = evaluate(topics, queries, "topic", k=K)
    assert found.n_queries == 4
    assert {s.id: s.error_class for s in found.skipped} == {
        "mute": "no-known-feature",
        "nameless": "no-label",
        **{f"empty {i}": "no-label" for i in range(4)},
        "broken": "empty",
    }


@pytest.mark.parametrize(
    ("queries", "label", "message"),
    [
        (asking(3), "colour", "which none has"),
        ([Item("a", "ship", {"other": 1})], "topic", "queries' metadata"),
        ([Item("a", "ship", {"topic": 3})], "topic", "that items have too"),
        ([], "topic", "queries: expected at least one, got none"),
        ([Skipped("a", "broken", "b")], "topic", "one that can be used, .*: a: broken"),
        ([Item("sea-000", "ship", {"own": 1})], "own", "which none has"),
        ([Item("a", "zzyzx", {"topic": "sea"})], "topic", "the first: a: no known feature"),
    ],
)
def test_nothing_to_score_is_an_error(topics, queries, label, message):
    with pytest.raises(InputError, match=message):
        evaluate(topics, queries, label)


def few_items(path, n):
    items = [Item(item.id, item.payload, {"own": item.id}) for item in topic_items(n)]
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    return items


def test_a_label_that_no_two_items_share_is_an_error(tmp_path):
    """Recall and average precision are not defined then, and NaN is no JSON."""
    items = few_items(tmp_path / "c", 8)
    with Collection.open(tmp_path / "c") as collection:
        for queries in (None, items):
            with pytest.raises(
                InputError, match=r"--label: .* shares with another item, got a different"
            ):
                evaluate(collection, queries, "own")
        other = [*items, Item("other", "ship sail", {"own": items[0].id})]
        found = evaluate(collection, other, "own", k=3)
    json.dumps(found.to_json(), allow_nan=False)
    assert found.orders["distance"]["recall@3"] <= 1.0


@pytest.mark.parametrize("n", [2, 7, 10, 11])
def test_of_few_items_a_query_is_none_of_its_own_neighbours(tmp_path, n):
    items = few_items(tmp_path / "c", n)
    with Indexer(tmp_path / "c") as indexer:
        indexer.add(Item(item.id, item.payload, {"topic": "all"}) for item in items)
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        found = evaluate(collection, None, "topic", k=n)
    for shares in found.float_neighbours.values():
        assert shares[f"first {n}"] == 1.0  # all others are among all others
    json.dumps(found.to_json(), allow_nan=False)


def test_a_collection_without_items_is_an_error(tmp_path):
    items = few_items(tmp_path / "c", 4)
    with Indexer(tmp_path / "c") as indexer:
        indexer.remove([item.id for item in items])
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        with pytest.raises(InputError, match="collection: expected at least one item"):
            evaluate(collection, None, "own")
        with pytest.raises(InputError, match="collection: expected at least one item"):
            evaluate_judged(collection, asking(2), {"q0": {"sea-000": 1}})


def test_judgements_of_other_queries_are_an_error(topics):
    with pytest.raises(InputError, match=r"ids of the 3 queries, such as 'q0', .* as 'x9'; "):
        evaluate_judged(topics, asking(3), {"x9": {"sea-000": 1}})
    with pytest.raises(InputError, match="queries: expected at least one, got none"):
        evaluate_judged(topics, [], {"x9": {"sea-000": 1}})


def test_judgements_by_hand(topics):
    """Two judged queries, one of which cannot be used, so that it counts with nothing found."""
    queries = [Item("1", "ship harbour anchor", {}), Item("2", "zzyzx", {})]
    order = [hit.id for hit in topics.query("ship harbour anchor", k=80)]
    judgements = {"1": {order[0]: 1, order[2]: 3, "absent": 2}, "2": {order[0]: 1}}
    found = evaluate_judged(topics, queries, judgements, shortlists=[5, 80])
    ideal = 3 + 2 / np.log2(3) + 1 / 2
    gained = 1 + 3 / 2
    codes = found.orders["codes"]
    assert codes["nDCG@10"] == pytest.approx(gained / ideal / 2)
    assert codes["AP"] == pytest.approx((1 + 2 / 3) / 3 / 2)
    assert codes["R@10"] == pytest.approx(2 / 3 / 2)
    assert found.n_queries == 2
    assert found.unknown == 1
    assert [s.id for s in found.skipped] == ["2"]
    # a shortlist of everything is the order of the features
    assert found.orders["80 nearest codes, then features"] == found.orders["features"]
    best = [hit.id for hit in topics.query("ship harbour anchor", k=5, rerank=5)]
    if order[0] in best:
        place = best.index(order[0])
        assert found.orders["5 nearest codes, then features"]["nDCG@10"] >= (
            1 / np.log2(place + 2) / ideal / 2 - 1e-9
        )


def test_items_of_equal_codes_are_judged_in_the_order_of_the_hits(tmp_path):
    """Each text ten times, under ids that come in another order than the rows."""
    names = np.random.default_rng(0).permutation(40)
    items = [
        Item(f"{'long-' * int(name % 3)}{name}", text.payload)
        for name, text in zip(names, topic_items(4) * 10, strict=True)
    ]
    with Indexer(tmp_path / "c", "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    queries = asking(6)
    with Collection.open(tmp_path / "c") as collection:
        for how, order in [
            ({}, "codes"),
            ({"rerank": 7, "rerank_by": "features"}, "7 nearest codes, then features"),
            ({"hybrid": True}, "words and codes"),
        ]:
            answers = collection.query([query.payload for query in queries], k=3, **how)
            for place in range(3):
                judgements = {
                    query.id: {hits[place].id: 1}
                    for query, hits in zip(queries, answers, strict=True)
                }
                found = evaluate_judged(collection, queries, judgements, shortlists=[7])
                assert found.orders[order]["AP"] == pytest.approx(1 / (place + 1))


def test_judgements_in_both_layouts_and_what_grades_are_worth():
    assert read_judgements(["1 a 3", "", "1 b -1"]) == {"1": {"a": 3, "b": 0}}
    assert read_judgements(["7 0 x 2"]) == {"7": {"x": 2}}
    assert read_judgements(["1\tmy file.txt\t2"]) == {"1": {"my file.txt": 2}}
    assert read_judgements(["1 a 1", "1 b 4", "1 c -1"], {1: 4, 4: 1}) == {
        "1": {"a": 4, "b": 1, "c": 0}
    }
    for wrong in ("1 a", "1 a good", "1 0 a b c"):
        with pytest.raises(InputError, match="line 2"):
            read_judgements(["1 a 1", wrong])
    with pytest.raises(InputError, match="at least one"):
        read_judgements([])


def test_a_missing_extra_is_named(topics, monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(MissingExtraError, match=r"hashret\[evaluate\]"):
        evaluate_judged(topics, asking(2), {"q0": {"sea-000": 1}})


def test_the_command_line_shows_a_table_or_json(path, tmp_path):
    file = tmp_path / "queries.jsonl"
    file.write_text(
        "".join(json.dumps({"id": q.id, "text": q.payload, **q.metadata}) + "\n" for q in asking())
        + '{"id": "nameless", "text": "ship"}\n'
    )
    run = CliRunner()
    command = ["evaluate", str(path), "--queries", str(file), "--label", "topic", "-k", "10"]
    shown = run.invoke(main, command)
    assert shown.exit_code == 0, shown.output
    assert "distance, then confidences" in shown.stdout
    assert "precision@10" in shown.stdout
    assert "skipped query nameless" in shown.stderr
    piped = [*command[:3], "-", *command[4:]]
    assert run.invoke(main, piped, input=file.read_bytes()).stdout == shown.stdout
    found = json.loads(run.invoke(main, [*command, "--json"]).stdout)
    assert set(found) == {
        "n_queries",
        "n_items",
        "k",
        "radius",
        "orders",
        "float_neighbours",
        "codes",
        "skipped",
    }
    assert found["codes"]["n_bits"] == 16
    assert 0.0 <= found["codes"]["saturated"] <= 1.0
    qrels = tmp_path / "qrels.tsv"
    qrels.write_text("q0\tsea-000\t1\nq1\tkitchen-001\t2\n")
    judged = [*command[:4], "--qrels", str(qrels), "--gains", "1=2,2=1", "--rerank", "9", "--json"]
    found = json.loads(run.invoke(main, judged).stdout)
    assert "9 nearest codes, then features" in found["orders"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--label", "topic", "--rerank", "5"],
        ["--queries", "q", "--qrels", "q", "-k", "5"],
        [],
        ["--label", "topic", "--qrels", "q"],
        ["--qrels", "q"],
        ["--gains", "a=b"],
    ],
)
def test_wrong_usage_leaves_with_2(path, arguments):
    assert CliRunner().invoke(main, ["evaluate", str(path), *arguments]).exit_code == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "expected judgements (--qrels), got no such file; check the path"),
        ("folder", "expected judgements (--qrels), got a folder; check the path"),
        ("binary", "expected judgements (--qrels) in UTF-8, got other bytes in line 1"),
        ("words", "judgements, line 1: expected a query, an item and a whole grade"),
        ("others", "such as 'q0', got only others, such as 'x9'; give both the same ids"),
        ("right", None),
    ],
)
def test_a_file_that_is_no_judgements_is_refused_by_name(path, tmp_path, name, says):
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\x89PNG\r\n\xff\xfe")
    (tmp_path / "words").write_text("to be or not to be\n")
    (tmp_path / "others").write_text("x9 sea-000 1\n")
    (tmp_path / "right").write_bytes(b"\xef\xbb\xbfq0 sea-000 1\n")
    queries = tmp_path / "queries.jsonl"
    queries.write_text(json.dumps({"id": "q0", "text": "ship"}))
    asked = ["evaluate", path, "--queries", queries, "--qrels", tmp_path / name]
    done = CliRunner().invoke(main, [str(one) for one in asked])
    assert done.exit_code == (1 if says else 0)
    assert (says or "1 queries, 80 items") in done.output
    assert "Errno" not in done.output


def test_queries_that_are_not_there_are_refused_by_name(path, tmp_path):
    for name in ("nowhere.jsonl", "nowhere"):
        asked = ["evaluate", path, "--label", "topic", "--queries", tmp_path / name]
        done = CliRunner().invoke(main, [str(one) for one in asked])
        assert done.exit_code == 1
        assert f"--queries {tmp_path / name}: expected a file or folder" in done.stderr
