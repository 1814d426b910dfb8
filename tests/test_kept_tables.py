"""The hash table of a large collection is mapped by the next process, if it is as it was kept."""

import json
import shutil
from hashlib import sha256

import numpy as np
import pytest

from hashret import Collection, Item
from hashret.codes import Codes
from hashret.indexes.table.index import TableIndex
from hashret.search import kept_tables
from hashret.search.kept_tables import table_of
from indexer import Indexer, TrainingOptions
from tests.corpora import clustered_vectors


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kept_tables, "MANY", 200)
    return tmp_path / "hashret" / "arrays"


@pytest.fixture
def codes():
    return Codes(np.random.default_rng(0).integers(0, 4, (300, 2), dtype=np.uint8))


def is_mapped(table):
    return all(isinstance(array.base, np.memmap) for array in table.tensors().values())


def assert_answers(table, codes):
    plain = TableIndex(codes)
    for row in codes.packed:
        assert table.bucket(row.tobytes()).tolist() == plain.bucket(row.tobytes()).tolist()


def test_what_one_built_another_maps(codes):
    first, second = table_of(codes), table_of(Codes(codes.packed.copy()))
    assert not is_mapped(first)
    assert is_mapped(second)
    assert_answers(first, codes)
    assert_answers(second, codes)


def test_few_codes_are_not_kept(codes, folder):
    assert not is_mapped(table_of(codes[:199]))
    assert not folder.exists()


def test_other_codes_have_another_table(codes):
    table_of(codes)
    for other in (codes[::-1], codes[1:], Codes(codes.packed.reshape(-1, 1))):
        assert not is_mapped(table_of(other))
        assert_answers(table_of(other), other)


def test_damage_costs_time_and_no_answer(codes, folder):
    table_of(codes)
    (kept,) = folder.iterdir()
    rows = np.memmap(kept / "rows.u4", "<u4", "r+")
    rows[[0, 1]] = rows[[1, 0]]
    rows.flush()
    again = table_of(codes)
    assert not is_mapped(again)
    assert_answers(again, codes)
    assert is_mapped(table_of(codes))  # it was mended


def test_the_table_of_other_codes_under_this_name_is_not_taken(codes, folder):
    table_of(codes)
    (of_codes,) = folder.iterdir()
    table_of(codes[::-1])
    (of_others,) = set(folder.iterdir()) - {of_codes}
    shutil.rmtree(of_codes)
    of_others.rename(of_codes)
    again = table_of(codes)
    assert not is_mapped(again)
    assert_answers(again, codes)


def test_numbers_that_lead_beyond_the_arrays_are_not_followed(codes, folder):
    """Someone who can write to the cache made them up, checksums included."""
    table_of(codes)
    (kept,) = folder.iterdir()
    entries = np.memmap(kept / "entries.u8", "<u8", "r+")
    entries[1::2] |= np.uint64(1 << 31)
    entries.flush()
    sums = {file.name: sha256(file.read_bytes()).hexdigest() for file in kept.glob("*.u*")}
    (kept / "sums.json").write_text(json.dumps({"name": kept.name, **sums}))
    again = table_of(codes)
    assert not is_mapped(again)
    assert_answers(again, codes)
    assert is_mapped(table_of(codes))


def test_collections_map_what_another_process_kept(tmp_path):
    path, vectors = tmp_path / "c", clustered_vectors()
    with Indexer(path, "vector") as indexer:
        items = [Item(f"{2 * i + half}", v) for i, v in enumerate(vectors) for half in (0, 1)]
        indexer.fit(items, TrainingOptions(n_bits=8, device="cpu", epochs=1))
        indexer.add(items)
        indexer.commit()
    for kind in ("auto", "table"):
        found = []
        for mapped in (kind == "table", True):
            with Collection.open(path, index=kind) as collection:
                found.append([hit.id for hit in collection.bucket(vectors[0])])
                index = collection.index
                assert is_mapped(index if kind == "table" else index.table) == mapped
        assert found[0] == found[1]
        assert found[0]
