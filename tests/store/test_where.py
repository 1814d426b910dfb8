"""Conditions: read, refused by column, and the same in SQL as in plain Python."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.errors import WhereError
from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import Catalog
from hashret.store.layout import Layout
from hashret.where.conditions import And, AnyOf, Contains, Field, Not, Or, Order, StartsWith, holds
from hashret.where.grammar import MAX_NODES, parse

YEAR = Field(("year",))


@pytest.mark.parametrize(
    ("expression", "condition"),
    [
        ("year >= 2020", Order(YEAR, ">=", 2020)),
        ("2020 <= year", Order(YEAR, ">=", 2020)),
        ("1 < year < 3", And((Order(YEAR, ">", 1), Order(YEAR, "<", 3)))),
        ("year == -1.5", AnyOf(YEAR, (-1.5,))),
        ("year != null", Not(AnyOf(YEAR, (None,)))),
        ("year is not null", Not(AnyOf(YEAR, (None,)))),
        ("year in (1, 'a', true)", AnyOf(YEAR, (1, "a", True))),
        ("year not in []", Not(AnyOf(YEAR, ()))),
        ("'a' in year", Contains(YEAR, "a")),
        ("  not a.b.contains('x')", Not(Contains(Field(("a", "b")), "x"))),
        ("id.startswith('é')", StartsWith(Field(), "é")),
        ("field('id') == 'x'", AnyOf(Field(("id",)), ("x",))),
        ("field('my key')", AnyOf(Field(("my key",)), (True,))),
        ("year == 2 and\n(x or y == 1e3)", None),
        (
            "year > 1 # and more\r\nand not\n'x' in year\n# done",
            And((Order(YEAR, ">", 1), Not(Contains(YEAR, "x")))),
        ),
        ("'a\u2028b\\n\x85\x0c' in year", Contains(YEAR, "a\u2028b\n\x85\x0c")),
        # names as they are written, not as Python's parser normalises them
        ("\xb5m > 3", Order(Field(("\xb5m",)), ">", 3)),
        ("o\u0308.\ufb01 . \xaa > 3", Order(Field(("o\u0308", "\ufb01", "\xaa")), ">", 3)),
        ("(a.\n\xaa) > 3", Order(Field(("a", "\xaa")), ">", 3)),
        ("year == 1" + "0" * 30, AnyOf(YEAR, (10**30,))),
        ('year == "O\'Neil"', AnyOf(YEAR, ("O'Neil",))),
        ("year == 'O\\'Neil'", AnyOf(YEAR, ("O'Neil",))),
        ("year in ('', \"\", r'a', '''b''')", AnyOf(YEAR, ("", "", "a", "b"))),
        ("year >= '2024-02-01'", Order(YEAR, ">=", "2024-02-01")),
    ],
)
def test_expressions_are_read(expression, condition):
    found = parse(expression)
    assert condition is None or found == condition


@pytest.mark.parametrize(
    ("expression", "column", "says"),
    [
        ("year = 2020", None, "write =="),  # Pythons point at different sides
        ("", 1, "1 to"),
        ("year >=", 8, "a condition"),
        ("a == 1 and lang == en", 12, "quotes"),
        ("'é' == 'è' or a", 1, "a field on one side"),
        ("é == 1 or x < true", 15, "a number or a string"),
        ("  folder in ('a')", 14, "('a',)"),
        ("year is 3", 9, "write =="),
        ("__import__('os').system('true')", 1, "a comparison"),
        ("a == [x for x in y]", 6, "a number, a string"),
        ("a == 1e999", 6, "a number, a string"),
        ("a == b'x'", 6, "a number, a string"),
        ("a == f'{b}'", 6, "a number, a string"),
        ("a == 'x\\0'", 6, "a number, a string"),
        ("a.startswith(3)", 14, "a string"),
        ("field('a\"b') == 1", 1, "a key without"),
        ("field(a) == 1", 1, "a field"),
        ("a == 1; DROP TABLE items", 7, "a condition"),
        ("lambda: 1", 1, "a comparison"),
        ("(" * 5000, None, "where"),
        ("not " * 5000 + "a", None, "where"),
        ("a" + ".b" * 30_000, None, "where"),
        ("a == '\ud800'", None, "where"),
        ("a == 'O''Neil'", 6, "two side by side"),
        ("a in ('b', 'c' 'd')", 12, "two side by side"),
        ("a == ('b'\n'c')", 7, "two side by side"),
        ("a.startswith(\"b\" 'c')", 14, "two side by side"),
        ("d >= 2024-02-01", 6, "write '2024-02-01'"),
        ("d > 2024-12-31", 5, "write '2024-12-31'"),
        ("d in (2024-12-31, 2024-01-09)", None, "write '2024-"),
        ("2023-01-01 <= d < 2024-01-01", 1, "write '2023-01-01'"),
        ("d == 007", None, "leading zeros"),
        ("d == 1" + "0" * 5000, None, "4,300 digits"),
        ("a in (" + "1," * 10_001 + ")", 6, "at most 10000 values"),
        ("a in (" + "1," * 6000 + ") or b in (" + "1," * 6000 + ")", 12017, "12000"),
        ("a == 1\nand\né = 3", None, "write =="),
        ("a == 1 and\nbb == en", 12, "quotes"),
        ("a == 1) or (b\n== 1", 1, "a condition"),
        ("a == 1,\nb", 1, "a condition"),
        ("# nothing\n# at all", 1, "a condition"),
        ("a == 1 and # nothing", None, "a condition"),
        (" or ".join(["a"] * (MAX_NODES + 1)), None, f"at most {MAX_NODES}"),
    ],
)
def test_errors_name_the_column_and_what_to_write(expression, column, says):
    with pytest.raises(WhereError) as error:
        parse(expression)
    assert says in str(error.value)
    if column is not None:
        assert f"column {column}:" in str(error.value)


def test_anything_but_a_string_is_refused():
    with pytest.raises(TypeError, match="where: expected a string, got list"):
        parse(["year > 3"])


# what can stand in metadata: a few keys and values, so that they often meet
KEYS = ["a", "b", "é", "my key", "x.y", "id", "a\\b", "日\n", ""]
TEXTS = st.sampled_from(
    ["", "a", "ab", "é", "Ab", "日本", "'", '"', "%", "1", "true", "\U0001f600"]
)
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63), 1.0, 0.5, -0.0, 1e300, 2.0**53]),
    # beyond what SQLite holds as integers, and floats beside them
    st.sampled_from([2**63, 2**64 - 1, 2**64, 10**25, 10**25 + 1, -(2**64) - 1, 10**400]),
    st.sampled_from([2.0**63, 2.0**64, 1e25, -(2.0**64), 1.7e308]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = st.lists(st.sampled_from(KEYS), max_size=2).map(lambda keys: Field(tuple(keys)))
CONDITIONS = st.recursive(
    st.one_of(
        st.builds(AnyOf, FIELDS, st.lists(SCALARS, max_size=3).map(tuple)),
        st.builds(Order, FIELDS, st.sampled_from(["<", "<=", ">", ">="]), NUMBERS | TEXTS),
        st.builds(Contains, FIELDS, SCALARS),
        st.builds(StartsWith, FIELDS, TEXTS),
    ),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        *(st.builds(n, st.lists(inner, min_size=1, max_size=3).map(tuple)) for n in (And, Or)),
    ),
    max_leaves=5,
)
ITEMS = st.lists(
    st.tuples(TEXTS, st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)),
    min_size=1,
    max_size=8,
)


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


BOUNDS = [2**53, 2**53 + 1, 2.0**53, 2**63 - 1, 2.0**63, -(2**63), 0, 0.5, -0.5, 1e300, 5e-324]
NEAR = [
    *BOUNDS,
    2**53 - 1,
    2**63 - 2,
    2**62 + 1,
    2.0**62,
    1e16,
    10**16 + 1,
    0.1,
    3,
    10**30,
    -1e300,
    10**400,
    -(10**400),
    2**1024 - 2**970 - 1,
]


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


ODD = [
    "x\0y",
    "\0",
    "\ud800",
    "\udc00",
    "x\ud800y",
    "\udc00\ud800",
    "\\\ud83d\udc00",
    "\\u0000",
    "\U0001f600",
]


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
