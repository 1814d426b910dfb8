"""Every value of every row of the catalog is covered by a checksum that is looked at."""

import shutil
import sqlite3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret import Collection, Item
from hashret.errors import DamagedError, FormatVersionError
from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.staging import Staging
from hashret.store.catalog.sums import checksum, removal, sum_of_rows
from hashret.store.layout import Layout
from hashret.store.repair import audit
from indexer import Indexer
from tests.store.test_catalog import stage, with_model
from tests.torture.bases import items_of, make

_OTHER = {"TEXT": "'other'", "VARCHAR": "'other'", "BLOB": "x'01'"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Three commits: a, b, c; then b anew; then without c."""
    layout = Layout.create(tmp_path_factory.mktemp("c") / "c")
    with Catalog.create(layout, "text") as catalog:
        staging = Staging(catalog)
        with_model(layout, staging)
        stage(layout, staging, ["a", "b", "c"], "one")
        staging.finish("m1")
        staging = Staging(catalog)
        stage(layout, staging, ["b"], "two")
        staging.finish("m1")
        staging = Staging(catalog)
        staging.remove([row for row, _ in staging.known(["c"]).values()])
        staging.finish("m1")
    return layout


def read_all(layout):
    with Catalog.open(layout) as catalog:
        last = catalog.last_commit()
        rows = catalog.live_rows(last.commit)
        catalog.require_rows(rows, last)
        catalog.model(last.model)
        return last.commit, [record.id for record in catalog.items(rows.tolist()).values()]


def copied(layout, tmp_path):
    return Layout.find(shutil.copytree(layout.root, tmp_path / "c"))


def test_what_was_written_is_believed(written):
    assert read_all(written) == (3, ["a", "b"])


@pytest.mark.parametrize(
    ("table", "column"),
    [(table.name, column.name) for table in t.metadata.sorted_tables for column in table.columns],
)
def test_a_changed_value_is_noticed(written, tmp_path, table, column):
    layout = copied(written, tmp_path)
    connection = sqlite3.connect(layout.catalog, isolation_level=None)
    kind = next(c.type for c in t.metadata.tables[table].columns if c.name == column)
    other = _OTHER.get(str(kind).split("(")[0], f'coalesce("{column}", 0) + 100')
    # the newest; of items the first, which is live: of one that is removed nothing is read
    which = "min" if table == "items" else "max"
    done = connection.execute(
        f'UPDATE "{table}" SET "{column}" = {other} '  # noqa: S608
        f'WHERE rowid = (SELECT {which}(rowid) FROM "{table}")'
    )
    assert done.rowcount == 1
    connection.close()
    with pytest.raises((DamagedError, FormatVersionError)):
        read_all(layout)


@pytest.mark.parametrize(
    "statement",
    [
        'DELETE FROM commits WHERE "commit" = 3',
        "DELETE FROM segments WHERE first_row = 3",
        "DELETE FROM items WHERE id = 'a'",
        "DELETE FROM models",
        "DELETE FROM meta WHERE key = 'last'",
        "UPDATE meta SET value = '' WHERE key = 'last'",
        "UPDATE items SET removed = NULL WHERE id = 'c'",
        "UPDATE items SET removed = NULL, removal = NULL WHERE id = 'c'",
        "UPDATE items SET removed = 4 WHERE id = 'c'",
    ],
)
def test_a_row_that_is_gone_or_back_is_noticed(written, tmp_path, statement):
    layout = copied(written, tmp_path)
    with sqlite3.connect(layout.catalog) as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()
    with pytest.raises(DamagedError):
        read_all(layout)


def test_a_writer_does_not_seal_a_damage(written, tmp_path):
    layout = copied(written, tmp_path)
    with sqlite3.connect(layout.catalog) as connection:
        connection.execute("DELETE FROM items WHERE id = 'a'")
    connection.close()
    with Catalog.open(layout, write=True) as catalog, pytest.raises(DamagedError):
        Staging(catalog).finish("m1")


@given(st.lists(st.one_of(st.integers(), st.text(), st.binary()), max_size=4))
def test_values_are_told_apart_by_where_they_end(values):
    assert checksum(*values) == checksum(*values)
    assert checksum(*values, "ab", "c") != checksum(*values, "a", "bc")
    assert -(2**63) <= checksum(*values) < 2**63


@given(st.sets(st.integers(0, 1 << 48), min_size=1), st.randoms())
def test_the_sum_of_rows_is_of_the_set(rows, random):
    ordered, shuffled = sorted(rows), list(rows)
    random.shuffle(shuffled)
    whole = sum_of_rows(np.array(ordered, np.int64))
    assert whole == sum_of_rows(np.array(shuffled, np.int64))
    without = sum_of_rows(np.array(ordered[1:], np.int64))
    assert whole != without
    if ordered[0] + 1 not in rows:
        assert whole != sum_of_rows(np.array([ordered[0] + 1, *ordered[1:]], np.int64))


def test_a_removal_is_one_of_row_and_commit():
    pairs = [(row, commit) for row in range(300) for commit in range(1, 300)]
    assert len({removal(*pair) for pair in pairs}) == len(pairs)


def test_an_item_that_damage_hides_is_missed(tmp_path):
    path = make(tmp_path / "c", "vector", 20)
    with sqlite3.connect(path / "catalog.sqlite") as connection:
        connection.execute("UPDATE items SET metadata = '{}' WHERE id = 'v-007'")
    connection.close()
    asked = items_of("vector", 20)[0].payload
    with Collection.open(path) as collection:
        assert collection.query(asked, k=1)[0].id == "v-000", "sound rows still answer"
        for hidden in (
            lambda: collection.query(asked, where="n == 7"),
            lambda: list(collection.items(where="n == 7")),
            lambda: "absent" in collection,
            lambda: collection.get("v-007"),
        ):
            with pytest.raises(DamagedError):
                hidden()
        assert collection.get("v-008").metadata == {"n": 8}


def test_new_rows_alone_are_looked_at_again(tmp_path, monkeypatch):
    path = make(tmp_path / "c", "vector", 20)
    looked = []
    honest = audit.require_sound_items
    monkeypatch.setattr(
        audit,
        "require_sound_items",
        lambda catalog, live, after: (looked.append(after), honest(catalog, live, after)),
    )
    with Collection.open(path) as collection:
        assert len(list(collection.items(where="n < 5"))) == 5
        with Indexer(path) as indexer:
            indexer.add([Item("new", items_of("vector", 20)[3].payload, {"n": 1})])
            indexer.remove(["v-000"])
            indexer.commit()
        collection.refresh()
        assert [item.id for item in collection.items(where="n < 5")] == [
            *("new", "v-001", "v-002", "v-003", "v-004")
        ]
        assert "v-000" not in collection
    assert looked == [-1, 19, 20]
