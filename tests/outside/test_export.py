"""Exports: what other programs read out of one file is what the collection holds."""

import json
import shutil
import threading
import tracemalloc

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret import Collection, Item
from hashret.errors import DamagedError, InputError, WhereError
from hashret.outside import exports
from hashret.outside.exports import Contents, Row, write_export
from hashret.store.layout import Layout
from hashret.store.segments.record_batch import batch_of, write_records
from hashret.store.segments.record_schema import ItemRecord
from hashret.store.segments.records import Records
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import clustered_vectors, topic_items
from tests.where.metadata import KEYS, ODD, VALUES

OPTIONS = TrainingOptions(n_bits=16, preset="dense", device="cpu")
SUFFIXES = [".parquet", ".jsonl", ".npz"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three segments, whose metadata are of other types, less some items."""
    path = tmp_path_factory.mktemp("exported") / "c"
    items = topic_items(90)
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items[:40])
        indexer.commit()
        odd = [{"year": 1.5}, {"year": 2**70}, {"Year": 3, "tags": ["a"]}, {"none": None}]
        indexer.add(
            Item(f"{i:02}", item.payload, odd[i % 4]) for i, item in enumerate(items[40:70])
        )
        indexer.commit()
        indexer.add(
            [Item(items[3].id, "the star and the orbit", {"topic": "é\ud800"}), *items[70:]]
        )
        indexer.remove([items[0].id, "05"])
        indexer.commit()
    return path


def expected(path, *, order="rows", where=None):
    """(id, code, metadata, preview, text) of every item, by way of what is shown of one."""
    with Collection.open(path) as collection:
        items = list(collection.items(where=where))
        if order == "rows":
            place = {item_id: i for i, item_id in enumerate(collection.ids())}
            items.sort(key=lambda item: place[item.id])
        return [
            (one.id, one.code or None, one.metadata, one.preview, one.text)
            for one in collection.get([item.id for item in items])
        ]


def metadata_of(rows, schema):
    """The metadata that the columns of a Parquet file stand for."""
    fields = list(schema.field("metadata").type) if "metadata" in schema.names else []
    for row in rows:
        found = json.loads(row.get("other_metadata") or "{}")
        for field in fields:
            value = (row["metadata"] or {}).get(field.name)
            if value is not None:
                is_json = (field.metadata or {}).get(b"hashret") == b"json"
                found[field.name] = json.loads(value) if is_json else value
        yield found


def read(path):
    """What an export holds, in the form of `expected`; None for what the format leaves out."""
    if path.suffix == ".jsonl":
        lines = path.read_text().splitlines()
        assert all(list(json.loads(line))[:2] == ["id", "code"] for line in lines)
        return [tuple(json.loads(line).values()) for line in lines]
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as found:
            has_code = found["has_code"].tolist()
            codes = [row.tobytes().hex() for row in found["codes"]]
            assert found["codes"].dtype == np.uint8
            return [
                (item_id, code if has else None, json.loads(metadata), None, None)
                for item_id, code, has, metadata in zip(
                    found["ids"].tolist(), codes, has_code, found["metadata"].tolist(), strict=True
                )
            ]
    table = pq.read_table(path)
    rows = table.to_pylist()
    return [
        (row["id"], row["code"] and row["code"].hex(), metadata, row["preview"], row["text"])
        for row, metadata in zip(rows, metadata_of(rows, table.schema), strict=True)
    ]


def exact(rows, suffix):
    if suffix == ".npz":
        rows = [(*row[:3], None, None) for row in rows]
    return [(row[0], row[1], json.dumps(row[2], sort_keys=True), *row[3:]) for row in rows]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("order", ["rows", "ids"])
@pytest.mark.parametrize("where", [None, "year > 2005 or topic == 'sea'", "year == 'nothing'"])
def test_an_export_holds_what_the_collection_holds(made, tmp_path, suffix, order, where):
    to = tmp_path / f"e{suffix}"
    wanted = expected(made, order=order, where=where)
    with Collection.open(made) as collection:
        assert collection.export(to, order=order, where=where) == len(wanted)
    assert exact(read(to), suffix) == exact(wanted, suffix)
    assert list(tmp_path.iterdir()) == [to]
    with Collection.open(made) as collection:  # an earlier export may be replaced
        assert collection.export(to) == len(collection)
    assert exact(read(to), suffix) == exact(expected(made), suffix)


def test_rows_are_those_of_the_codes(made, tmp_path):
    with Collection.open(made) as collection:
        collection.export(tmp_path / "e.npz")
        with np.load(tmp_path / "e.npz") as found:
            assert found["ids"].tolist() == collection.ids()
            assert (found["codes"] == collection.codes.packed).all()


def test_other_tools_read_the_parquet_file(made, tmp_path):
    to = tmp_path / "e.parquet"
    with Collection.open(made) as collection:
        n = collection.export(to)
        one = collection.get("sea-012")
    query = f"SELECT count(*), count(code), max(octet_length(code)) FROM '{to}'"  # noqa: S608
    assert duckdb.sql(query).fetchall()[0] == (n, n, 2)
    query = f"SELECT text, metadata.topic FROM '{to}' WHERE id = 'sea-012'"  # noqa: S608
    assert duckdb.sql(query).fetchall()[0][0] == one.text
    frame = pl.read_parquet(to).filter(pl.col("id") == "sea-012")
    assert frame["code"].to_list() == [bytes.fromhex(one.code)]
    assert frame["text"].to_list() == [one.text]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_items_without_a_code_or_a_model(tmp_path, suffix):
    items = [ItemRecord(f"i{i}", b"." * 16, {"n": i}, "p", f"text {i}") for i in range(4)]
    layout = Layout(tmp_path)
    layout.segments.mkdir()
    record = write_records(layout, "c000001-000000000000", batch_of(items))
    records = [Records.open(layout.segments / record.name, record, 4)]
    for n_bits, codes in ((16, [b"ab", b"cd", None, None]), (0, [None] * 4)):
        rows = [Row(item, code) for item, code in zip(items, codes, strict=True)]
        to = tmp_path / f"e{suffix}"
        assert write_export(to, Contents(rows, n_bits, records)) == 4
        wanted = [
            (item.id, code and code.hex(), item.metadata, item.preview, item.text)
            for item, code in zip(items, codes, strict=True)
        ]
        assert exact(read(to), suffix) == exact(wanted, suffix)


PARTS = st.lists(
    st.lists(
        st.dictionaries(st.sampled_from([*KEYS, "A", *ODD]), VALUES | st.sampled_from(ODD)),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60)
@given(PARTS, st.sampled_from([256, 2]), st.integers(1, 3))
def test_metadata_of_any_sort_come_back_exactly(tmp_path_factory, parts, most_keys, page):
    folder = tmp_path_factory.mktemp("parts")
    layout = Layout(folder)
    layout.segments.mkdir()
    rows, opened = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hashret.store.segments.record_batch.MOST_KEYS", most_keys)
        patch.setattr(exports, "MOST_KEYS", most_keys)
        patch.setattr(exports, "_PAGE", page)
        for i, part in enumerate(parts):
            items = [ItemRecord(f"{i}-{n}", b"." * 16, one, "", None) for n, one in enumerate(part)]
            record = write_records(layout, f"s{i}", batch_of(items))
            opened.append(Records.open(layout.segments / record.name, record, len(items)))
            rows += [Row(item, None) for item in items]
        for suffix in SUFFIXES:
            to = folder / f"e{suffix}"
            write_export(to, Contents(rows, 8, opened))
            got = [json.dumps(row[2], sort_keys=True) for row in read(to)]
            assert got == [json.dumps(row.item.metadata, sort_keys=True) for row in rows]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_memory_does_not_grow_with_the_items(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(exports, "_LETTERS", 1 << 18)
    allocated = []

    def rows(n):
        for i in range(n):
            if i % 200 == 0:
                allocated.append(tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes())
            yield Row(ItemRecord(f"i{i}", b"." * 16, {}, "p", f"{i} " * 2_000), b"a")

    tracemalloc.start()
    try:
        write_export(tmp_path / f"e{suffix}", Contents(rows(4000), 8, []))
    finally:
        tracemalloc.stop()
    assert max(allocated) - allocated[0] < 20 << 20  # of 40 MB of texts


# where it goes


@pytest.fixture
def place(made, tmp_path):
    shutil.copytree(made, tmp_path / "c")
    np.savez(tmp_path / "vectors.npz", ids=np.array(["a"]), codes=np.zeros((1, 2), np.uint8))
    pq.write_table(pa.table({"id": ["a"], "text": ["hashret"]}), tmp_path / "source.parquet")
    (tmp_path / "source.jsonl").write_text('{"id": "a", "text": "a ship"}\n')
    (tmp_path / "list.jsonl").write_text('{"id": "a", "distance": 3, "code": "00"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "link.npz").symlink_to("vectors.npz")
    return tmp_path


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vectors.npz", "another file, which would be lost"),
        ("link.npz", "another file, which would be lost"),
        ("source.parquet", "another file, which would be lost"),
        ("source.jsonl", "another file, which would be lost"),
        ("list.jsonl", "another file, which would be lost"),
        ("folder.npz", "got a folder"),
        ("c/e.jsonl", "a place in the collection"),
        ("c/segments/e.npz", "a place in the collection"),
        ("nowhere/e.npz", "no folder to write into"),
        ("e.csv", "expected a file name with .parquet, .jsonl, .npz"),
        ("e", "expected a file name with .parquet, .jsonl, .npz"),
    ],
)
def test_an_export_takes_the_place_of_nothing_else(place, name, says):
    before = files(place)
    with Collection.open(place / "c") as collection, pytest.raises(InputError, match=says):
        collection.export(place / name)
    done = CliRunner().invoke(main, ["export", str(place / "c"), "-o", str(place / name)])
    assert done.exit_code == 1
    assert says in done.stderr
    assert files(place) == before


def test_wrong_options_write_nothing(place):
    with Collection.open(place / "c") as collection:
        with pytest.raises(ValueError, match="order: expected 'rows' or 'ids', got 'random'"):
            collection.export(place / "e.npz", order="random")
        with pytest.raises(WhereError):
            collection.export(place / "e.npz", where="year >")
    assert not (place / "e.npz").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_met_on_the_way_leaves_what_was_there(place, suffix):
    to = place / f"e{suffix}"
    with Collection.open(place / "c") as collection:
        collection.export(to, where="year == 2001")
    before = to.read_bytes()
    for texts in (place / "c" / "segments").glob("*.texts.arrow"):
        data = bytearray(texts.read_bytes())
        data[len(data) // 3] ^= 1
        texts.write_bytes(data)
    with Collection.open(place / "c") as collection, pytest.raises(DamagedError):
        collection.export(to)
    assert to.read_bytes() == before
    assert not list(place.glob(".hashret-*"))


def test_an_array_that_would_be_mostly_empty_is_refused(made, tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "_MOST_BYTES", 1000)
    with Collection.open(made) as collection, pytest.raises(InputError, match=r"as \.parquet or"):
        collection.export(tmp_path / "e.npz")
    assert not list(tmp_path.iterdir())


def test_the_command_line_exports(place):
    def run(*arguments):
        return CliRunner().invoke(main, ["export", str(place / "c"), *map(str, arguments)])

    to = place / "empty.jsonl"
    done = run("-o", to, "--order", "ids", "--where", "topic == 'sea'")
    assert (done.exit_code, done.stderr) == (0, "")
    wanted = expected(place / "c", order="ids", where="topic == 'sea'")
    assert done.stdout == f"exported {len(wanted)}\n"
    assert exact(read(to), ".jsonl") == exact(wanted, ".jsonl")
    done = run("-o", to, "--where", "yeer == 3")
    assert (done.exit_code, done.stdout) == (0, "exported 0\n")
    assert "no item has a field 'yeer'" in done.stderr
    assert run().exit_code == 2
    assert run("-o", to, "--order", "random").exit_code == 2


def test_vectors_without_metadata(tmp_path):
    items = [Item(str(i), v) for i, v in enumerate(clustered_vectors(20))]
    with Indexer(tmp_path / "v", "vector") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    for suffix in SUFFIXES:
        to = tmp_path / f"e{suffix}"
        with Collection.open(tmp_path / "v") as collection:
            assert collection.export(to) == 20
        wanted = exact(expected(tmp_path / "v"), suffix)
        assert exact(read(to), suffix) == wanted


def test_threads_export_the_same(made, tmp_path):
    wanted = expected(made)
    with Collection.open(made) as collection:

        def export(i):
            collection.export(tmp_path / f"e{i}{SUFFIXES[i % 3]}")

        threads = [threading.Thread(target=export, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i in range(6):
        suffix = SUFFIXES[i % 3]
        assert exact(read(tmp_path / f"e{i}{suffix}"), suffix) == exact(wanted, suffix)
