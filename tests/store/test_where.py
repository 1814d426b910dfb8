"""Conditions: the same in SQL as in plain Python."""

import json

import pytest
from hypothesis import given, settings

from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import Catalog
from hashret.store.layout import Layout
from hashret.where.conditions import AnyOf, Contains, Field, Not, Order, StartsWith, holds
from tests.where.metadata import BOUNDS, CONDITIONS, ITEMS, NEAR, ODD

YEAR = Field(("year",))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory, each_catalog):
    with Catalog.create(Layout.create(tmp_path_factory.mktemp("where")), "text") as catalog:
        yield catalog


def selected(catalog, condition, items):
    """The rows of (id, metadata) pairs that the database selects, and those that Python does."""
    rows = [
        {
            "row": row,
            "id": f"{item_id}{row}",
            "content_hash": b"",
            "metadata": json.dumps(metadata, sort_keys=True),
            "preview": "",
            "checksum": 0,
            "added": 1,
        }
        for row, (item_id, metadata) in enumerate(items)
    ]
    with catalog.transaction() as connection:
        connection.execute(t.items.delete())
        connection.execute(t.items.insert(), rows)
    expected = [
        row["row"]
        for row, (_, metadata) in zip(rows, items, strict=True)
        if holds(condition, row["id"], metadata)
    ]
    return catalog.rows_where(condition).tolist(), expected


@settings(max_examples=300, deadline=None)
@given(items=ITEMS, condition=CONDITIONS)
def test_sql_selects_what_python_does(catalog, items, condition):
    found, expected = selected(catalog, condition, items)
    assert found == expected


@pytest.mark.parametrize("bound", BOUNDS)
def test_numbers_are_compared_exactly(catalog, bound):
    items = [("", {"year": value}) for value in NEAR]
    conditions = [Order(YEAR, sign, bound) for sign in ("<", "<=", ">", ">=")]
    for condition in [*conditions, AnyOf(YEAR, (bound,)), AnyOf(YEAR, (bound, 3, None))]:
        found, expected = selected(catalog, condition, items)
        assert found == expected, condition
    lists = [("", {"year": [value, "x"]}) for value in NEAR]
    found, expected = selected(catalog, Contains(YEAR, bound), lists)
    assert found == expected


def test_text_that_no_database_holds_is_judged_as_python_does(catalog):
    """NUL and halves of surrogate pairs, which JSON may escape, in values and keys."""
    items = [("", {"year": text}) for text in ODD] + [("", {text: "x"}) for text in ODD]
    items += [("", {"year": ["x", text]}) for text in ODD] + [("", {"year": "x"})]
    for condition in (
        AnyOf(YEAR, ("x", "\U0001f600")),
        Order(YEAR, ">", "x"),
        StartsWith(YEAR, "x"),
        Contains(YEAR, "x"),
        Not(AnyOf(YEAR, (None,))),
        AnyOf(Field(("\0",)), ("x",)),
    ):
        found, expected = selected(catalog, condition, items)
        assert found == expected, condition
