"""Every value of the catalog is covered by a checksum: no damaged row is believed."""

import shutil
import sqlite3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.codes import Codes
from hashret.errors import DamagedError, FormatVersionError
from hashret.store.catalog import tables as t
from hashret.store.catalog.opening import create_catalog, open_catalog
from hashret.store.catalog.records import checksum, state_of
from hashret.store.catalog.staging import Staging
from hashret.store.layout import Layout
from hashret.store.model_files import write_model
from hashret.store.repair.verify import examine
from hashret.store.segments.record_batch import batch_of, write_records
from hashret.store.segments.record_schema import ItemRecord
from hashret.store.segments.segment import Segment, write_codes
from hashret.store.segments.stored_items import StoredItems

_OTHER = {"TEXT": "'other'", "VARCHAR": "'other'", "BLOB": "x'00000000'"}


def stage(layout, staging, ids):
    name, first = staging.new_segment()
    codes = write_codes(layout, name, Codes(np.zeros((len(ids), 2), np.uint8)))
    records = write_records(
        layout, name, batch_of([ItemRecord(one, bytes(16), {}, one) for one in ids])
    )
    segment = Segment(name, first, len(ids), len(ids), 16, "m1", codes, records)
    staging.add_segment(segment, ids)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Three commits: a, b, c; then b anew; then without c."""
    layout = Layout.create(tmp_path_factory.mktemp("c") / "c")
    with create_catalog(layout, "text") as catalog:
        staging = Staging(catalog)
        staging.add_model(write_model(layout, "m1", {"a": 1}, {"w": np.arange(6.0)}, 16))
        stage(layout, staging, ["a", "b", "c"])
        staging.finish("m1")
        staging = Staging(catalog)
        stage(layout, staging, ["b"])
        staging.finish("m1")
        staging = Staging(catalog)
        staging.remove([staging.items.find(["c"])["c"]])
        staging.finish("m1")
    return layout


def read_all(layout):
    with open_catalog(layout) as catalog:
        last = catalog.last_commit()
        items = StoredItems(layout, catalog.segments_of(last))
        catalog.model(last.model)
        return last.commit, [items.id(row) for row in items.rows()]


def changed(layout, tmp_path, statement):
    """A copy whose catalog a statement changed, which must hit a row."""
    copy = Layout.find(shutil.copytree(layout.root, tmp_path / "c"))
    connection = sqlite3.connect(copy.catalog, isolation_level=None)
    assert connection.execute(statement).rowcount >= 1
    connection.close()
    return copy


def test_what_was_written_is_believed(written):
    assert read_all(written) == (3, ["a", "b"])
    assert examine(written).is_sound


@pytest.mark.parametrize(
    ("table", "column", "which"),
    [
        (table.name, column.name, which)
        for table in t.metadata.sorted_tables
        for column in table.columns
        for which in ("min", "max")
        # of the commits but the last nothing is read to answer
        if which == "max" or table.name not in ("commits", "meta")
    ],
)
def test_a_changed_value_is_noticed(written, tmp_path, table, column, which):
    kind = next(c.type for c in t.metadata.tables[table].columns if c.name == column)
    other = _OTHER.get(str(kind).split("(")[0], f'coalesce("{column}", 0) + 100')
    layout = changed(
        written,
        tmp_path,
        f'UPDATE "{table}" SET "{column}" = {other} '  # noqa: S608
        f'WHERE rowid = (SELECT {which}(rowid) FROM "{table}")',
    )
    with pytest.raises((DamagedError, FormatVersionError)):
        read_all(layout)


@pytest.mark.parametrize(
    "statement",
    [
        'DELETE FROM commits WHERE "commit" = 3',
        "DELETE FROM segments WHERE first_row = 3",
        "DELETE FROM segments WHERE first_row = 0",
        "DELETE FROM removals WHERE added = 2",
        "DELETE FROM removals WHERE added = 3",
        "DELETE FROM removals",
        "DELETE FROM models",
        "DELETE FROM meta WHERE key = 'last'",
        "UPDATE meta SET value = '' WHERE key = 'last'",
        "INSERT INTO removals SELECT segment, 3, 'x', x'00000000', checksum FROM removals LIMIT 1",
    ],
)
def test_a_row_that_is_gone_or_more_is_noticed(written, tmp_path, statement):
    layout = changed(written, tmp_path, statement)
    with pytest.raises(DamagedError):
        read_all(layout)
    assert not examine(layout).is_sound


def resigned(layout, table, column, value):
    """Change a value of the newest row and have its own checksum agree."""
    with sqlite3.connect(layout.catalog) as connection:
        row = list(connection.execute(f'SELECT * FROM "{table}" ORDER BY rowid DESC').fetchone())  # noqa: S608
        at = [one.name for one in t.metadata.tables[table].columns].index(column)
        before = row[-1]
        row[at] = value
        row[-1] = checksum(*row[:-1])
        connection.execute(
            f'UPDATE "{table}" SET "{column}" = ?, checksum = ? WHERE checksum = ?',  # noqa: S608
            (value, row[-1], before),
        )
    connection.close()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("segments", "name", "c000009-000000000003"),
        ("segments", "first_row", 4),
        ("segments", "n_coded", 0),
        ("segments", "added", 4),
        ("segments", "removed", 2),
        ("removals", "added", 4),
        ("removals", "segment", "c000002-000000000003"),
        ("removals", "rows", b"\0\0\0\0"),
        ("removals", "rows", b"\2\0\0"),
        ("removals", "rows", b"\2\0\0\0\3\0\0\0"),
    ],
)
def test_the_state_of_a_commit_covers_what_stale_rows_say(written, tmp_path, table, column, value):
    """A row as another commit might have written it, its own checksum right: a lost write."""
    layout = Layout.find(shutil.copytree(written.root, tmp_path / "c"))
    resigned(layout, table, column, value)
    with pytest.raises(DamagedError):
        read_all(layout)


def test_a_writer_does_not_seal_a_damage(written, tmp_path):
    layout = changed(written, tmp_path, "UPDATE removals SET rows = x'' WHERE added = 2")
    with pytest.raises(DamagedError), open_catalog(layout, write=True) as catalog:
        Staging(catalog).finish("m1")


@given(st.lists(st.one_of(st.integers(), st.text(), st.binary()), max_size=4))
def test_values_are_told_apart_by_where_they_end(values):
    assert checksum(*values) == checksum(*values)
    assert checksum(*values, "ab", "c") != checksum(*values, "a", "bc")
    assert -(2**63) <= checksum(*values) < 2**63


_segments = st.lists(
    st.builds(
        lambda name, n, coded, gone: Segment(
            *(f"c{name}", 8 * name, n, min(n, coded), 16, "m1", None, None),
            removed=np.array(sorted(one for one in gone if one < n), np.uint32),
        ),
        *(st.integers(0, 3), st.integers(1, 4), st.integers(0, 4), st.sets(st.integers(0, 3))),
    ),
    max_size=3,
)


@given(_segments, _segments)
def test_states_are_equal_only_of_equal_segments(one, other):
    def seen(segments):
        return [(s.name, s.n_rows, s.n_coded, s.removed.tolist()) for s in segments]

    assert (state_of(one) == state_of(other)) == (seen(one) == seen(other))
