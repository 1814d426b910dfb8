"""Expressions: read as conditions, or refused by column."""

import keyword

import pytest

from hashret.errors import WhereError
from hashret.where.conditions import And, AnyOf, Contains, Field, Not, Order, StartsWith
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
        ("1" + " < a < 2" * MAX_NODES, 1, f"at most {MAX_NODES}"),
        ("a.contains('" + "b" * 1001 + "')", 12, "a string of at most 1000 characters, got 1001"),
        ("'" + "b" * 1001 + "' in a", 1, "a string of at most 1000 characters, got 1001"),
        ("ab" + "\u0315\u0300" * 16 + " == 1", 3, "at most 30 combining marks"),
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


@pytest.mark.parametrize("name", sorted({*keyword.kwlist} - {"True", "False", "None"}))
@pytest.mark.parametrize("before", ["", "year > 1 and ", "not ("])
def test_words_of_python_are_fields_in_quotes(name, before):
    expression = f"{before}{name} == 'and or'" + ")" * before.count("(")
    with pytest.raises(WhereError, match=rf"column {len(before) + 1}: .*write field\('{name}'\)"):
        parse(expression)
    quoted = expression.replace(f"{name} ==", f"field('{name}') ==")
    meant = AnyOf(Field((name,)), ("and or",))
    assert parse(quoted) in (meant, Not(meant), And((Order(YEAR, ">", 1), meant)))


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("content-type == 'x'", "content-type"),
        ("a == 'b-c' and x-y is null", "x-y"),
        ("dc:title == 'x'", "dc:title"),
        ("message-from.contains('a-b')", "message-from"),
        ("reply-to in ('x', 'y')", "reply-to"),
        ("'x' in from", "from"),
        ("from.startswith('x')", "from"),
        ("my own key == 1", "my own key"),
        ("2nd == 1", "2nd"),
    ],
)
def test_what_is_no_name_is_written_in_quotes(expression, name):
    with pytest.raises(WhereError) as raised:
        parse(expression)
    assert f"got {name}; write field('{name}')" in str(raised.value)
    assert f"column {expression.index(name) + 1}:" in str(raised.value)


@pytest.mark.parametrize("expression", ["a == 'from b' and", "year > 3 lang == 'en'", "a = 'x-y'"])
def test_words_within_strings_are_no_names(expression):
    with pytest.raises(WhereError) as raised:
        parse(expression)
    assert "write field(" not in str(raised.value)
