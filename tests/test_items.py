"""What is given as an item, or as an id: taken by one rule, refused with a reason, never lost."""

import enum
import shutil
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret import Collection
from hashret.errors import UnknownItemError
from hashret.items import Item, id_of, ids_of
from indexer import Indexer, corpus
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


@pytest.mark.parametrize(
    "wrong", [b"12", bytearray(b"12"), None, 1.0, np.float32(1), True, np.True_, object()], ids=repr
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
