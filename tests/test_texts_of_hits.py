"""The text of a hit and of a stored item: whole, of the commit that was asked, read when asked."""

import copy
import json
import pickle
import shutil
import threading
from dataclasses import asdict, replace

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection, Hit, Item, StoredItem
from hashret.errors import CollectionError
from hashret.store.segments.value_files import Values
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import clustered_vectors, topic_items

OPTIONS = TrainingOptions(n_bits=16, preset="dense", device="cpu")
LONG = " storm and harbour" * 200


@pytest.fixture(scope="module")
def items():
    return [replace(item, payload=item.payload + LONG) for item in topic_items(90)]


@pytest.fixture(scope="module")
def made(items, tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "c"
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    return path


@pytest.fixture
def path(made, tmp_path):
    return shutil.copytree(made, tmp_path / "c")


@pytest.fixture
def read(monkeypatch):
    """The rows whose texts were read."""
    read = []
    value = Values.value
    monkeypatch.setattr(Values, "value", lambda self, row: (read.append(row), value(self, row))[1])
    return read


def test_a_hit_has_its_whole_text_and_reads_it_once_when_asked(made, items, read):
    said = {item.id: item.payload for item in items}
    with Collection.open(made) as collection:
        hits = collection.query(items[7].payload, k=90)
        repr(hits), hits == collection.query(items[7].payload, k=90)
        assert read == []
        assert {hit.id: hit.text for hit in hits} == said
        assert len(read) == 90
        assert hits[0].text is hits[0].text
        assert len(read) == 90
        for hit in collection.similar(items[3].id, k=3, rerank=20):
            assert hit.text == said[hit.id]
        assert len(hits[0].preview) < len(hits[0].text)


def test_a_stored_item_has_its_text(made, items, read):
    with Collection.open(made) as collection:
        stored = {one.id: one for one in collection.items()}
        one, two = collection.get([items[5].id, items[80].id])
        assert read == []
        assert (one.text, two.text) == (items[5].payload, items[80].payload)
        assert all(stored[item.id].text == item.payload for item in items)
        assert collection.get(items[5].id) == one
        assert replace(one, text="another") != one
        assert LONG not in repr(one)


def test_a_copy_of_a_hit_takes_its_text_along(made, items):
    with Collection.open(made) as collection:
        hits = collection.query(items[7].payload, k=4)
    texts = {item.id: item.payload for item in items}
    for hit in hits:  # the collection is closed, and its files are there
        again = pickle.loads(pickle.dumps(hit))  # noqa: S301
        for one in (again, copy.copy(hit), copy.deepcopy(hit), replace(hit, distance=3)):
            assert one.text == texts[hit.id]
            assert type(one) is Hit
        assert again == hit
        assert json.loads(json.dumps(asdict(hit)))["text"] == texts[hit.id]
    assert pickle.loads(pickle.dumps(hits)) == hits  # noqa: S301


def test_a_hit_made_by_hand_has_the_text_it_is_given():
    assert Hit("a", 1, 0.5, "00", {}).text is None
    assert Hit("a", 1, 0.5, "00", {}, text="words").text == "words"
    assert StoredItem("a", {}, "00", "w", "words").text == "words"
    assert Hit("a", 1, 0.5, "00", {}, text="words") == Hit("a", 1, 0.5, "00", {})


def changed(path, items, *, compact):
    with Indexer(path) as indexer:
        indexer.add([Item(items[7].id, "an orbit of the comet", items[7].metadata)])
        indexer.remove([items[8].id])
        indexer.commit()
        if compact:
            indexer.compact()
    with Indexer(path) as indexer:
        if compact:
            indexer.compact()


@pytest.mark.parametrize("compact", [False, True])
def test_a_text_is_that_of_the_commit_that_was_asked(path, items, compact):
    with Collection.open(path) as collection:
        before = {hit.id: hit for hit in collection.query(items[7].payload, k=90)}
        stored = collection.get([items[7].id, items[8].id])
        changed(path, items, compact=compact)
        assert collection.refresh()
        changed(path, items[20:], compact=compact)  # whoever compacts sees that hits are held
        collection.refresh()
        assert [one.text for one in stored] == [items[7].payload, items[8].payload]
        assert all(before[item.id].text == item.payload for item in items)
        assert collection.get(items[7].id).text == "an orbit of the comet"


def test_hits_of_a_closed_collection_have_texts_until_these_are_deleted(path, items):
    with Collection.open(path) as collection:
        hits = collection.query(items[7].payload, k=3)
    with Collection.open(path) as collection:
        read = collection.query(items[7].payload, k=3)
        assert read[0].text
    changed(path, items, compact=True)
    assert read[1].text, "its file was opened before"
    with pytest.raises(CollectionError, match="closed, and then its file deleted"):
        hits[0].text  # noqa: B018


def test_a_hit_holds_its_commit_while_somebody_has_it(path, items):
    with Collection.open(path) as collection:
        hits = collection.query(items[7].payload, k=3)
        first = collection.commit
        changed(path, items, compact=False)
        collection.refresh()
        with Indexer(path) as indexer:
            assert indexer.compact().oldest == first
            assert hits[0].text in {item.payload for item in items}
            del hits
            assert indexer.compact().oldest == collection.commit > first


def test_no_texts_are_kept(tmp_path, items):
    with Indexer(tmp_path / "t", "text", store_text=False) as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    vectors = [Item(str(i), v) for i, v in enumerate(clustered_vectors(20))]
    with Indexer(tmp_path / "v", "vector") as indexer:
        indexer.fit(vectors, OPTIONS)
        indexer.add(vectors)
        indexer.commit()
    for name, payload, item_id in (("t", "ship", items[0].id), ("v", np.ones(24), 3)):
        with Collection.open(tmp_path / name) as collection:
            assert collection.query(payload, k=1)[0].text is None
            assert collection.get(item_id).text is None


def test_the_command_line_shows_texts(made, items):
    def run(*arguments):
        done = CliRunner().invoke(main, [str(one) for one in arguments])
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    texts = {item.id: item.payload for item in items}
    assert run("get", made, items[4].id, "--json")[0]["text"] == items[4].payload
    assert all("text" not in hit for hit in run("query", made, "a ship", "--json"))
    for verb in (("query", made, "a ship"), ("similar", made, items[3].id)):
        hits = run(*verb, "-k", 3, "--json", "--text")
        assert [hit["text"] for hit in hits] == [texts[hit["id"]] for hit in hits]
    batch = made.parent / "batch.jsonl"
    batch.write_text('{"id": "q", "text": "a ship"}\n')
    (answer,) = run("query", made, "--batch", batch, "--text")
    assert [hit["text"] for hit in answer["hits"]] == [texts[h["id"]] for h in answer["hits"]]
    refused = CliRunner().invoke(main, ["query", str(made), "a ship", "--text"])
    assert refused.exit_code == 2
    assert "--text goes with --json" in refused.stderr


def test_threads_read_the_same_texts(made, items):
    said = {item.id: item.payload for item in items}
    wrong = []
    with Collection.open(made) as collection:
        shared = collection.query(items[0].payload, k=90)

        def ask(start):
            for i in range(start, start + 15):
                hits = collection.query(items[i % 90].payload, k=5)
                got = {hit.id: hit.text for hit in (*hits, *shared[::7])}
                stored = collection.get([items[(i * 7) % 90].id, items[i % 90].id])
                got |= {one.id: one.text for one in stored}
                wrong.extend(key for key, text in got.items() if said[key] != text)

        threads = [threading.Thread(target=ask, args=(11 * n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
