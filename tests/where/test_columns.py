"""A condition on columns selects the rows that `holds` selects, one by one."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.errors import DamagedError
from hashret.unicode_text import is_storable, is_unicode
from hashret.where import columns as of_columns
from hashret.where.columns import KINDS, kinds, satisfied
from hashret.where.conditions import (
    And,
    AnyOf,
    Contains,
    Field,
    Not,
    Or,
    Order,
    StartsWith,
    holds,
    inner_value,
    kind_of,
)
from hashret.where.grammar import parse
from tests.where.metadata import BOUNDS, NEAR, NUMBERS, ODD, SCALARS, TEXTS, VALUES

YEAR = Field(("year",))
SIGNS = ("<", "<=", ">", ">=")


class Held:
    """Items in columns as a segment has them; of the keys the `n_columns` most frequent have one."""

    def __init__(self, items, n_columns=256):
        self.n_rows = len(items)
        self.ids = pa.array([item_id for item_id, _ in items], pa.string())
        counts = Counter(key for _, metadata in items for key in metadata if is_unicode(key))
        keys = [key for key, _ in counts.most_common(n_columns)]
        made = {key: column_of([metadata.get(key, ...) for _, metadata in items]) for key in keys}
        self._columns = {key: column for key, (column, _) in made.items()}
        self._json = {key for key, (_, is_json) in made.items() if is_json}
        others = [{k: v for k, v in metadata.items() if k not in made} for _, metadata in items]
        self.other = None
        if any(others):
            self.other = pa.array([json.dumps(one) if one else None for one in others], pa.string())

    def field(self, key):
        key.encode()  # Arrow takes no other names
        return self._columns.get(key)

    def is_json(self, key):
        return key in self._json


def column_of(values):
    """The column of values (... where there is none), and whether it is JSON."""
    there = [value for value in values if value is not ...]
    types = {type(value) for value in there}
    plain = [None if value is ... else value for value in values]
    if types == {bool}:
        return pa.array(plain, pa.bool_()), False
    if types == {int} and all(-(2**63) <= value < 2**63 for value in there):
        return pa.array(plain, pa.int64()), False
    if types == {float}:
        return pa.array(plain, pa.float64()), False
    if types == {str} and all(map(is_storable, there)):
        return pa.array(plain, pa.string()), False
    texts = [None if value is ... else json.dumps(value) for value in values]
    return pa.array(texts, pa.string()), True


def agree(condition, items, n_columns=256):
    """What `holds` says of metadata is of what JSON keeps of them: it joins halves of pairs."""
    items = [(item_id, json.loads(json.dumps(metadata))) for item_id, metadata in items]
    found = satisfied(condition, Held(items, n_columns))
    assert found.dtype == bool
    assert found.tolist() == [holds(condition, *item) for item in items], condition


ANY_TEXT = TEXTS | st.sampled_from(ODD)
ANY_KEY = st.sampled_from(["a", "a.b", "ü", "", "\ud800"])
FLOATS = st.sampled_from([0.0, -0.0, 1.0, 0.5, 2.0**53, 2.0**63, -(2.0**63), 1e25, 1.7e308])
#: What the values of one key have in common.
ALIKE = [st.booleans(), st.integers(-3, 3), NUMBERS, FLOATS, TEXTS, ANY_TEXT, st.none(), VALUES]
FIELDS = st.lists(ANY_KEY, max_size=2).map(lambda keys: Field(tuple(keys)))
ASKED = SCALARS | ANY_TEXT
CONDITIONS = st.recursive(
    st.one_of(
        st.builds(AnyOf, FIELDS, st.lists(ASKED, max_size=3).map(tuple)),
        st.builds(Order, FIELDS, st.sampled_from(SIGNS), NUMBERS | ANY_TEXT),
        st.builds(Contains, FIELDS, ASKED),
        st.builds(StartsWith, FIELDS, ANY_TEXT),
    ),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        *(st.builds(n, st.lists(inner, max_size=3).map(tuple)) for n in (And, Or)),
    ),
    max_leaves=5,
)


@st.composite
def collections(draw):
    """Items whose values of one key are often of one type."""
    alike = draw(st.dictionaries(ANY_KEY, st.sampled_from(ALIKE), min_size=2))
    metadata = st.fixed_dictionaries({}, optional=alike)
    return draw(st.lists(st.tuples(TEXTS, metadata), max_size=12))


@settings(max_examples=300, deadline=None)
@given(collections(), CONDITIONS, st.sampled_from([0, 1, 256]), st.sampled_from([1, 5, 1 << 16]))
def test_columns_select_what_python_does(items, condition, n_columns, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_columns, "_AT_ONCE", at_once)
        agree(condition, items, n_columns)


@settings(max_examples=100, deadline=None)
@given(collections(), FIELDS, st.sampled_from([0, 1, 256]))
def test_kinds_are_those_of_the_values(items, field, n_columns):
    items = [(item_id, json.loads(json.dumps(metadata))) for item_id, metadata in items]
    found = kinds(field, Held(items, n_columns))
    values = [inner_value(metadata, field.keys) if field.keys else i for i, metadata in items]
    assert [KINDS[kind] for kind in found] == [kind_of(value) for value in values]


@pytest.mark.parametrize("bound", [*BOUNDS, -(2**63) - 1, -(2.0**64), 0.0, -0.0, 10**400])
@pytest.mark.parametrize("held", [int, float, object])
def test_numbers_are_compared_exactly(bound, held):
    years = [value for value in NEAR if isinstance(value, held)]
    if held is int:
        years = [value for value in years if -(2**63) <= value < 2**63]
    items = [("", {"year": value}) for value in [*years, -0.0] if isinstance(value, held)]
    assert Held(items).is_json("year") == (held is object)
    for condition in [
        *(Order(YEAR, sign, bound) for sign in SIGNS),
        AnyOf(YEAR, (bound,)),
        AnyOf(YEAR, (bound, 3, None)),
        AnyOf(YEAR, (bound, *NEAR)),
    ]:
        agree(condition, [*items, ("", {})])


@pytest.mark.parametrize("text", ["", "x", "é", "\uffff", "\U0001f600", "id7", *ODD])
def test_strings_are_compared_by_code_points(text):
    plain = ["", "x", "xé", "éx", "\ue000", "\uffff", "\U00010000", "a😀b", "\ufffd"]
    for values in (plain, [*plain, *ODD]):
        items = [(f"id{i}", {"year": value}) for i, value in enumerate(values)]
        for field in (YEAR, Field()):
            for condition in [
                *(Order(field, sign, text) for sign in SIGNS),
                AnyOf(field, (text,)),
                AnyOf(field, (text, "x")),
                Contains(field, text),
                StartsWith(field, text),
            ]:
                agree(condition, [*items, ("", {})])


@pytest.mark.parametrize(
    "expression",
    [
        "year >= 2003 and 'b' in tags",
        "lang == 'de' and year in (2001, 2002, 2003) and not author.name is null",
        "lang != 'de' or year < 2001 or 'b' in tags",
        "not (id.startswith('1') and (draft or lang == 'fr'))",
        "author.name.contains('n') and year == 2000.0",
        "rare > 10 or field('rare').x == 1",
    ],
)
def test_few_rows_are_left_for_the_next_part(expression, monkeypatch):
    """Over more rows than are judged at once, and with parts that few rows satisfy."""
    monkeypatch.setattr(of_columns, "_AT_ONCE", 1500)
    items = []
    for i in range(4000):
        metadata = {"year": 2000 + i % 50, "lang": ("de", "en", "fr")[i % 3]}
        if i % 7 == 0:
            metadata |= {"tags": ["b", i % 5], "author": {"name": f"n{i % 11}"}, "draft": i % 2 > 0}
        if i % 100 == 0:
            metadata["rare"] = i % 30 if i % 200 else {"x": 1}
        items.append((str(i), metadata))
    agree(parse(expression), items, n_columns=5)


@pytest.mark.parametrize(
    "held", [3, 3.0, True, "three", [3], {"x": {"y": 3}}, {"x": "three"}, None]
)
@pytest.mark.parametrize("n_columns", [0, 256])
def test_a_path_leads_into_objects_only(held, n_columns):
    items = [("i", {"year": held}), ("j", {})]
    for keys in (("year",), ("year", "x"), ("year", "x", "y"), ("year", "0"), ("", "year")):
        for value in (3, True, "three", None):
            agree(AnyOf(Field(keys), (value,)), items, n_columns)
            agree(Contains(Field(keys), value), items, n_columns)
        agree(Order(Field(keys), ">=", 3), items, n_columns)
        agree(StartsWith(Field(keys), "t"), items, n_columns)


def test_each_different_json_is_read_once(monkeypatch):
    read = []
    held = Held([("", {"tags": ["a", "b"][: i % 3]}) for i in range(3000)])
    monkeypatch.setattr(
        json, "loads", lambda text, loads=json.loads: read.append(text) or loads(text)
    )
    condition = parse("'a' in tags and not 'b' in tags or tags == 1 or 'c' in tags")
    assert satisfied(condition, held).tolist() == [i % 3 == 1 for i in range(3000)]
    assert sorted(read) == ['["a", "b"]', '["a"]', "[]"]


def test_json_is_read_of_the_rows_that_are_left(monkeypatch):
    read = []
    held = Held([("", {"n": i, "big": 10**30 + i}) for i in range(100)])
    monkeypatch.setattr(
        json, "loads", lambda text, loads=json.loads: read.append(text) or loads(text)
    )
    assert satisfied(parse("n < 3 and big > 10"), held).sum() == 3
    assert satisfied(parse("n >= 2 or big > 10"), held).all()
    assert len(read) == 3 + 2


def test_what_decides_alone_asks_for_no_more():
    held = Held([("", {"year": 3, "tags": ["a"]})])
    held._columns["tags"] = pa.array(["{"])
    assert satisfied(parse("year == 3 or 'a' in tags"), held).tolist() == [True]
    assert satisfied(parse("year == 4 and 'a' in tags"), held).tolist() == [False]
    with pytest.raises(DamagedError):
        satisfied(parse("year == 3 and 'a' in tags"), held)


@pytest.mark.parametrize(
    "text", ["", "{", "[1,", "nul", "1" * 5000, "[" * 100_000, b'"\xff"', "{} {}"]
)
def test_json_that_cannot_be_read_is_damage(text):
    texts = pa.array([text if isinstance(text, bytes) else text.encode()], pa.binary())
    held = Held([("", {"tags": [1]})])
    held._columns["tags"] = texts.view(pa.string())
    with pytest.raises(DamagedError, match="metadata: expected JSON, got"):
        satisfied(parse("tags is null"), held)
    with pytest.raises(DamagedError, match="metadata: expected JSON, got"):
        kinds(Field(("tags",)), held)
    held.other = texts.view(pa.string())
    with pytest.raises(DamagedError):
        satisfied(parse("year is null"), held)


@pytest.mark.parametrize("text", ["[]", "null", "1", '"x"'])
def test_other_metadata_is_an_object(text):
    held = Held([("", {})])
    held.other = pa.array([text])
    with pytest.raises(DamagedError, match="expected JSON objects"):
        satisfied(parse("x is null"), held)


def test_a_column_of_another_type_is_damage():
    held = Held([("", {"year": 3})])
    held._columns["year"] = pa.array([np.float32(3)])
    with pytest.raises(DamagedError, match="got float;"):
        satisfied(parse("year == 3"), held)
