"""A folder that was put in the place of the one that was opened, by whatever way and to whomever."""

import os
import shutil

import pytest

from hashret import Collection, Item
from hashret.errors import CollectionError, DamagedError, HashretError
from indexer import Indexer, TrainingOptions
from indexer.reports import Multiples
from tests.corpora import clustered_vectors, topic_items

OPTIONS = TrainingOptions(n_bits=16, seed=0, device="cpu", multiples=Multiples(epochs=0.05))
VECTORS = clustered_vectors(60)
ITEMS = [Item(str(i), v, {"i": i}) for i, v in enumerate(VECTORS)]
NEW = [Item(f"new{i}", v * 1.5) for i, v in enumerate(VECTORS[::-1][:40])]


def made(path, items, kind="vector"):
    with Indexer(path, kind, workers=1, store_features=True) as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    return path


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """What may come into the place of "base", by name."""
    root = tmp_path_factory.mktemp("places")
    made(root / "base", ITEMS)
    made(root / "other model", NEW)
    with Indexer(shutil.copytree(root / "base", root / "next commit"), workers=1) as indexer:
        indexer.remove([item.id for item in ITEMS])
        indexer.add(NEW)
        indexer.commit()
    made(root / "texts", topic_items(60), "text")
    (root / "not one").mkdir()
    (root / "not one" / "notes.txt").write_text("mine")
    (root / "a file").write_text("mine")
    return root


def put(places, name, place):
    """Renamed away, so that the former is left as it was, or deleted: then inodes come again."""
    source = places / name
    if name == "nothing":
        return
    (shutil.copytree if source.is_dir() else shutil.copy)(source, place)


def away(how, place):
    if how == "renamed":
        place.rename(place.with_name("old"))
    else:
        shutil.rmtree(place)


def attempted(call):
    """What it returns, and the error of ours that it raises."""
    try:
        return call(), None
    except HashretError as error:
        return None, error


@pytest.fixture(params=["renamed", "deleted"])
def how(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["asked before", "not asked before"])
def opened(request, places, tmp_path):
    place = shutil.copytree(places / "base", tmp_path / "c")
    with Collection.open(place) as collection:
        if request.param:
            collection.query(VECTORS[5], k=3, rerank=9)
            collection.similar("5", where="i < 30")
        yield collection, place


@pytest.mark.parametrize("name", ["next commit", "other model"])
def test_refresh_moves_to_what_is_there_now(places, opened, how, name):
    collection, place = opened
    away(how, place)
    put(places, name, place)
    assert collection.refresh() is True
    with Collection.open(place) as fresh:
        for query in NEW[:5]:
            for options in ({}, {"rerank": 20}, {"asymmetric": True}, {"index": "faiss-flat"}):
                expected = fresh.query(query, k=5, **options)
                assert collection.query(query, k=5, **options) == expected
            assert collection.within(query, 3) == fresh.within(query, 3)
        assert list(collection.items()) == list(fresh.items())
        assert collection.similar("new3") == fresh.similar("new3")
        assert "5" not in collection
    assert collection.refresh() is False
    with Indexer(place, workers=1) as indexer:
        indexer.remove("new3")
        indexer.commit()
    assert collection.refresh() is True
    assert "new3" not in collection


@pytest.mark.parametrize("name", ["texts", "not one", "a file", "nothing"])
def test_refresh_says_what_is_no_such_collection_and_stays(places, opened, how, name):
    collection, place = opened
    before = collection.similar("5")
    away(how, place)
    put(places, name, place)
    for _ in range(2):
        with pytest.raises(CollectionError, match="expected") as caught:
            collection.refresh()
        assert not isinstance(caught.value, DamagedError)
    assert len(collection) == len(ITEMS)
    assert collection.similar("5") == before  # from the files that it has opened
    collection.close()
    with pytest.raises(CollectionError, match="closed"):
        collection.refresh()


@pytest.mark.parametrize("name", ["next commit", "other model", "texts", "a file", "nothing"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.query(VECTORS[5], k=1)[0].id,
        lambda c: c.query(VECTORS[5], k=1, rerank=9)[0].id,
        lambda c: len(c.within(VECTORS[5], 16)),
        lambda c: len(c.similar("5", 60, include_self=True)),
        lambda c: sorted(item.id for item in c.items()),
        lambda c: c.get("5").metadata,
        lambda c: len(c.query(VECTORS[5], k=60, where="i < 30")),
        lambda c: c.description["encoder"]["kind"],
    ],
    ids=["query", "rerank", "within", "similar", "items", "get", "where", "description"],
)
def test_what_is_asked_before_refresh_is_as_before_or_said(places, opened, how, name, ask):
    collection, place = opened
    with Collection.open(places / "base") as base:
        truth = ask(base)
    away(how, place)
    put(places, name, place)
    found, error = attempted(lambda: ask(collection))
    assert error is not None or found == truth
    assert error is None or "since it was opened" in str(error)
    assert not isinstance(error, DamagedError)


def test_another_folders_journal_is_left_alone(places, tmp_path):
    place = shutil.copytree(places / "base", tmp_path / "c")
    with Collection.open(place) as collection, Indexer(place, workers=1) as indexer:
        away("renamed", place)
        put(places, "next commit", place)
        journal = place / "catalog.sqlite-journal"
        journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600))  # as if being written
        for call in (lambda: indexer.remove("5"), indexer.commit):
            with pytest.raises(CollectionError, match="since it was opened"):
                call()
        assert collection.get("5").id == "5"  # of the same file in either folder
        assert journal.exists()


@pytest.mark.parametrize("name", ["next commit", "other model", "a file", "nothing"])
def test_a_writer_writes_into_no_other_folder(places, tmp_path, how, name):
    place = shutil.copytree(places / "base", tmp_path / "c")
    with Indexer(place, workers=1) as indexer:
        indexer.add([Item("more", VECTORS[7] * 2)])
        away(how, place)
        put(places, name, place)
        before = {path: path.read_bytes() for path in tmp_path.glob("c/**/*") if path.is_file()}
        for call in (indexer.commit, indexer.compact, lambda: indexer.add(NEW)):
            with pytest.raises(CollectionError, match="nothing was committed"):
                call()
    after = {path: path.read_bytes() for path in tmp_path.glob("c/**/*") if path.is_file()}
    assert after == before


def test_a_new_collection_that_was_replaced_is_not_deleted(places, tmp_path):
    place = tmp_path / "c"
    with Indexer(place, "vector", workers=1):
        away("renamed", place)
        put(places, "base", place)
    with Collection.open(place) as collection:
        assert len(collection) == len(ITEMS)


def test_a_relative_path_stays_where_it_led(places, tmp_path, monkeypatch):
    shutil.copytree(places / "base", tmp_path / "c")
    monkeypatch.chdir(tmp_path)
    with Collection.open("c") as collection, Indexer("c", workers=1) as indexer:
        os.chdir("/")
        assert collection.query(VECTORS[5], k=1, rerank=20)[0].id == "5"
        assert collection.refresh() is False
        indexer.add([Item("more", VECTORS[7] * 2)])
        assert indexer.commit().n_items == len(ITEMS) + 1
        assert collection.refresh() is True
        assert "more" in collection
