"""The words of many texts are read once; the next process maps them, if they are as they were kept."""

import json
import shutil
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from hashret import Collection
from hashret.search import word_index
from hashret.snapshot import Snapshot
from indexer import Indexer, TrainingOptions
from tests.corpora import topic_items

OPTIONS = TrainingOptions(n_bits=16, seed=0, preset="dense", device="cpu", epochs=2)
ASKED = ["the ship in a storm", "bread and butter", "orbit"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path, items = tmp_path_factory.mktemp("kept") / "c", topic_items(60)
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        for part in (items[:40], items[40:]):
            indexer.add(part)
            indexer.commit()
        indexer.remove([items[3].id])
        indexer.commit()
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(word_index, "MANY", 1)
    return tmp_path / "hashret" / "arrays"


@pytest.fixture
def read(monkeypatch):
    """The rows whose texts were read."""
    rows = []

    def text_of(snapshot, row, original=Snapshot.text_of):
        rows.append(row)
        return original(snapshot, row)

    monkeypatch.setattr(Snapshot, "text_of", text_of)
    return rows


def answers(path):
    with Collection.open(path) as collection:
        return [[(h.id, h.words) for h in hits] for hits in collection.query(ASKED, hybrid=True)]


def test_what_one_read_another_maps(made, read, folder):
    with Collection.open(made) as collection:
        files = [segment.texts for segment in collection.snapshot.segments]
        assert collection.n_unread_bytes == sum(file.size for file in files) > 0
        first = answers(made)
        assert collection.n_unread_bytes == 0
    assert (len(read), len(list(folder.iterdir()))) == (60, 2)
    assert answers(made) == first
    assert len(read) == 60


def test_few_texts_are_not_kept(made, folder, monkeypatch):
    monkeypatch.setattr(word_index, "MANY", 1 << 20)
    assert answers(made)
    assert not folder.exists()


def test_a_new_segment_alone_is_read(tmp_path, read, monkeypatch):
    monkeypatch.setattr(word_index, "MANY", 1 << 20)  # what is in memory is enough
    path, items = tmp_path / "c", topic_items(50)
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items[:40])
        indexer.commit()
    with Collection.open(path) as collection:
        collection.query("ship", hybrid=True)
        with Indexer(path) as indexer:
            indexer.add(items[40:])
            indexer.commit()
        assert collection.refresh()
        found = [hit.id for hit in collection.query(items[44].payload, hybrid=True)]
    assert found[0] == items[44].id
    assert sorted(read) == list(range(50))


def test_damage_costs_time_and_no_answer(made, read, folder):
    first = answers(made)
    for file in sorted(folder.glob("*/*.u*")):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        read.clear()
        assert answers(made) == first
        assert read, file.name
        read.clear()
        assert answers(made) == first  # it was mended
        assert not read


def test_the_words_of_other_texts_under_this_name_are_not_taken(made, read, folder):
    first = answers(made)
    one, other = sorted(folder.iterdir())
    shutil.rmtree(one)
    other.rename(one)
    read.clear()
    assert answers(made) == first
    assert len(read) == 60


@pytest.mark.parametrize(("name", "value"), [("rows.u4", 1 << 31), ("starts.u4", 1 << 31)])
def test_numbers_that_lead_beyond_the_arrays_are_not_followed(made, read, folder, name, value):
    """Someone who can write to the cache made them up, checksums included."""
    first = answers(made)
    for kept in list(folder.iterdir()):
        made_up = np.memmap(kept / name, "<u4", "r+")
        made_up[1::2] |= np.uint32(value)
        made_up.flush()
        sums = {file.name: sha256(file.read_bytes()).hexdigest() for file in kept.glob("*.u*")}
        (kept / "sums.json").write_text(json.dumps({"name": kept.name, **sums}))
    read.clear()
    assert answers(made) == first
    assert len(read) == 60


def test_the_name_says_all_that_words_depend_on(made):
    """Also the blocks of the texts, which a stranger's catalog can't make up, and the model's rules."""
    with Collection.open(made) as collection:
        index = word_index.WordIndex(collection.snapshot)
        segment = collection.snapshot.segments[0]
        spec = collection.coder.featurizer.spec
        names = [index._name(segment)]
        for field, value in {"size": 1, "sha256": "../../x", "blocks": b"1" * 16}.items():
            names.append(
                index._name(replace(segment, texts=replace(segment.texts, **{field: value})))
            )
        names.append(index._name(replace(segment, n_rows=1)))
        for field, value in {"fold_accents": not spec.fold_accents, "rule": 1}.items():
            collection.coder.featurizer.spec = replace(spec, **{field: value})
            names.append(index._name(segment))
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalnum() for name in names)


def test_a_cache_that_can_not_be_written_costs_time_and_no_answer(made, tmp_path, monkeypatch):
    first = answers(made)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert answers(made) == first
