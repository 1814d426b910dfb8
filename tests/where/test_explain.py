"""Why nothing satisfies a condition, by the kinds of values that columns hold."""

import numpy as np
import pytest

from hashret.where.columns import KINDS, kinds
from hashret.where.explain import reason
from tests.where.test_columns import Held

ITEMS = [
    ("a", {"year": "1999", "topic": "sea", "author": {"born": 1950}, "tags": ["x"]}),
    ("b", {"year": "2001", "n": 3, "mixed": 1, "draft": True, "nothing": None}),
    ("c", {"year": "2005", "mixed": "one"}),
]


@pytest.mark.parametrize("n_columns", [0, 3, 256])
@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("yaer >= 2003", "no item has a field 'yaer'"),
        ("year >= 2003", "field 'year' holds strings, not numbers; write the value in quotes"),
        ("n == '3'", "field 'n' holds numbers, not strings; write the value without quotes"),
        ("author.born > '1'", "field 'author.born' holds numbers, not strings; write the value"),
        ("author.name.contains('x')", "no item has a field 'author.name'"),
        ("year.month == 1 and tags > 1", "no item has a field 'year.month'; field 'tags' holds no"),
        ("draft > 1", "field 'draft' holds no numbers"),
        ("nothing == 1", "no item has a field 'nothing'"),
        ("mixed == 7 or mixed == 'two' or n == 9", ""),
        ("tags.contains('y') and draft == false", ""),
        ("not yaer and year == '1'", ""),
        ("id == 3", ""),
    ],
)
def test_the_reason_names_what_is_missing_or_of_another_type(where, says, n_columns):
    columns = Held(ITEMS, n_columns)
    told = reason(where, lambda field: {KINDS[k] for k in np.unique(kinds(field, columns))})
    assert told.startswith(says)
    assert bool(told) == bool(says)
