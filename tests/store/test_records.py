"""Items come back from a segment's columns exactly, and are found by id; other tools read them."""

import json
from contextlib import suppress

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashret.errors import DamagedError
from hashret.store.disk.files import BLOCK, write_file
from hashret.store.layout import Layout
from hashret.store.segments import record_batch
from hashret.store.segments.record_batch import batch_of, merged, write_records
from hashret.store.segments.record_schema import ItemRecord, hashes
from hashret.store.segments.records import Records

UNICODE = st.characters(exclude_categories=["Cs"])
IDS = st.text(UNICODE, max_size=8)
ANY_TEXT = st.text(st.characters(), max_size=4)  # lone surrogates and NUL too
KEYS = st.sampled_from(["a", "A", "ß", "ss", "SS", "", "x.y", "id", "\0", "\ud800"]) | ANY_TEXT
NUMBERS = st.sampled_from([0, -0.0, 0.0, 1, 1.0, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**400])
SCALARS = st.none() | st.booleans() | NUMBERS | st.integers() | ANY_TEXT
SCALARS |= st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=4,
)
#: Metadata with values of one type a key, or of any.
METADATA = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.integers(-3, 3),
            "x": st.floats(allow_nan=False, allow_infinity=False),
            "b": st.booleans(),
            "s": st.text(UNICODE, max_size=4),
            "v": VALUES,
        },
    ),
)
ITEMS = st.lists(
    st.builds(
        ItemRecord, IDS, st.binary(min_size=16, max_size=16), METADATA, st.text(UNICODE, max_size=9)
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda item: item.id,
)


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return Layout.create(tmp_path_factory.mktemp("records") / "c")


def opened(layout, batch, name="s"):
    file = write_records(layout, name, batch)
    return Records.open(layout.segments / file.name, file, batch.num_rows)


def stored(layout, items, name="s"):
    return opened(layout, batch_of(items), name)


def exactly(metadata):
    """What tells 1, 1.0 and true apart, and -0.0 and 0.0."""
    return json.dumps(metadata, sort_keys=True)


def assert_same(records, items):
    assert records.n_rows == len(items)
    for row, item in enumerate(items):
        found = records.record(row)
        assert (found.id, found.digest, found.preview) == (item.id, item.digest, item.preview)
        assert exactly(found.metadata) == exactly(item.metadata)
        assert list(found.metadata) == sorted(item.metadata)
        assert found.text is None


def item(item_id, **metadata):
    return ItemRecord(item_id, bytes(16), metadata, "")


def named(metadata):
    return ItemRecord(exactly(metadata), bytes(16), metadata, "")


WIDE = [item(str(i), **{f"k{n:03}": n for n in range(i % 3, 300, 1 + i % 3)}) for i in range(6)]


def rows_of(records, ids):
    """The row of each id, -1 where there is none."""
    found = records.index.find([*zip(ids, record_batch.hashes(ids).tolist(), strict=True)])
    return [found.get(one, -1) for one in ids]


@example([named({"a": value}) for value in (1, 1.0, True, None, "1", 2**70, [1], {"b": None})])
@example([named({"a": None}), named({}), named({"a": 3})])
@example([named({"a": 1, "A": 2}), named({"A": "x"}), named({"": 1, "ß": 0, "ss": 1})])
@example([named({"a": "\ud800"}), named({"\ud800": "x"}), named({"a": "x\0y", "\0": 1})])
@example([named({"a": value}) for value in (-0.0, 0.0, 5e-324, 1e308)])
@example([named({"a": value}) for value in (2**63 - 1, -(2**63), 0)])
@example(WIDE)
@given(ITEMS)
def test_items_come_back_exactly(layout, items):
    records = stored(layout, items)
    assert_same(records, items)
    assert list(records.by_id()) == sorted((item.id, row) for row, item in enumerate(items))


def test_values_of_one_type_stand_in_columns_of_it(layout):
    values = {
        "whole": [1, -(2**63), 2**63 - 1],
        "real": [0.5, -0.0, 1.0],
        "flag": [True, False, True],
        "word": ["a", "", "日"],
        "huge": [1, 2, 2**63],
        "mixed": [1, 1.0, 2],
        "odd": ["a", "b", "\ud800"],
        "none": [None, 1, 2],
        "nested": [[1], {"a": 1}, []],
    }
    items = [item(str(i), **{key: of[i] for key, of in values.items()}) for i in range(3)]
    records = stored(layout, [*items, item("3")])
    types = {field.name: str(field.type) for field in records.fields}
    assert types == dict.fromkeys(values, "string") | {
        "whole": "int64",
        "real": "double",
        "flag": "bool",
    }
    assert {key for key in values if records.is_json(key)} == {
        *("huge", "mixed", "odd", "none", "nested")
    }
    assert records.field("whole").to_pylist() == [*values["whole"], None]
    assert records.other is None
    assert records.field("absent") is None
    assert not records.is_json("absent")


def test_the_most_frequent_keys_have_the_columns(layout):
    items = [item(str(i), **{f"rare{i}": i}, often="x") for i in range(300)]
    records = stored(layout, items)
    assert len(records.fields) == 256
    assert records.field("often").null_count == 0
    assert records.other.null_count == 255
    assert_same(records, items)


# found by id

HASHES = {
    "as they are": hashes,
    "all equal": lambda ids: np.zeros(len(list(ids)), np.uint64),
    "all the largest": lambda ids: np.full(len(list(ids)), 2**64 - 1, np.uint64),
    "of three values": lambda ids: hashes(ids) % np.uint64(3) << np.uint64(62),
    "all small": lambda ids: hashes(ids) >> np.uint64(40),
    "all large": lambda ids: ~(hashes(ids) >> np.uint64(50)),
    "small and large": lambda ids: hashes(ids) % np.uint64(2) * np.uint64(2**64 - 9),
}


@pytest.mark.parametrize("n", [1, 2, 40, 3000])
@pytest.mark.parametrize("hashing", HASHES)
def test_ids_are_found_whatever_their_hashes(layout, monkeypatch, hashing, n):
    if n == 3000 and hashing in ("all equal", "all the largest", "of three values"):
        n = 300  # each look-up compares with all of one hash
    monkeypatch.setattr(record_batch, "hashes", HASHES[hashing])
    ids = [f"id{i:04}" for i in range(n)]
    records = stored(layout, [item(one) for one in ids])
    rows = {one: row for row, one in enumerate(ids)}
    asked = [*ids[:: 1 + n // 300], "", "absent", "id", *[f"no{i}" for i in range(20)], ids[-1]]
    expected = [rows.get(one, -1) for one in asked]
    assert rows_of(records, asked) == expected
    one_by_one = [rows_of(records, [one]) for one in asked]
    assert one_by_one == [[row] for row in expected]
    assert records.index.find([]) == {}


@given(items=ITEMS, asked=st.lists(IDS, max_size=30), bits=st.sampled_from([0, 1, 3, 64]))
def test_find_is_a_dictionary(layout, items, asked, bits):
    asked += [item.id for item in items]
    rows = {item.id: row for row, item in enumerate(items)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_batch, "hashes", lambda ids: hashes(ids) & np.uint64(2**bits - 1))
        assert rows_of(stored(layout, items), asked) == [rows.get(one, -1) for one in asked]


# merged

PARTS = st.lists(st.tuples(ITEMS, st.randoms()), min_size=1, max_size=4)


@given(PARTS)
def test_merged_are_the_given_rows_one_below_the_other(layout, parts):
    chosen, expected, seen = [], [], set()
    for at, (items, random) in enumerate(parts):
        items = [item for item in items if item.id not in seen]
        seen |= {item.id for item in items}
        if items:
            rows = sorted(random.sample(range(len(items)), random.randint(0, len(items))))
            chosen.append((stored(layout, items, f"part{at}"), np.array(rows, np.int64)))
            expected += [items[row] for row in rows]
    if expected:
        found = opened(layout, merged(chosen), "merged")
        assert_same(found, expected)
        asked = [item.id for item in expected]
        assert rows_of(found, asked) == list(range(len(expected)))


@pytest.mark.parametrize(
    "of_parts",
    [
        [[{"a": 1}], [{"a": 2}]],
        [[{"a": 1}], [{"b": "x"}], [{}]],
        [[{}], [{"a": 1}], [{"a": 3}]],
        [[{}], [{}]],
        [[{"a": 1}], [{"a": 1.5}]],
        [[{"a": "[1]"}], [{"a": [1]}]],
        [[{"a": 1}], [{"A": 2}]],
        [[{f"k{i}": i for i in range(200)}], [{f"l{i}": str(i) for i in range(200)}]],
        [[{"\ud800": 1}], [{"a": 1}]],
    ],
)
def test_merged_are_columns_of_differing_keys_and_types(layout, of_parts):
    parts, expected = [], []
    for at, part in enumerate(of_parts):
        items = [item(f"{at}-{i}", **metadata) for i, metadata in enumerate(part * 3)]
        parts.append((stored(layout, items, f"part{at}"), np.array([0, 2])))
        expected += [items[0], items[2]]
    assert_same(opened(layout, merged(parts), "merged"), expected)


# read by others


@pytest.fixture
def readable(layout):
    items = [
        ItemRecord(f"i{n}", bytes(16), {"year": 2000 + n, "tag": "ab"[n % 2], "any": [n]}, f"p{n}")
        for n in range(20)
    ]
    file = write_records(layout, "readable", batch_of(items))
    return layout.segments / file.name


def test_polars_reads_a_segment(readable):
    frame = pl.scan_ipc(readable).select("id", "preview", pl.col("metadata").struct.unnest())
    found = frame.filter((pl.col("year") >= 2005) & (pl.col("tag") == "a")).collect()
    assert found["id"].to_list() == [f"i{n}" for n in range(6, 20, 2)]
    assert found["any"].to_list() == [f"[{n}]" for n in range(6, 20, 2)]
    assert pl.read_ipc(readable)["digest"].to_list() == [bytes(16)] * 20


def test_duckdb_reads_a_segment(readable):
    with pa.memory_map(str(readable)) as source:
        segment = pa.ipc.open_file(source).read_all()  # noqa: F841 - DuckDB finds it by its name
        found = duckdb.sql(
            "SELECT id, preview, metadata.any->>0 FROM segment "
            "WHERE metadata.year < 2003 AND metadata.tag = 'a' ORDER BY id"
        ).fetchall()
    assert found == [("i0", "p0", "0"), ("i2", "p2", "2")]


# what is not as it was written


@pytest.fixture(scope="module")
def large(layout):
    """Records of several blocks, with their file, and the bytes of it."""
    items = [ItemRecord(f"id{i:05}", bytes(16), {"n": i}, f"preview {i:05}") for i in range(9000)]
    file = write_records(layout, "large", batch_of(items))
    path = layout.segments / file.name
    assert file.size > 8 * BLOCK
    return path, file, path.read_bytes()


def test_damage_is_met_by_whoever_reads_it_and_by_no_one_else(large):
    path, file, sound = large
    at = sound.index(b"preview 05000")
    path.write_bytes(sound[:at] + b"P" + sound[at + 1 :])
    try:
        records = Records.open(path, file, 9000)
        assert records.record(100).preview == "preview 00100"
        assert records.id(5000) == "id05000"
        assert rows_of(records, ["id05000", "x"]) == [5000, -1]
        for read in (
            lambda: records.preview(5000),
            lambda: records.record(5000),
            lambda: records.column("preview"),
            lambda: records.rows(np.array([0])),
        ):
            with pytest.raises(DamagedError, match=rf"{path.name}.*SHA-256 .* of bytes"):
                read()
        assert records.preview(100) == "preview 00100"
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("n", [1, 40])
def test_damage_is_met_by_whoever_reads_many_ids_at_once(large, n):
    path, file, sound = large
    at = sound.index(b"id05000")
    path.write_bytes(sound[:at] + b"I" + sound[at + 1 :])
    try:
        records = Records.open(path, file, 9000)
        assert records.ids_of(np.arange(n)) == [f"id{row:05}" for row in range(n)]
        with pytest.raises(DamagedError, match=rf"{path.name}.*SHA-256 .* of bytes"):
            records.ids_of(np.arange(4999, 4999 + n + 1))
    finally:
        path.write_bytes(sound)


def test_a_file_of_another_size_or_segment_is_damage(layout, large):
    path, file, sound = large
    with pytest.raises(DamagedError, match="expected the records of 8999 items, got 9000 rows"):
        Records.open(path, file, 8999)
    other = write_records(layout, "other", batch_of([item("a")]))
    with pytest.raises(DamagedError, match=f"expected {file.size} bytes, got {other.size}"):
        Records.open(layout.segments / other.name, file, 9000)
    path.write_bytes(sound[:-1])
    try:
        with pytest.raises(DamagedError, match=f"expected {len(sound)} bytes"):
            Records.open(path, file, 9000)
    finally:
        path.write_bytes(sound)


def ipc(batches, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(
        sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)
    ) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


SOUND = batch_of([item("a", n=1), item("b", n=2), item("c", n=3)])


def with_column(name, values, kind):
    columns = {field.name: SOUND.column(field.name) for field in SOUND.schema}
    columns[name] = pa.array(values, kind)
    return pa.RecordBatch.from_pydict(columns)


STRANGE = {
    "nothing": b"",
    "no Arrow": b"ARROW1\0\0" + bytes(400),
    "a short file": b"ARROW1",
    "two batches": ipc([SOUND.slice(0, 1), SOUND.slice(1)]),
    "no batch": ipc([SOUND.slice(0, 0)]),
    "compressed": ipc([SOUND], compression="zstd"),
    "fewer rows": ipc([SOUND.slice(1)]),
    **{
        f"no {name}": ipc([SOUND.select([n for n in SOUND.schema.names if n != name])])
        for name in ("id", "digest", "preview", "sorted_hash", "hash_row")
    },
    "ids of bytes": ipc([with_column("id", [b"a", b"b", b"c"], pa.binary())]),
    "large strings": ipc([with_column("id", ["a", "b", "c"], pa.large_string())]),
    "short digests": ipc([with_column("digest", [bytes(8)] * 3, pa.binary(8))]),
    "one more column": ipc([with_column("more", [1, 2, 3], pa.int64())]),
    "metadata of a number": ipc([with_column("metadata", [1, 2, 3], pa.int64())]),
    "metadata of lists": ipc(
        [with_column("metadata", [{"n": [1]}] * 3, pa.struct({"n": pa.list_(pa.int64())}))]
    ),
    "others of numbers": ipc([with_column("other_metadata", [1, 2, 3], pa.int64())]),
}


@pytest.mark.parametrize("what", STRANGE)
def test_another_file_with_right_checksums_is_damage(layout, what):
    file = write_file(layout.segments / "strange.arrow", [STRANGE[what]])
    with pytest.raises(DamagedError, match=r"strange\.arrow"):
        read_all(layout.segments / file.name, file, 3)


@pytest.mark.parametrize("text", ["[1]", "{", "{]", "[" * 100_000])
def test_other_metadata_that_is_no_object_is_damage(layout, text):
    content = ipc([with_column("other_metadata", [text, None, None], pa.string())])
    file = write_file(layout.segments / "strange.arrow", [content])
    records = Records.open(layout.segments / file.name, file, 3)
    assert records.metadata(1) == {"n": 2}
    with pytest.raises(DamagedError, match=r"strange\.arrow"):
        records.metadata(0)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("id", ["a", None, "c"], pa.string()),
        ("preview", [None, "b", "c"], pa.string()),
        ("sorted_hash", [1, None, 3], pa.uint64()),
        ("sorted_hash", [3, 2, 1], pa.uint64()),
        ("hash_row", [7, 8, 2**32 - 1], pa.uint32()),
    ],
)
def test_rows_and_values_that_are_not_there_are_no_crash(layout, name, values, kind):
    file = write_file(layout.segments / "strange.arrow", [ipc([with_column(name, values, kind)])])
    with suppress(DamagedError):
        read_all(layout.segments / file.name, file, 3)


def read_all(path, file, n):
    records = Records.open(path, file, n)
    for row in range(n):
        records.record(row)
    assert records.ids_of(np.arange(n)) == [records.id(row) for row in range(n)]
    assert all(-1 <= row < n for row in rows_of(records, ["a", "b", "z"]))
    assert all(-1 <= row < n for row in rows_of(records, list("abcdefghijklmnopqrstuvw")))
    list(records.by_id())
    for key in [field.name for field in records.fields]:
        records.field(key)
    assert records.other is None or len(records.other) == n
    records.rows(np.arange(n))


FUZZED = ipc([batch_of([item("a", n=1, s="x", j=[1]), item("b", s="y"), item("c", j=2)])])
CHANGES = st.lists(
    st.tuples(
        st.integers(0, len(FUZZED) - 1),
        st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255),
        st.sampled_from([1, 2, 4, 8]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300)
@given(CHANGES, st.none() | st.integers(0, len(FUZZED)))
def test_no_bytes_crash_a_reader(layout, changes, stop):
    """Whoever writes a file can write its checksums too: Arrow must not end the process."""
    content = bytearray(FUZZED)
    for at, value, width in changes:
        content[at : at + width] = bytes([value]) * min(width, len(content) - at)
    file = write_file(layout.segments / "fuzzed.arrow", [bytes(content[:stop])])
    with suppress(DamagedError):
        read_all(layout.segments / file.name, file, 3)


@pytest.mark.parametrize("length", [-1, -(2**62), 2**31, 2**62])
def test_a_hostile_length_does_not_end_the_process(layout, length):
    three = (3).to_bytes(8, "little")
    places = [at for at in range(0, len(FUZZED), 4) if FUZZED[at : at + 8] == three]
    assert places
    for at in places:
        content = FUZZED[:at] + length.to_bytes(8, "little", signed=True) + FUZZED[at + 8 :]
        file = write_file(layout.segments / "fuzzed.arrow", [content])
        with suppress(DamagedError):
            read_all(layout.segments / file.name, file, 3)
