"""Metadata and conditions that often meet, for whoever finds items by a condition."""

from hypothesis import strategies as st

from hashret.where.conditions import And, AnyOf, Contains, Field, Not, Or, Order, StartsWith

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
