"""A document that comes again: what did not change keeps its code, what it has no more is gone."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret import Collection, Item
from hashret.errors import CollectionError, InputError
from indexer import Indexer
from indexer.cli import main
from indexer.corpus import Skipped
from indexer.dry_run import Rehearsal
from indexer.ingest import encode, intake, segments
from tests.corpora import topic_items
from tests.torture.bases import items_of, quick

WORDS = 20


def documents(n=8, paragraphs=6):
    """n documents of so many paragraphs, each of which is a passage."""
    texts = [item.payload for item in topic_items(n * paragraphs)]
    return [
        Item(f"d{i}.txt", "\n\n".join(texts[i * paragraphs : (i + 1) * paragraphs]), {"n": i})
        for i in range(n)
    ]


def paragraph(i):
    return topic_items(200)[i + 100].payload


def changed(item, change):
    parts = item.payload.split("\n\n")
    return replace(item, payload="\n\n".join(change(parts)))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(intake, "BATCH", 7)
    monkeypatch.setattr(segments, "SEGMENT", 16)


@pytest.fixture
def encoded(monkeypatch):
    """The texts that were encoded."""
    found = []
    usable = encode.usable_features

    def noted(featurizer, prepared):
        found.extend(prepared)
        return usable(featurizer, prepared)

    monkeypatch.setattr(encode, "usable_features", noted)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "c"
    with Indexer(path, "text", passages=WORDS, workers=1) as indexer:
        indexer.fit(documents(), quick("text"))
        indexer.add(documents())
        indexer.commit()
    return path


@pytest.fixture
def place(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "c"))


def add(path, items, *, prune=False, **options):
    with Indexer(path, workers=1, **options) as indexer:
        indexer.add(items)
        if prune:
            indexer.prune()
        indexer.commit()
        return indexer.tally


def stored(path):
    """Everything that the collection says of each item, by id; and its features."""
    with Collection.open(path) as collection:
        items = {item.id: (item.code, item.metadata, item.text) for item in collection.items()}
        positions = collection.find(items)
        features = collection.features(positions).to_dense()
    return items, features


def anew(path, items):
    """The same where the items come into the collection's model without anything there before."""
    empty = Path(shutil.copytree(path, path.with_name(f"{path.name}-anew")))
    with Indexer(empty, workers=1) as indexer:
        with Collection.open(empty) as collection:
            indexer.remove(collection.ids())
        indexer.commit()
        tally = indexer.add(items)
        indexer.commit()
    assert not tally.codes_kept
    return stored(empty)


def same(one, other):
    assert one[0] == other[0]
    assert np.array_equal(one[1], other[1])


def test_each_paragraph_is_a_passage(made):
    items, _ = stored(made)
    assert sorted(items) == [f"d{i}.txt#{n}" for i in range(8) for n in range(1, 7)]
    for i, document in enumerate(documents()):
        for n, text in enumerate(document.payload.split("\n\n"), start=1):
            _, metadata, kept = items[f"d{i}.txt#{n}"]
            assert kept == text == document.payload[metadata["start"] : metadata["end"]]
            assert metadata["document"] == document.id
            assert (metadata["passage"], metadata["n"]) == (n, i)


def test_what_is_the_same_is_unchanged(place, encoded):
    tally = add(place, documents())
    assert (tally.unchanged, tally.seen, tally.removed, tally.codes_kept) == (48, 48, 0, 0)
    assert encoded == []


def test_an_inserted_paragraph_is_all_that_is_encoded(place, encoded):
    items = documents()
    items[2] = changed(items[2], lambda parts: [parts[0], paragraph(0), *parts[1:]])
    tally = add(place, items)
    assert encoded == [paragraph(0)]
    assert (tally.added, tally.replaced, tally.unchanged) == (1, 5, 43)
    assert (tally.codes_kept, tally.removed) == (5, 0)
    same(stored(place), anew(place, items))


def test_rows_are_in_the_order_of_the_source(place, encoded):
    item = changed(documents()[3], lambda parts: [parts[1], parts[0], paragraph(0), *parts[3:]])
    assert add(place, [item]).codes_kept == 5
    assert encoded == [paragraph(0)]
    with Collection.open(place) as collection:
        assert collection.ids()[-6:] == [f"d3.txt#{n}" for n in range(1, 7)]


def test_what_a_document_has_no_more_is_removed(place, encoded):
    items = documents()
    items[2] = changed(items[2], lambda parts: parts[:4])
    items[5] = changed(items[5], lambda parts: parts[3:])
    tally = add(place, [items[2], items[5], Skipped("d7.txt", "unreadable", "damaged")])
    assert encoded == []
    assert (tally.replaced, tally.unchanged, tally.codes_kept) == (3, 4, 3)
    assert (tally.removed, tally.left_over) == (5, 5)
    same(stored(place), anew(place, items))


def test_no_gap_hides_what_is_left_over(place):
    with Indexer(place) as indexer:
        indexer.remove([f"d1.txt#{n}" for n in (2, 3, 4)])
        indexer.commit()
    items = documents()
    items[1] = changed(items[1], lambda parts: parts[:1])
    assert add(place, items).left_over == 2
    assert {one for one in stored(place)[0] if one.startswith("d1")} == {"d1.txt#1"}


CHANGES = st.lists(
    st.tuples(st.sampled_from(["insert", "drop", "swap", "repeat"]), st.integers(0, 7)), max_size=5
)


@settings(max_examples=8)
@given(st.dictionaries(st.integers(0, 7), CHANGES, max_size=3), st.sets(st.integers(0, 7)))
def test_any_change_ends_as_if_indexed_anew(made, tmp_path_factory, changes, again):
    place = Path(shutil.copytree(made, tmp_path_factory.mktemp("any") / "c"))
    items = documents()
    was = {part for item in items for part in item.payload.split("\n\n")}
    for i, steps in changes.items():
        for kind, at in steps:

            def step(parts, kind=kind, at=at % 5):
                new = {"insert": [paragraph(at)], "drop": [], "repeat": parts[at : at + 1] * 2}
                if kind == "swap":
                    return parts[at:] + parts[:at]
                return [*parts[:at], *new[kind], *parts[at + (kind != "insert") :]] or parts

            items[i] = changed(items[i], step)
    with pytest.MonkeyPatch.context() as patch:
        found = []
        usable = encode.usable_features
        patch.setattr(encode, "usable_features", lambda f, p: (found.extend(p), usable(f, p))[1])
        add(place, [items[i] for i in sorted(changes.keys() | again)])
    assert not set(found) & was
    same(stored(place), anew(place, items))


def test_other_metadata_need_no_other_code(place, encoded):
    items = [
        replace(item, metadata={"n": item.metadata["n"], "modified": 7}) for item in documents()
    ]
    tally = add(place, items)
    assert encoded == []
    assert (tally.replaced, tally.codes_kept) == (48, 48)
    same(stored(place), anew(place, items))


def test_so_also_of_whole_texts_but_not_without_stored_texts(tmp_path, encoded):
    items = topic_items(40)
    for name, keeps in (("with", True), ("without", False)):
        with Indexer(tmp_path / name, "text", workers=1, store_text=keeps) as indexer:
            indexer.fit(items, quick("text"))
            indexer.add(items)
            indexer.commit()
        encoded.clear()
        touched = [replace(item, metadata={"year": 1}) for item in items]
        tally = add(tmp_path / name, touched)
        assert (tally.replaced, tally.codes_kept) == (40, 40 * keeps)
        assert len(encoded) == 40 * (not keeps)


def test_pruning_leaves_passages_of_a_document_that_cannot_be_read(place):
    items = [*documents()[:6], Skipped("d6.txt", "unreadable", "damaged")]
    assert add(place, items, prune=True).removed == 6
    assert {one.split("#")[0] for one in stored(place)[0]} == {f"d{i}.txt" for i in range(7)}


def test_a_document_that_comes_twice_is_not_mixed(place):
    longer = changed(documents()[0], lambda parts: [paragraph(9), *parts, *parts])
    reported = []
    add(place, [*documents(), longer], on_skipped=reported.append)
    assert [(one.id, one.error_class) for one in reported] == [("d0.txt", "duplicate-id")]
    assert len(stored(place)[0]) == 48


def test_an_interrupted_run_is_gone_on_with(place):
    items = [changed(item, lambda parts: [paragraph(3), *parts[:3]]) for item in documents()]

    def broken():
        yield from items[:6]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(place, broken(), resume=True)
    assert len(stored(place)[0]) == 48
    notes = []
    tally = add(place, items, resume=True, on_note=notes.append)
    assert any("going on" in note for note in notes)
    assert (tally.left_over, len(stored(place)[0])) == (16, 32)
    same(stored(place), anew(place, items))


def test_the_collection_remembers_its_passages(place):
    with Indexer(place) as indexer:
        assert indexer.made_with_passages == WORDS
        assert "passages 20" in run("info", place).stdout
        indexer.fit()  # from the stored texts, which are passages already
        indexer.commit()
    items, _ = stored(place)
    assert len(items) == 48
    assert add(place, documents()).unchanged == 48
    for other in (0, 50):
        with Indexer(place, passages=other) as indexer:
            with pytest.raises(CollectionError, match="call fit before add"):
                indexer.add(documents())
            with pytest.raises(CollectionError, match="expected the documents again"):
                indexer.fit()


@pytest.mark.parametrize(("words", "n"), [(40, 24), (0, 8), (None, 48)])
def test_with_a_new_model_documents_are_split_anew(place, words, n):
    for indexing in (Rehearsal, Indexer):
        with indexing(place, "text", passages=words) as one:
            one.fit(one.requiring_all(documents()), quick("text"))
            one.add(documents())
            one.commit()
    items, _ = stored(place)
    assert len(items) == n
    with Indexer(place) as indexer:
        assert indexer.made_with_passages == (WORDS if words is None else words)
        indexer.fit(documents()[1:], quick("text"))
        indexer.add(documents()[1:])
        with pytest.raises(CollectionError, match="got all but"):
            indexer.commit()


def test_whole_texts_can_be_split_later(tmp_path):
    path = tmp_path / "c"
    for words in (None, WORDS):
        with Indexer(path, "text", passages=words) as indexer:
            indexer.fit(indexer.requiring_all(documents()), quick("text"))
            indexer.add(documents())
            indexer.commit()
    assert len(stored(path)[0]) == 48


def test_passages_are_of_texts_and_of_a_model(tmp_path):
    with pytest.raises(InputError, match="expected a collection of texts"):
        Indexer(tmp_path / "v", "vector", passages=5)
    with pytest.raises(ValueError, match="expected 0 words or more"):
        Indexer(tmp_path / "t", "text", passages=-1)
    with Indexer(tmp_path / "t", "text", passages=5) as indexer:
        with pytest.raises(CollectionError, match="call fit before add"):
            indexer.add(documents())
        indexer.fit(documents(), quick("text"))
    assert not (tmp_path / "t").exists()


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def told(done):
    line = next(line for line in done.stdout.splitlines() if line.startswith("seen "))
    notes = [line for line in done.stderr.splitlines() if re.match(r"\d+ (codes|passages)", line)]
    return list(map(int, re.findall(r"\d+", line))), [int(note.split()[0]) for note in notes]


def test_on_the_command_line(place, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for item in documents():
        (folder / item.id).write_text(item.payload)
    table = tmp_path / "t.jsonl"
    table.write_text(json.dumps({"id": "row", "text": documents()[0].payload}) + "\n")
    parts = documents()[3].payload.split("\n\n")
    (folder / "d3.txt").write_text("\n\n".join([paragraph(0), *parts[:2]]))
    source = [folder, table, "--to", place]
    dry, real = run("index", *source, "--dry-run"), run("index", *source)
    # no passage has the metadata n any more
    assert told(dry) == told(real) == ([51, 6, 45, 0, 0], [44, 3])
    assert "codes would be kept" in dry.stderr
    assert "row#6" in run("list", place).stdout
    for words, says in (("0", "--passages 0"), ("99", "--passages 99")):
        for extra in ([], ["--dry-run"]):
            done = run("index", *source, "--passages", words, *extra)
            assert done.exit_code == 1
            assert f"has passages of {WORDS} words; {says} needs --retrain" in done.stderr
    (folder / "d3.txt").write_bytes(b"\0\1 not text")
    (folder / "d4.txt").unlink()
    source = [folder, "--to", place, "--prune"]
    dry, real = run("index", *source, "--dry-run"), run("index", *source)
    for done, said in ((dry, "would be pruned"), (real, "pruned")):
        assert f"12 {said}" in done.stderr
    assert "d3.txt#1" in run("list", place).stdout


def test_a_collection_of_whole_texts_says_so(tmp_path):
    np.save(tmp_path / "v.npy", np.array([one.payload for one in items_of("vector", 20)]))
    done = run("index", tmp_path / "v.npy", "--to", tmp_path / "v", "--passages", 20)
    assert done.exit_code == 2
    assert "expected items of kind text, got vector" in done.stderr
