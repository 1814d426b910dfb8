"""Items without a code: kept, found by id and condition, encoded once a model knows them."""

import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.errors import CollectionError, InputError
from hashret.items import Item
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import topic_items

OPTIONS = TrainingOptions(n_bits=16, epochs=1)
ODD = Item("odd", "xylophone zither", {"topic": "none", "year": 1999})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c"


def filled(path, items, **how):
    with Indexer(path, "text", **how) as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()


def ids(hits):
    return [hit.id for hit in hits]


def test_a_text_of_unknown_words_is_kept_and_is_never_a_hit(path):
    items = topic_items(40)
    filled(path, items)
    with Indexer(path) as indexer:
        tally = indexer.add([ODD])
        commit = indexer.commit()
    assert (tally.added, tally.uncoded, tally.n_skipped) == (1, 1, 0)
    assert (commit.n_items, commit.n_uncoded) == (41, 1)
    with Collection.open(path) as collection:
        assert (len(collection), len(collection.codes)) == (41, 40)
        assert collection.info()["uncoded"] == 1
        stored = collection.get("odd")
        assert (stored.code, stored.text, stored.metadata) == ("", ODD.payload, ODD.metadata)
        assert "odd" in collection
        assert collection.find(["odd", items[0].id]).tolist()[0] == -1
        assert [item.id for item in collection.items(where="topic == 'none'")] == ["odd"]
        assert "odd" in [item.id for item in collection.items()]
        assert "odd" not in ids(collection.query(items[0].payload, k=100))
        assert "odd" not in ids(collection.within(items[0].payload, 16))
        nothing = collection.query(items[0].payload, where="topic == 'none'")
        assert not len(nothing)
        assert nothing.note
        alone = collection.similar("odd")
        assert not len(alone)
        assert "no code" in alone.note
        both = collection.similar(["odd", items[0].id], k=3)
        assert ids(both[1]) == ids(collection.similar(items[0].id, k=3))
        assert len(collection.column("topic")) == 40


def test_an_item_without_a_code_is_unchanged_replaced_removed_and_compacted(path):
    filled(path, topic_items(40))
    with Indexer(path) as indexer:
        indexer.add([ODD])
        indexer.commit()
    with Indexer(path) as indexer:
        assert indexer.add([ODD]).unchanged == 1
    with Indexer(path) as indexer:
        tally = indexer.add([Item("odd", "ship and sail", {})])
        indexer.commit()
        assert (tally.replaced, tally.uncoded) == (1, 0)
        assert indexer.compact().dropped == 1
    with Collection.open(path) as collection:
        assert collection.get("odd").code
    with Indexer(path) as indexer:
        indexer.add([ODD])
        indexer.commit()
        indexer.compact()
    with Collection.open(path) as collection:
        assert collection.get("odd").code == ""
    with Indexer(path) as indexer:
        assert indexer.remove("odd") == 1
        assert indexer.commit().n_uncoded == 0


def test_texts_can_be_added_before_anything_is_learned(path):
    items = topic_items(40)
    with Indexer(path, "text") as indexer:
        tally = indexer.add(items)
        assert (tally.added, tally.uncoded) == (40, 40)
        commit = indexer.commit()
    assert (commit.model, commit.n_items, commit.n_uncoded) == (None, 40, 40)
    with Collection.open(path) as collection:
        assert collection.get(items[3].id).text == items[3].payload
        assert len(list(collection.items(where="topic == 'sea'"))) == 10
        with pytest.raises(CollectionError, match="without"):
            collection.query("ship")
        with Indexer(path) as indexer:
            indexer.fit(options=OPTIONS)
            assert indexer.tally.encoded_again == 40
            assert indexer.add(items).unchanged == 40
            assert indexer.commit().n_uncoded == 0
        assert collection.refresh()
        assert collection.query(items[0].payload, k=1)[0].distance == 0


def test_fitting_encodes_what_was_added_before(path):
    items = topic_items(40)
    with Indexer(path, "text") as indexer:
        indexer.add(items[:10])
        indexer.fit(items, OPTIONS)
        assert indexer.add(items).unchanged == 10
        commit = indexer.commit()
    assert (commit.n_items, commit.n_uncoded) == (40, 0)


def test_learning_from_what_is_stored_is_as_learning_from_the_source(tmp_path):
    items = topic_items(40)
    filled(tmp_path / "source", items)
    with Indexer(tmp_path / "stored", "text") as indexer:
        indexer.add(items)
        indexer.fit(options=OPTIONS)
        indexer.commit()
    with (
        Collection.open(tmp_path / "source") as one,
        Collection.open(tmp_path / "stored") as other,
    ):
        assert [one.get(i.id).code for i in items] == [other.get(i.id).code for i in items]


def test_retrain_needs_no_source_and_gives_codes_to_what_had_none(path):
    filled(path, topic_items(40))
    with Indexer(path) as indexer:
        indexer.add([Item(f"odd-{i}", "xylophone zither viola", {}) for i in range(5)])
        assert indexer.commit().n_uncoded == 5
    found = CliRunner().invoke(main, ["retrain", str(path), "--bits", "24", "-q"])
    assert found.exit_code == 0, found.output
    assert "encoded 45 items again" in found.output
    with Collection.open(path) as collection:
        assert (collection.n_bits, collection.info()["uncoded"]) == (24, 0)
        assert collection.query("xylophone zither viola", k=1)[0].distance == 0


def test_texts_that_are_not_stored_cannot_be_added_first(tmp_path):
    filled(tmp_path / "texts", topic_items(40), store_text=False)
    with Collection.open(tmp_path / "texts") as collection:
        assert collection.get(topic_items(1)[0].id).text is None
    with (
        Indexer(tmp_path / "new", "text", store_text=False) as indexer,
        pytest.raises(CollectionError, match="call fit before add"),
    ):
        indexer.add(topic_items(4))
    assert not (tmp_path / "new").exists()


def test_texts_are_stored_of_texts_only_and_of_all_or_none(tmp_path):
    items = topic_items(40)
    filled(tmp_path / "texts", items)
    with pytest.raises(InputError, match="store_text: expected a collection of texts"):
        Indexer(tmp_path / "vectors", "vector", store_text=True)
    assert not (tmp_path / "vectors").exists()
    with pytest.raises(TypeError, match="store_text"):
        Indexer(tmp_path / "texts", store_text="yes")
    source = tmp_path / "a.jsonl"
    source.write_text('{"id": "a", "text": "a ship and a sail"}\n', encoding="utf-8")
    for option, said in (("--no-store-text", "stores texts; --no-store-text needs --retrain"),):
        for dry in ([], ["--dry-run"]):
            command = ["index", str(source), "--to", str(tmp_path / "texts"), option, *dry]
            found = CliRunner().invoke(main, command)
            assert found.exit_code == 1
            assert said in found.output


def test_prune_counts_what_was_encoded_again_as_held_before(path):
    items = topic_items(40)
    filled(path, items)
    with Indexer(path) as indexer:
        indexer.fit(options=OPTIONS)
        indexer.add(items[:30])
        assert indexer.prune() == 10
        assert indexer.commit().n_items == 30
