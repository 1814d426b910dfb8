"""The same rows in every form of table, compressed or not, are the same items."""

import json
import sqlite3
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather

from hashret.errors import InputError
from hashret.items import Item
from hashret.workers import pool
from indexer import corpus
from indexer.corpus import Reading, Skipped
from indexer.corpus.tables import binary, json_array, readers, rows
from indexer.corpus.tables import database as database_file
from tests.corpus.table_files import (
    COMPRESS,
    FORMS,
    arrow_file,
    arrow_stream,
    database,
    parquet,
    read,
    write,
)

TEXT = st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])
WORDS = st.text(TEXT, min_size=1).filter(lambda text: not text.isspace() and text == text.strip())


@pytest.fixture
def here(monkeypatch):
    """Binary tables are read in this process, which is quicker; the rows are the same."""
    monkeypatch.setattr(pool, "AVAILABLE", False)


@pytest.mark.parametrize("packed", COMPRESS)
@pytest.mark.parametrize("name", FORMS)
def test_the_same_rows_in_every_form_are_the_same_items(tmp_path, here, name, packed):
    table = [
        {"id": f"row {i}", "text": f"some wörds {i}", "more": f"m, {i}\t;", "n": f"{i}"}
        for i in range(7)
    ]
    path = write(tmp_path / (name + packed), COMPRESS[packed](FORMS[name](table)))
    expected = [Item(r["id"], r["text"], {"more": r["more"], "n": r["n"]}) for r in table]
    assert read(path) == expected
    assert corpus.infer_kind([path]) == "text"


TYPED = [n for n in FORMS if not n.endswith(("csv", "tsv"))]
VALUES = st.text(TEXT) | st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(WORDS, WORDS, st.text(TEXT), st.integers(-(2**63), 2**63 - 1))).filter(bool),
    st.sampled_from([name for name in TYPED if name != "lines.json"]),
    st.sampled_from(list(COMPRESS)),
)
def test_what_was_written_is_read(tmp_path_factory, here, table, name, packed):
    made = [{"id": i, "text": t, "s": s, "n": n} for i, t, s, n in table]
    path = tmp_path_factory.mktemp("t") / (name + packed)
    path.write_bytes(COMPRESS[packed](FORMS[name](made)))
    assert read(path) == [Item(r["id"], r["text"], {"s": r["s"], "n": r["n"]}) for r in made]


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.sqlite"])
def test_workers_read_what_this_process_reads(tmp_path, monkeypatch, name):
    monkeypatch.setattr(binary, "_CHARACTERS", 100)
    table = [{"id": f"{i}", "text": f"text {i}", "n": i} for i in range(2500)]
    path = write(tmp_path / name, FORMS[name](table))
    assert read(path) == [Item(r["id"], r["text"], {"n": r["n"]}) for r in table]


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.arrow", "t.sqlite"])
@pytest.mark.parametrize("start", [0, 1, 2, 5, 8, 9])
def test_a_new_worker_goes_on_at_any_row(tmp_path, name, start):
    table = [{"id": f"{i}", "text": f"text {i}"} for i in range(9)]
    path = write(tmp_path / name, FORMS[name](table))
    (answer,) = binary.reading(path, None, [])([start], lambda at: None)
    assert answer["rows"] == table[start:]


@pytest.mark.parametrize("name", TYPED)
def test_rows_without_an_id_are_numbered_from_one(tmp_path, here, name):
    path = write(tmp_path / name, FORMS[name]([{"text": f"text {i}"} for i in range(3)]))
    within = "posts:" if path.suffix in binary.DATABASES else ""
    assert [x.id for x in read(path)] == [f"{name}:{within}{i}" for i in (1, 2, 3)]


@pytest.mark.parametrize("name", TYPED)
def test_a_bad_row_is_reported_and_the_others_are_read(tmp_path, here, monkeypatch, name):
    monkeypatch.setattr(rows, "MAX_CHARACTERS", 1000)
    texts = ["one", "", "two", "x" * 2000, "three"]
    if "json" in name:
        texts = [text for text in texts if name != "t.json" or len(text) < 1000]
    path = write(tmp_path / name, FORMS[name]([{"text": text} for text in texts]))
    found = [x.error_class if isinstance(x, Skipped) else x.payload for x in read(path)]
    assert found == [{"": "empty-text", "x" * 2000: "too-large"}.get(t, t) for t in texts]


COLUMNS = {
    "day": (date(2024, 1, 31), "2024-01-31"),
    "time": (datetime(2024, 1, 31, 5, 6), "2024-01-31T05:06:00"),
    "zone": (datetime(2024, 1, 31, 5, 6, tzinfo=UTC), "2024-01-31T05:06:00+00:00"),
    "clock": (time(5, 6), "05:06:00"),
    "price": (Decimal("9.99"), 9.99),
    "whole": (Decimal(12), 12),
    "truth": (True, True),
    "float": (0.5, 0.5),
    "list": ([1, None, 3], [1, None, 3]),
    "struct": ({"a": {"day": date(2024, 1, 31)}}, {"a": {"day": "2024-01-31"}}),
    "nothing": (None, None),
    "not a number": (float("nan"), None),
    "bytes": (b"\x89\xff", ...),
    "infinite": (float("inf"), ...),
}


@pytest.mark.parametrize("make", [parquet, arrow_file, arrow_stream])
def test_values_of_columns_are_as_metadata_has_them(tmp_path, here, make):
    table = [{"text": "words"} | {name: value for name, (value, _) in COLUMNS.items()}] * 3
    path = tmp_path / ("t.parquet" if make is parquet else "t.arrow")
    how = Reading()
    found = read(write(path, make(table)), how)
    kept = {name: said for name, (_, said) in COLUMNS.items() if said not in (None, ...)}
    assert [item.metadata for item in found] == [kept] * 3
    assert how.left_out == {name: 3 for name, (_, said) in COLUMNS.items() if said is ...}


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_columns_of_other_types(tmp_path, here, name):
    made = {
        "text": pa.array(["a b", "c d"]).dictionary_encode(),
        "view": pa.array(["x", "y"]).cast(pa.string_view() if "arrow" in name else pa.string()),
        "nano": pa.array([1, 10**18 + 1], pa.timestamp("ns", "Europe/Paris")),
        "spans": pa.array([[1], [2]], pa.list_(pa.timestamp("ns"))),
        "late": pa.array([0, 2**62], pa.timestamp("s")),
        "duration": pa.array([1, 2], pa.duration("s")),
    }
    sink = pa.BufferOutputStream()
    if "arrow" in name:
        with pa.ipc.new_file(sink, pa.table(made).schema) as stream:
            stream.write_table(pa.table(made))
    else:
        del made["late"]
        pq.write_table(pa.table(made), sink)
    how = Reading()
    first, second = read(write(tmp_path / name, sink.getvalue().to_pybytes()), how)
    assert (first.payload, second.payload) == ("a b", "c d")
    assert second.metadata["nano"] == "2001-09-09T01:46:40+00:00"
    assert second.metadata["spans"] == ["1970-01-01T00:00:00"]
    assert "late" not in second.metadata
    assert how.left_out["duration"] == 2


def test_texts_in_columns_of_bytes_are_texts(tmp_path, here):
    table = [{"id": b"i", "text": "naïve".encode()}, {"id": b"j", "text": b"\xff"}]
    good, bad = read(write(tmp_path / "t.parquet", parquet(table)))
    assert good == Item("i", "naïve", {})
    assert (bad.id, bad.error_class) == ("j", "missing-payload")


def test_a_text_that_is_not_utf_8_costs_its_row(tmp_path, here):
    texts = pa.array([b"one", b"\xff\xfe", b"two"]).view(pa.string())
    sink = pa.BufferOutputStream()
    feather.write_feather(pa.table({"text": texts}), sink)
    one, bad, two = read(write(tmp_path / "t.arrow", sink.getvalue().to_pybytes()))
    assert (one.payload, bad.error_class, two.payload) == ("one", "missing-payload", "two")


# --- JSON arrays

ELEMENTS = {
    '{"text": "a"}': "a",
    '{"text": "a, ]} \\" b"}': 'a, ]} " b',
    ' {"text" : "a",\n "n": [1, {"m": [{}]}]}\t': "a",
    "5": "bad-json",
    "null": "bad-json",
    '"text"': "bad-json",
    '["a"]': "bad-json",
    "{]": "bad-json",
    "}": "bad-json",
    '{"text": "a"} {"text": "b"}': "bad-json",
    '{"text": NaN}': "bad-json",
    "": "bad-json",
    '{"text": "a", "n": ' + "[" * 20_000 + "]" * 20_000 + "}": "bad-json",
    '{"text": "\\ud800"}': "bad-json",
    '{"title": "a"}': "missing-payload",
}


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_every_element_of_an_array_is_a_row(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(json_array, "_CHUNK", chunk)
    elements = [e for e in ELEMENTS if chunk > 10 or len(e) < 1000]
    made = "\n[" + ",".join(f'{{"text": "good"}},{one}' for one in elements) + "]\n "
    found = read(write(tmp_path / "t.json", made.encode()))
    expected = [x for one in elements for x in ("good", ELEMENTS[one])]
    assert [getattr(x, "payload", getattr(x, "error_class", "")) for x in found] == expected
    assert [x.id for x in found] == [f"t.json:{n}" for n in range(1, len(found) + 1)]


@pytest.mark.parametrize(
    ("end", "error_class"),
    [
        ("", "bad-json"),
        (", ", "bad-json"),
        (', {"text": "b', "bad-json"),
        ("] more", "bad-json"),
        ('] [{"text": "b"}]', "bad-json"),
        (', {"text": "' + "x" * 3000 + '"}, {"text": "c"}]', "too-large"),
    ],
)
def test_an_array_that_breaks_off_says_so(tmp_path, monkeypatch, end, error_class):
    monkeypatch.setattr(rows, "MAX_CHARACTERS", 1000)
    monkeypatch.setattr(json_array, "_CHUNK", 64)
    first, last = read(write(tmp_path / "t.json", ('[{"text": "a"}' + end).encode()))
    assert (first.payload, last.error_class) == ("a", error_class)
    assert "the rest is not read" in last.reason


def test_an_object_over_several_lines_is_no_table(tmp_path):
    data = json.dumps({"data": [{"text": "a"}]}, indent=2).encode()
    with pytest.raises(InputError, match="got one object over several lines"):
        read(write(tmp_path / "t.json", data))


def test_an_empty_array_has_no_rows(tmp_path):
    assert read(write(tmp_path / "t.json", b" [ \n ] ")) == []


@settings(max_examples=50)
@given(
    st.lists(st.dictionaries(st.text(max_size=9), st.text() | st.lists(st.text())), max_size=5),
    st.integers(3, 40),
)
def test_an_array_is_split_at_its_commas(tmp_path_factory, table, chunk):
    path = tmp_path_factory.mktemp("t") / "t.json"
    path.write_text(json.dumps(table))
    before, json_array._CHUNK = json_array._CHUNK, chunk
    try:
        found = list(readers.read_rows(path, Reading()))
    finally:
        json_array._CHUNK = before
    assert [row.fields for row in found] == table


# --- databases


def test_which_table_of_a_database_is_meant_has_to_be_said(tmp_path, here):
    connection = sqlite3.connect(tmp_path / "t.db")
    for name in ("posts", 'od"d'):
        quoted = name.replace('"', '""')
        connection.execute(f'CREATE TABLE "{quoted}" (id INTEGER PRIMARY KEY, text)')
        insert = f'INSERT INTO "{quoted}" (text) VALUES (?)'  # noqa: S608 - a test's own
        connection.execute(insert, [f"in {name}"])
    connection.commit()
    connection.close()
    for table, expected in ((None, "choose one with --table"), ("nothing", "'posts'")):
        with pytest.raises(InputError, match=expected):
            read(tmp_path / "t.db", Reading(table=table))
    for name in ("posts", 'od"d'):
        (item,) = read(tmp_path / "t.db", Reading(table=name))
        assert (item.id, item.payload) == ("1", f"in {name}")


@pytest.mark.parametrize(
    "schema",
    ["CREATE VIEW v AS SELECT 'a' AS text", "CREATE VIRTUAL TABLE v USING fts5(text)"],
)
def test_only_ordinary_tables_of_a_database_are_read(tmp_path, here, schema):
    connection = sqlite3.connect(tmp_path / "t.db")
    connection.execute(schema)
    connection.close()
    with pytest.raises(InputError, match="expected the table 'v'"):
        read(tmp_path / "t.db", Reading(table="v"))


def test_a_computed_value_has_a_limit(tmp_path, here, monkeypatch):
    monkeypatch.setattr(database_file, "_MAX_VALUE", 1 << 20)
    connection = sqlite3.connect(tmp_path / "t.db")
    connection.execute("CREATE TABLE v (text, n AS (hex(zeroblob(1000000))))")
    connection.execute("INSERT INTO v VALUES ('a')")
    connection.commit()
    connection.close()
    (bad,) = read(tmp_path / "t.db")
    assert bad.error_class == "damaged-table"
    assert "too big" in bad.reason


def test_a_database_that_is_being_written_is_refused_and_left_alone(tmp_path, here):
    path = tmp_path / "t.db"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (text)")
    writer.execute("INSERT INTO t VALUES ('a b')")
    writer.commit()
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    (bad,) = read(path)
    assert ("t.db-wal" in bad.reason, bad.error_class) == (True, "unreadable")
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
    writer.close()  # which writes all into the file
    (item,) = read(path)
    assert item.payload == "a b"


def test_a_collection_is_no_table(tmp_path, here):
    (tmp_path / "segments").mkdir()
    write(tmp_path / "catalog.sqlite", database([{"text": "a"}]))
    (bad,) = read(tmp_path / "catalog.sqlite")
    assert bad.error_class == "collection"
