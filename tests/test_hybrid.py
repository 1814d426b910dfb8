"""Questions by words and codes, and shortlists by words, against plain Python."""

import copy
import json
import threading

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hashret import Codes, Collection, Item
from hashret.codes import hamming
from hashret.errors import CollectionError, DamagedError, WhereError
from hashret.rank import BY_WORDS, expected_agreement
from hashret.search import groups
from hashret.search import question as question_file
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import TOPICS, clustered_vectors, topic_items
from tests.shortlist import shortlisted
from tests.words.test_bm25 import by_the_formula

OPTIONS = TrainingOptions(n_bits=16, seed=0, preset="dense", device="cpu", epochs=2)
#: Words that the model has not seen; the first text has no other, and so no code.
LATE = {
    "late-0": "quagmire xylophone",
    "late-1": "the ship in the harbour has part AB-1234/5 aboard",
    "late-2": "bread and butter, and a quagmire of dough",
    "late-3": "論文の検索 と ship",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Three segments, rows removed and replaced, equal texts, and words that no model has seen."""
    path = tmp_path_factory.mktemp("hybrid") / "c"
    items = topic_items(50)
    items += [Item(f"again-{one.id}", one.payload, {"year": 1990}) for one in items[::6]]
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items[:30])
        indexer.commit()
        indexer.add(items[30:])
        indexer.commit()
        indexer.add([Item(name, text, {"year": 2030}) for name, text in LATE.items()])
        indexer.add([Item(items[2].id, "flour and salt in a pan", {"year": 2031})])
        indexer.remove([items[5].id, items[41].id])
        indexer.commit()
    return path


@pytest.fixture(scope="module")
def collection(path):
    with Collection.open(path) as collection:
        yield collection


def in_rows(collection, where=None):
    """The ids of the items and their texts, in the order of their rows."""
    snapshot = collection.snapshot
    return {one.id: one.text for one in snapshot.stored(snapshot.rows_in_order(where))}


def words_of(collection, text):
    return list(collection.coder.featurizer.searched_words(text))


def by_words(collection, text):
    """The BM25 score of every item that has one, by the formula; best first, then by row."""
    texts = in_rows(collection)
    words = [words_of(collection, one) for one in texts.values()]
    scores = dict(zip(texts, by_the_formula(words, words_of(collection, text)), strict=True))
    return {one: scores[one] for one in sorted(texts, key=lambda i: -round(scores[i], 9))}


def fused(collection, text, k, depth, where=None, field=None):
    """The ids of the hits of a hybrid question, of different groups by a field, in plain Python."""
    allowed = in_rows(collection, where)
    words = {one: s for one, s in by_words(collection, text).items() if s > 0 and one in allowed}

    def group(one):
        return one if field is None else collection.get(one).metadata.get(field, one)

    while True:
        nearest = collection.query(text, k=depth, rerank=0, where=where)
        candidates, best = [hit.id for hit in nearest], list(words)[:depth]
        n_groups = len({group(one) for one in {*candidates, *best}})
        may_be_more = max(len(candidates), len(best)) >= depth
        if field is None or not may_be_more or n_groups >= min(k, len(set(map(group, allowed)))):
            break
        depth *= 4
    encoding = collection.coder.encode([text])
    confidences = encoding.confidences[0] if encoding.known[0] else np.full(16, 0.5)
    place = {one: at for at, one in enumerate(collection.ids())}
    sharp = [place[one] for one in best[:5] if one in place]
    if sharp:
        confidences = confidences + collection.codes[np.array(sharp)].bits.mean(axis=0) - 0.5
    found = sorted({*candidates, *best})
    coded = [one for one in found if one in place]
    codes = collection.codes[np.array([place[one] for one in coded], int)]
    agreement = dict(zip(coded, expected_agreement(confidences, codes), strict=True))
    distance, score = dict.fromkeys(found, -1), dict.fromkeys(found, 0.0)
    if encoding.known[0]:
        distance |= dict(zip(coded, hamming(encoding.codes, codes)[0].tolist(), strict=True))
        own = expected_agreement(encoding.confidences[0], codes)
        score |= dict(zip(coded, own, strict=True))

    def ordered(ids, key):
        return sorted(ids, key=lambda one: (-key[one], distance[one], -score[one], one))

    most = max(words.values(), default=0.0)
    low, high = min(agreement.values(), default=0.0), max(agreement.values(), default=0.0)
    gained = {}
    for one in found:
        fits = words.get(one, 0.0) / most if most else 0.0
        agrees = (agreement[one] - low) / (high - low) if one in agreement and high > low else 0.0
        gained[one] = round(BY_WORDS * fits + (1 - BY_WORDS) * agrees, 9)
    of_groups = {}
    for one in ordered(found, gained):
        of_groups.setdefault(group(one), one)
    return list(of_groups.values())[:k]


QUESTIONS = [
    "the ship in a storm",
    "quagmire",
    "part AB-1234/5",
    "bread bread butter",
    "検索",
    "索論",
    "zyzzyva",
    topic_items(8)[7].payload,
]
word = st.sampled_from(sum(TOPICS.values(), ["quagmire", "the", "AB-1234/5", "論文", "nowhere"]))
texts = st.sampled_from(QUESTIONS) | st.lists(word, min_size=1, max_size=6).map(" ".join)


@given(
    text=texts,
    k=st.integers(1, 80),
    depth=st.integers(1, 80),
    where=st.sampled_from([None, "year >= 2010", "year == 2030", "year > 3000"]),
)
def test_codes_and_words_are_fused_by_their_scores(collection, text, k, depth, where):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(question_file, "FUSED", depth)
        hits = collection.query(text, k=k, hybrid=True, where=where)
    assert [hit.id for hit in hits] == fused(collection, text, k, max(k, depth), where)
    scores = by_words(collection, text)
    np.testing.assert_allclose([hit.words for hit in hits], [scores[hit.id] for hit in hits])
    assert (hits.by, hits.complete_radius, hits.approximation) == ("words and codes", -1, None)
    by_code = {hit.id: hit for hit in collection.query(text, k=99, rerank=0)}
    for hit in hits:
        assert hit.text == collection.get(hit.id).text
        if hit.id in by_code:
            same = by_code[hit.id]
            assert (hit.distance, hit.score, hit.code) == (same.distance, same.score, same.code)
        else:
            assert (hit.distance, hit.score) == (-1, 0.0)


@given(
    text=texts,
    k=st.integers(1, 30),
    depth=st.integers(1, 40),
    field=st.sampled_from(["year", "topic", "nothing"]),
    where=st.sampled_from([None, "year >= 2010", "year == 2030", "year > 3000"]),
)
def test_of_each_group_the_best_by_words_and_codes_is_a_hit(
    collection, text, k, depth, field, where
):
    asked = [text, "the ship in a storm"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(question_file, "GROUPED", depth)
        answers = collection.query(asked, k=k, hybrid=True, where=where, group=field)
        by_default = collection.query(asked, k=k, hybrid=None, where=where, group=field)
        patch.setattr(groups, "_FOUND", 8)  # so that queries are parted
        parted = collection.query(asked, k=k, hybrid=True, where=where, group=field)
    expected = [fused(collection, one, k, max(k, depth), where, field) for one in asked]
    for found in (answers, by_default, parted):
        assert [[hit.id for hit in hits] for hits in found] == expected


def test_an_index_finds_the_codes_and_an_approximate_one_says_so(collection):
    text = "the ship in a storm"
    exact = collection.query(text, hybrid=True)
    assert collection.query(text, hybrid=True, index="table") == exact
    approximate = collection.query(text, hybrid=True, index="faiss-hnsw")
    assert approximate.approximation.index == "faiss-hnsw"
    assert (approximate.by, approximate.complete_radius) == ("words and codes", -1)
    assert exact.plan.path.endswith(" + words")


def test_words_that_the_vocabulary_lacks_are_found(collection):
    assert not collection.query("quagmire")
    found = [hit.id for hit in collection.query("quagmire", hybrid=True)]
    assert set(found) == {"late-0", "late-2"}
    assert collection.query("part AB-1234/5", hybrid=True)[0].id == "late-1"
    for question in ("検索", "索論", "論"):  # a pair, ideographs that stand apart, and one alone
        assert [hit.id for hit in collection.query(question, hybrid=True)] == ["late-3"]
    nothing = collection.query("zyzzyva", hybrid=True)
    assert (len(nothing), "vocabulary" in nothing.note) == (0, True)
    among_none = collection.query("ship", hybrid=True, where="year > 3000")
    assert (len(among_none), among_none.note) == (0, "no item satisfies the condition")


@given(text=texts, k=st.integers(1, 12), more=st.integers(0, 40))
def test_a_shortlist_is_ordered_by_all_words(collection, text, k, more):
    shortlist = shortlisted(collection.query(text, k=len(collection), rerank=0), k + more)
    hits = collection.query(text, k=k, rerank=k + more)
    scores = {one: round(score, 9) for one, score in by_words(collection, text).items()}
    best = sorted(shortlist, key=lambda h: (-scores[h.id], h.distance, -h.score, h.id))
    assert [hit.id for hit in hits] == [hit.id for hit in best][:k]
    np.testing.assert_allclose([hit.words for hit in hits], [scores[h.id] for h in best][:k])
    assert hits.by == "words"
    assert {hit.similarity for hit in hits} <= {None}
    by_features = collection.query(text, k=k, rerank=k + more, rerank_by="features")
    assert by_features.by == "features"
    assert all(hit.similarity is not None and hit.words is None for hit in by_features)


@given(text=texts, k=st.integers(1, 12), more=st.integers(0, 60))
def test_a_shortlist_is_ordered_by_codes_and_features_in_their_deviations(
    collection, text, k, more
):
    by_features = collection.query(text, k=k + more, rerank=k + more, rerank_by="features")
    hits = collection.query(text, k=k, rerank=k + more, rerank_by="both")
    assert (hits.by, [hit.words for hit in hits]) == ("codes and features", [None] * len(hits))
    if not len(by_features):
        assert not len(hits)
        return
    parts = np.array([[hit.similarity, hit.score] for hit in by_features])
    spread = parts.std(axis=0)
    spread[spread < 1e-9] = np.inf  # what is equal for all decides nothing
    sums = ((parts - parts.mean(axis=0)) / spread).sum(axis=1)
    found = [dict(zip([hit.id for hit in by_features], sums, strict=True))[hit.id] for hit in hits]
    np.testing.assert_allclose(found, np.sort(sums)[::-1][:k], atol=1e-6)


def test_among_few_texts_more_like_one_is_found_by_codes_and_features(collection, monkeypatch):
    longer, n = " ".join(["ship storm"] * 20), len(collection)
    question = question_file.Question(order="auto")
    assert collection.query(longer, k=7, hybrid=None) == collection.query(
        longer, k=7, rerank=n, rerank_by="both"
    )
    similar = collection.ask_similar(question, "sea-000")
    assert similar == collection.similar("sea-000", rerank=n, rerank_by="both")
    assert (similar.by, collection.similar("sea-000").by) == ("codes and features", "codes")
    assert collection.query(longer, hybrid=None, where="year > 3000").note
    monkeypatch.setattr("hashret.search.opened.FEW", n - 1)
    assert collection.query(longer, k=7, hybrid=None) == collection.query(longer, k=7)
    assert collection.ask_similar(question, "sea-000") == collection.similar("sea-000")


def test_the_command_finds_more_like_a_text_among_few_by_codes_and_features(path):
    def lines(*arguments):
        found = CliRunner().invoke(main, [*arguments[:1], str(path), *arguments[1:]])
        assert found.exit_code == 0, found.output
        return found.output.splitlines()

    said = "by codes and features (--rerank 0: by codes alone)"
    longer = " ".join(["ship storm"] * 20)
    by_both = "--rerank", "500", "--rerank-by", "both"
    for asked in (("similar", "sea-000"), ("query", "--id", "sea-000"), ("query", longer)):
        assert lines(*asked)[0] == said
        assert lines(*asked) == lines(*asked, *by_both)
        assert lines(*asked, "--rerank", "0")[0].split() == ["id", "differ", "agree", "text"]
    (first,) = lines("similar", "sea-000", "-k", "1", "--json")
    assert json.loads(first)["by"] == "codes and features"
    assert lines("query", longer, "--codes-only") == lines("query", longer, "--rerank", "0")


def test_a_question_in_words_is_asked_by_words_and_a_longer_text_by_codes(collection, monkeypatch):
    monkeypatch.setattr("hashret.search.opened.FEW", 0)
    in_words, longer = " ".join(["ship"] * 32), " ".join(["ship"] * 33)
    asked = [in_words, longer, "quagmire", longer + " storm", "zyzzyva"]
    by = ["words and codes", "codes", "words and codes", "codes", "words and codes"]
    found = collection.query(asked, k=7, hybrid=None)
    assert [hits.by for hits in found] == by
    for one, hits in zip(asked, found, strict=True):
        assert hits == collection.query(one, k=7, hybrid=hits.by != "codes")
        assert hits == collection.query(one, k=7, hybrid=None)
    found = collection.query(asked, k=7, rerank=20)
    by = ["words" if one == "words and codes" else "features" for one in by]
    assert [hits.by for hits in found] == by
    for one, hits in zip(asked, found, strict=True):
        assert hits == collection.query(one, k=7, rerank=20, rerank_by=hits.by)
    codes = collection.codes[:2]
    assert collection.query(codes, hybrid=None) == collection.query(codes)
    assert collection.query([], hybrid=None) == []
    with pytest.raises(ValueError, match="hybrid: expected none beside asymmetric"):
        collection.query("ship", hybrid=None, probes=3)


def test_more_like_a_stored_item_is_ordered_by_features_unless_words_are_asked_for(collection):
    asked = collection.get("sea-000")
    hits = collection.similar("sea-000", k=5, rerank=30)
    assert (hits.by, hits[0].words) == ("features", None)
    hits = collection.similar("sea-000", k=5, rerank=30, rerank_by="words")
    shortlist = collection.similar("sea-000", k=30)
    scores = by_words(collection, asked.text)
    best = sorted(shortlist, key=lambda h: (-round(scores[h.id], 9), h.distance, -h.score, h.id))
    assert [hit.id for hit in hits] == [hit.id for hit in best[:5]]


def test_many_questions_are_answered_as_one_by_one_and_by_threads(path):
    with Collection.open(path) as collection:
        found = []

        def ask():
            found.append(collection.query(QUESTIONS, k=7, hybrid=True))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        alone = [collection.query(one, k=7, hybrid=True) for one in QUESTIONS]
        assert found == [alone] * 6
        assert copy.deepcopy(alone) == alone
        assert collection.query([], hybrid=True) == []


def test_each_commit_has_its_own_words(tmp_path):
    path, items = tmp_path / "c", topic_items(40)
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    with Collection.open(path) as moving:
        assert not moving.query("quagmire", hybrid=True)
        with Indexer(path) as indexer:
            indexer.add([Item("new", "a quagmire"), Item(items[0].id, "the quagmire of orbits")])
            indexer.remove([items[4].id])
            indexer.commit()
        assert not moving.query("quagmire", hybrid=True)
        moving.refresh()
        with Collection.open(path) as now, Collection.open(path, commit=1) as before:
            assert not before.query("quagmire", hybrid=True)
            for text in ("quagmire", items[0].payload, items[4].payload):
                assert moving.query(text, hybrid=True) == now.query(text, hybrid=True)
                fresh = [hit.id for hit in now.query(text, k=50, hybrid=True)]
                assert fresh == fused(now, text, 50, 100)
                assert items[4].id not in fresh
            assert {hit.id for hit in now.query("quagmire", hybrid=True)} == {"new", items[0].id}
        with Indexer(path) as indexer:
            indexer.compact()
        answers = moving.query(items[8].payload, k=50, hybrid=True)
        moving.refresh()
        assert moving.query(items[8].payload, k=50, hybrid=True) == answers


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"asymmetric": True}, "hybrid: expected none beside asymmetric"),
        ({"probes": 3}, "hybrid: expected none beside asymmetric"),
        ({"rerank": 20}, "hybrid: expected no rerank beside it, got 20"),
        ({"rerank": 0}, "hybrid: expected no rerank beside it, got 0"),
        ({"rerank_by": "words"}, "rerank_by: expected rerank beside it"),
    ],
)
def test_what_does_not_go_together_is_refused(collection, how, message):
    with pytest.raises(ValueError, match=message):
        collection.query("ship", hybrid=True, **how)


def test_what_has_no_words_is_refused(collection, tmp_path):
    with pytest.raises(ValueError, match="hybrid: expected a payload and no distance, got codes"):
        collection.query(Codes(np.zeros((1, 2), np.uint8)), hybrid=True)
    with pytest.raises(ValueError, match="rerank_by: expected 'words', 'features' or 'both'"):
        collection.query("ship", rerank=20, rerank_by="looks")
    with pytest.raises(TypeError, match="hybrid: expected True or False"):
        collection.query("ship", hybrid="yes")
    with pytest.raises(WhereError):
        collection.query("ship", hybrid=True, where="year >")
    vectors = clustered_vectors(40)
    texts = [one.payload for one in topic_items(40)]
    for kind, payloads, options, message in (
        (
            "vector",
            vectors,
            {},
            "expected texts, whose words are to be compared, got items of kind",
        ),
        ("text", texts, {"store_text": False}, "expected the texts of the items"),
    ):
        path = tmp_path / kind
        with Indexer(path, kind, **options) as indexer:
            indexer.fit([Item(str(i), one) for i, one in enumerate(payloads)], OPTIONS)
            indexer.add(Item(str(i), one) for i, one in enumerate(payloads))
            indexer.commit()
        with Collection.open(path) as without:
            for how in ({"hybrid": True}, {"rerank": 20, "rerank_by": "words"}):
                with pytest.raises(CollectionError, match=message):
                    without.query(payloads[0], **how)
            assert without.query(payloads[0]).by == "codes"
            by = "codes and features" if kind == "text" else "codes"
            assert without.query(payloads[0], hybrid=None).by == by
            assert without.query([], hybrid=None) == []
    # where no texts are kept, a shortlist is ordered by features
    with Collection.open(tmp_path / "text") as without:
        assert without.query("ship", rerank=20).by == "features"


def test_damage_to_texts_is_found_before_their_words_are_used(tmp_path):
    path, items = tmp_path / "c", topic_items(40)
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    (file,) = (path / "segments").glob("*.texts.arrow")
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 4
    file.write_bytes(content)
    with Collection.open(path) as collection:
        assert collection.query("ship storm")
        for how in ({"hybrid": True}, {"rerank": 20}):
            with pytest.raises(DamagedError):
                collection.query("ship storm", **how)


# the command


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_the_command_asks_by_words_and_codes_and_says_so(path, collection):
    done = run("query", path, "part AB-1234/5")
    assert done.stderr.startswith("by words and codes (--codes-only: by codes alone)\n")
    shown = [line.split("\t") for line in done.stdout.splitlines()]
    assert shown[0] == ["id", "differ", "agree", "words+codes", "text"]
    assert shown[1][0] == "late-1"
    fused = [line[3] for line in shown[1:]]
    assert fused == sorted(fused, reverse=True)
    unknown = run("query", path, "quagmire", "-k", 1).stdout.splitlines()[1].split("\t")
    assert unknown[1:3] == ["-", "-"]
    hits = collection.query("the ship", k=3, hybrid=True)
    for how in ([], ["--hybrid"]):
        lines = run("query", path, "the ship", "-k", 3, "--json", *how).stdout.splitlines()
        found = list(map(json.loads, lines))
        assert [one["id"] for one in found] == [hit.id for hit in hits]
        assert {one["by"] for one in found} == {"words and codes"}
        assert [one["words"] for one in found] == [round(hit.words, 6) for hit in hits]


@pytest.mark.parametrize(
    "how",
    [
        ["--codes-only"],
        ["--radius", 3],
        ["--bucket"],
        ["--asymmetric"],
        ["--probes", 4],
        ["--rerank", 0],
        ["--index", "scan"],
    ],
)
def test_codes_alone_are_one_option_away(path, how):
    for line in run("query", path, "the ship in a storm", "--json", *how).stdout.splitlines():
        assert not {"by", "words"} & json.loads(line).keys()


def test_a_batch_is_asked_by_words_and_codes(path, tmp_path, collection):
    batch = tmp_path / "questions.jsonl"
    batch.write_text("".join(json.dumps({"id": q, "text": q}) + "\n" for q in QUESTIONS))
    for line in run("query", path, "--batch", batch).stdout.splitlines():
        found = json.loads(line)
        hits = collection.query(found["query"], hybrid=True)
        assert [one["id"] for one in found["hits"]] == [hit.id for hit in hits]
        assert found["by"] == "words and codes"
    for line in run("query", path, "--batch", batch, "--codes-only").stdout.splitlines():
        assert "by" not in json.loads(line)


def test_what_goes_with_no_option_is_refused_by_the_command(path):
    for how, message in {
        ("--hybrid", "--radius", 3): "--hybrid: expected a payload and no distance, got a radius",
        ("--hybrid", "--rerank", 20): "--hybrid: expected no --rerank beside it, got 20",
        ("--hybrid", "--asymmetric"): "--hybrid: expected no --asymmetric beside it",
        ("--rerank-by", "words"): "--rerank-by: expected --rerank beside it",
    }.items():
        done = run("query", path, "ship", *how)
        assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
    done = run("query", path, "--id", "sea-000", "--hybrid")
    assert "--hybrid: expected a payload and no distance, got a stored item" in done.stderr


def test_so_many_unread_texts_are_left_to_codes_unless_asked_for(path, monkeypatch):
    monkeypatch.setattr("hashret.search.opened.MOST_UNREAD", 10)
    monkeypatch.setattr("hashret.cli.query._MANY_UNREAD", 5)
    done = run("query", path, "the ship")
    assert "by codes alone: the words of" in done.stderr
    assert done.stdout.splitlines()[0].split() == ["id", "differ", "agree", "text"]
    done = run("query", path, "the ship", "--hybrid")
    assert "reading the words of" in done.stderr
    assert "by words and codes" in done.stderr
