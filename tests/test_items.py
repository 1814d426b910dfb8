"""What is given as an item, or as an id: taken by one rule, refused with a reason, never lost."""

import dataclasses
import datetime as dt
import enum
import json
import math
import re
import shutil
import uuid
from collections import Counter
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hashret import Collection
from hashret.errors import EmptyCommitWarning, PayloadError, UnknownItemError
from hashret.items import Item, id_of, ids_of, metadata_of
from indexer import Indexer, corpus
from indexer.cli import main
from indexer.corpus import ERROR_CLASSES, Skipped
from indexer.corpus.given import taken
from indexer.dry_run import Rehearsal
from indexer.evaluation import evaluate, evaluate_judged
from tests.corpora import clustered_vectors
from tests.torture.bases import quick

A_UUID = uuid.UUID(int=12)


class Name(enum.StrEnum):
    TWELVE = "12"


class Number(enum.IntEnum):
    TWELVE = 12


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A collection of 60 vectors whose ids are "0" to "58", and that of `A_UUID`."""
    path = tmp_path_factory.mktemp("numbered") / "c"
    vectors = clustered_vectors(60)
    items = [Item(str(i), v, {"i": i}) for i, v in enumerate(vectors[:-1])]
    items.append(Item(str(A_UUID), vectors[-1]))
    with Indexer(path, "vector", workers=1) as indexer:
        indexer.fit(items, quick("vector"))
        indexer.add(items)
        indexer.commit()
    return path


@pytest.fixture
def writable(numbered, tmp_path):
    return shutil.copytree(numbered, tmp_path / "copy")


def ids_in(path):
    with Collection.open(path) as collection:
        return {item.id for item in collection.items()}


@pytest.mark.parametrize(
    ("one", "item_id"),
    [
        ("12", "12"),
        (np.str_("12"), "12"),
        (Name.TWELVE, "12"),
        (12, "12"),
        (np.int64(12), "12"),
        (np.uint8(12), "12"),
        (Number.TWELVE, "12"),
        (-3, "-3"),
        (A_UUID, str(A_UUID)),
    ],
)
def test_an_id_is_one_id_wherever_ids_are_taken(numbered, tmp_path, one, item_id):
    assert ids_of(one) == ([item_id], True)
    assert ids_of([one]) == ([item_id], False)
    assert type(id_of(one)) is str
    with Collection.open(numbered) as collection:
        here = item_id != "-3"
        assert (one in collection) is here
        assert (collection.find(one) >= 0).tolist() == (collection.find([one]) >= 0).tolist()
        assert (collection.find(one) >= 0).tolist() == [here]
        if here:
            assert collection.get(one).id == item_id
            assert collection.similar(one, k=3) == collection.similar([one], k=3)[0]
            assert collection.similar_within(one, 8) == collection.similar_within(item_id, 8)
    copy = shutil.copytree(numbered, tmp_path / "copy")
    with Indexer(copy, workers=1) as indexer:
        if not here:
            with pytest.raises(UnknownItemError):
                indexer.remove(one)
            return
        assert indexer.remove(one) == 1
        indexer.commit()
    assert ids_in(numbered) - ids_in(copy) == {item_id}


@pytest.mark.parametrize(
    "many", [["1", 2], (1, "2"), {"1", "2"}, np.array([1, 2]), iter("12"), range(1, 3)]
)
def test_several_ids_are_any_iterable_of_them(writable, many):
    before = ids_in(writable)
    with Indexer(writable, workers=1) as indexer:
        assert indexer.remove(many) == 2
        indexer.commit()
    assert before - ids_in(writable) == {"1", "2"}


def test_ids_that_are_not_there_are_passed_over_if_asked_to(writable):
    with Indexer(writable) as indexer:
        assert indexer.remove([3, "ghost", np.int64(3), "5", 10**6], missing_ok=True) == 2
        assert indexer.remove(["3", "ghost"], missing_ok=True) == 0
        assert indexer.remove([], missing_ok=True) == 0
        assert indexer.tally.removed == 2
        with pytest.raises(UnknownItemError, match="'ghost'"):
            indexer.remove(["7", "ghost"])
        with pytest.raises(TypeError, match="missing_ok: expected True or False"):
            indexer.remove("7", missing_ok="yes")
        indexer.commit()
    with Collection.open(writable) as collection:
        assert ("3" in collection, 5 in collection, 7 in collection) == (False, False, True)


def test_several_ids_of_any_sort_are_got_in_their_order(writable):
    with Collection.open(writable) as collection:
        for ids in ([12, "7", np.uint8(12)], (12, "7", "12"), iter(["12", 7, 12])):
            assert [item.id for item in collection.get(ids)] == ["12", "7", "12"]
        assert collection.get([7]) == [collection.get(7)]
        assert collection.get([]) == []
        assert [len(hits) for hits in collection.similar([12, "7"], k=3)] == [3, 3]
        with pytest.raises(UnknownItemError, match="'ghost'"):
            collection.get([7, "ghost"])
        with pytest.raises(TypeError, match="id: expected a string, an integer or a UUID"):
            collection.get([7, 1.5])


@pytest.mark.parametrize(
    "wrong",
    [b"12", bytearray(b"12"), None, 1.0, np.float32(1), True, np.True_, object()],
    ids=lambda wrong: type(wrong).__name__,
)
def test_what_is_no_id_is_refused_in_words_and_nothing_is_removed(writable, wrong):
    says = "id: expected a string, an integer or a UUID, got"
    with Collection.open(writable) as collection:
        calls = [collection.get, collection.similar, collection.similar_within, collection.find]
        calls += [collection.__contains__, lambda one: collection.similar(["1", one])]
        for call in calls:
            with pytest.raises(TypeError, match=says):
                call(wrong)
    with Indexer(writable, workers=1) as indexer:
        for ids in (wrong, ["1", wrong]):
            with pytest.raises(TypeError, match=says):
                indexer.remove(ids)
        indexer.commit()
    assert len(ids_in(writable)) == 60


def test_an_integer_that_python_cannot_write_is_refused():
    with pytest.raises(ValueError, match="at most 4,214 digits"):
        id_of(10**5000)
    assert id_of(10**4200) == "1" + "0" * 4200


@given(st.one_of(st.text(), st.integers(), st.uuids()))
def test_an_id_stays_the_same_when_it_is_taken_again(one):
    assert id_of(id_of(one)) == id_of(one) == str(one)


def test_one_path_is_one_source_and_not_its_letters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ab", "a", "b"):
        (tmp_path / name).write_text(f"the words of {name}")
    for one in ("ab", tmp_path / "ab"):
        assert corpus.infer_kind(one) == "text"
        assert [item.id for item in corpus.read(one, "text")] == ["ab"]


class Broken:
    def __repr__(self):
        raise RuntimeError("a stranger's")


NESTED: dict = {}
for _ in range(200):
    NESTED = {"a": NESTED}
LOOP: list = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.25), 0.25),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (Name.TWELVE, "12"),
        (Number.TWELVE, 12),
        (None, None),
        (2**70, 2**70),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.datetime(2024, 1, 2, 3, 4), "2024-01-02T03:04:00"),
        (dt.datetime(2024, 1, 2, tzinfo=dt.UTC), "2024-01-02T00:00:00+00:00"),
        (dt.time(3, 4), "03:04:00"),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (np.datetime64("2024-01-02T03:04"), "2024-01-02T03:04"),
        (A_UUID, str(A_UUID)),
        (Path("a/b.txt"), str(Path("a/b.txt"))),
        ((1, np.int8(2), [None]), [1, 2, [None]]),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array(1.5), 1.5),
        ({"a": {1: np.float64(2)}}, {"a": {"1": 2.0}}),
        (MappingProxyType({"a": ("b",)}), {"a": ["b"]}),
    ],
    ids=repr,
)
def test_metadata_is_kept_as_json_values_by_a_rule(value, kept):
    found = metadata_of({"v": value, "w": [value]})
    assert found == {"v": kept, "w": [kept]}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert type(found["v"]) is type(kept)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"a": math.nan}, r"metadata\['a'\]: expected finite numbers, got float nan"),
        ({"a": [1, np.float32("inf")]}, r"metadata\['a'\]\[1\]: expected finite numbers"),
        ({"a": {"b": b"x"}}, r"metadata\['a'\]\['b'\]: expected what JSON can hold, got bytes"),
        ({"a": {1, 2}}, r"metadata\['a'\]: expected what JSON can hold, got set"),
        ({"a": object()}, r"metadata\['a'\]: expected what JSON can hold, got object"),
        ({"a": Broken()}, r"metadata\['a'\]: .* got Broken that cannot be shown"),
        ({"a": np.datetime64("NaT")}, r"metadata\['a'\]: expected a time, got datetime64"),
        ({"a": 1j}, r"metadata\['a'\]: .* got complex"),
        ({"a": np.array([b"x"])}, r"metadata\['a'\]\[0\]: .* got bytes"),
        ({"a": 10**5000}, r"metadata\['a'\]: expected integers of at most 4,214 digits"),
        ({1.5: 2}, "metadata: expected strings or integers as keys, got float 1.5"),
        ({"a": {None: 2}}, r"metadata\['a'\]: expected strings or integers as keys, got NoneType"),
        ({"1": 2, 1: 3}, "metadata: expected each key once, and got the key '1' twice"),
        ({"a": NESTED}, r"metadata\['a'\]: expected values nested at most 100 deep"),
        ({"a": LOOP}, r"metadata\['a'\]: expected values nested at most 100 deep"),
        ([("a", 1)], "metadata: expected a mapping of names and values, got list"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_json_cannot_hold_is_refused_by_its_key(metadata, says):
    with pytest.raises(PayloadError, match=says):
        metadata_of(metadata)
    (refused,) = taken([Item(5, "text", metadata)])
    assert (refused.id, refused.error_class) == ("5", "bad-metadata")
    assert re.search(says, refused.reason)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False).filter(math.isfinite),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON))
def test_json_values_stay_what_they_are(metadata):
    assert metadata_of(metadata) == metadata
    assert json.dumps(metadata_of(metadata)) == json.dumps(metadata)


_IDS = st.sampled_from(["a", "b", "", "\ud800", "a\0b", "x" * 5000]) | st.one_of(
    st.integers(0, 5), st.uuids(), st.floats(), st.none(), st.binary(max_size=2), st.booleans()
)
_METADATA = st.sampled_from(
    [None, {}, {"a": 1}, {"a": math.nan}, {"a": b"x"}, {1: 2}, {None: 2}, {"a": NESTED}, [], "a"]
)
_PAYLOADS = st.sampled_from(
    [np.ones(24), np.zeros(24), np.ones(3), np.full(24, np.nan), "text", None, [1.0] * 24]
)
_GIVEN = st.one_of(
    st.builds(Item, _IDS, _PAYLOADS, _METADATA),
    st.builds(Skipped, st.sampled_from(["a", "f.txt"]), st.just("why"), st.just("bad-text")),
    st.sampled_from([None, 5, "a", b"a", ("a", np.ones(24)), {"id": "a"}, Item, object()]),
)


@pytest.fixture(scope="module")
def writing(numbered, tmp_path_factory):
    path = shutil.copytree(numbered, tmp_path_factory.mktemp("writing") / "c")
    with Indexer(path, workers=1) as indexer:
        yield indexer


@given(things=st.lists(_GIVEN, max_size=12))
def test_everything_given_is_counted_once(writing, numbered, things):
    before = dataclasses.replace(writing.tally, skipped=Counter(writing.tally.skipped))
    tally = writing.add(iter(things))
    skipped = tally.skipped - before.skipped
    added = tally.added + tally.replaced - before.added - before.replaced
    assert tally.seen - before.seen == len(things)
    assert added + skipped.total() + tally.unchanged - before.unchanged == len(things)
    assert skipped.total() >= sum(not isinstance(one, Item) for one in things)
    assert set(skipped) <= set(ERROR_CLASSES)
    with Rehearsal(numbered, "vector", workers=1) as rehearsal:
        assert rehearsal.add(iter(things)).seen == len(things)


@pytest.mark.parametrize("wrong", ["text", b"text", Item("a", "text"), {"a": "text"}, 5, None])
def test_what_is_no_iterable_of_items_is_refused(writable, tmp_path, wrong):
    with Indexer(writable, workers=1) as indexer:
        calls = [indexer.add, indexer.fit, lambda x: list(indexer.requiring_all(x))]
        if wrong is None:  # which stands for what the collection holds
            calls.remove(indexer.fit)
        for call in calls:
            with pytest.raises(TypeError, match="items: expected an iterable of Item, got"):
                call(wrong)


def test_items_of_any_ids_and_metadata_are_stored_found_and_known_again(writable):
    v = np.linspace(1, 2, 24, dtype="float32")
    when = dt.date(2024, 5, 6)
    items = [
        Item(1000, v, {"when": when, "n": np.int64(3)}),
        Item(np.uint16(1001), v, None),
        Item(uuid.UUID(int=7), v, {"none": None, "path": Path("a")}),
    ]
    for expected in ("added", "unchanged"):
        with Indexer(writable, workers=1) as indexer:
            tally = indexer.add(items)
            assert (tally.seen, getattr(tally, expected)) == (3, 3)
            indexer.commit()
    with Collection.open(writable) as c:
        assert c.get("1000").metadata == {"when": "2024-05-06", "n": 3}
        assert c.get(1001).metadata == {}
        assert c.get(uuid.UUID(int=7)).metadata == {"none": None, "path": "a"}
        where = "when >= '2024-05' and when < '2024-06' and n == 3 and none is null"
        assert [item.id for item in c.items(where=where)] == ["1000"]


def test_a_commit_without_items_after_fit_or_add_says_why(writable, tmp_path):
    v = clustered_vectors(60)
    with Indexer(tmp_path / "new", "vector", workers=1) as indexer:
        generator = (Item(i, one) for i, one in enumerate(v))
        indexer.fit(generator, quick("vector"))
        assert indexer.add(generator).seen == 0
        with pytest.warns(EmptyCommitWarning, match="no item was given to add; a generator"):
            assert indexer.commit().n_items == 0
        indexer.add([Item("a", None), 5])
        with pytest.warns(EmptyCommitWarning, match=r"2 of 2 items .* \(the first: "):
            indexer.commit()
        indexer.add(Item(i, one) for i, one in enumerate(v))
        assert indexer.commit().n_items == 60
        indexer.remove(range(60))
        assert indexer.commit().n_items == 0, "which was asked for, and is no reason to warn"
    with Indexer(writable, workers=1) as indexer:
        indexer.add(iter(()))
        indexer.prune()
        with pytest.warns(EmptyCommitWarning, match="no item was given to add"):
            indexer.commit()


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_sources_of_which_nothing_can_be_used_are_an_error(writable, tmp_path, there, dry):
    np.save(tmp_path / "bad.npy", np.full((3, 24), np.nan, np.float32))
    to = writable if there else tmp_path / "new"
    report = tmp_path / "report"
    command = ["index", tmp_path / "bad.npy", "--to", to, "--report", report, "--prune", *dry]
    done = CliRunner().invoke(main, [str(one) for one in command])
    assert done.exit_code == 1
    assert "+ 0 unchanged + 3 skipped" in done.stdout
    assert "expected finite numbers" in done.stderr
    assert len(report.read_text().splitlines()) == 3
    assert len(ids_in(writable)) == 60
    assert there or not to.exists()


def test_queries_and_judgements_take_ids_by_the_same_rule(numbered):
    pytest.importorskip("ir_measures")
    v = clustered_vectors(60)
    asked = [Item(np.int64(7), v[7]), Item(A_UUID, v[-1]), ("no", "item")]
    judgements = {7: {7: 1}, A_UUID: {A_UUID: 1}}
    with Collection.open(numbered) as c:
        found = evaluate_judged(c, asked, judgements)
        assert (found.n_queries, found.unknown) == (2, 0)
        labelled = evaluate(c, [Item(3, v[3], {"i": np.int64(3)}), Item("q", v[3], {"i": 3})], "i")
        assert (labelled.n_queries, labelled.skipped) == (2, [])
