"""Which columns become text and id, what types the columns of a CSV get, and standard input."""

import bz2
import csv
import gzip
import io
import json
import re
from datetime import date

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hashret.errors import InputError
from hashret.items import Item
from indexer import corpus
from indexer.cli import main
from indexer.cli.reading import _names
from indexer.corpus import Reading, Skipped, standard_input
from indexer.corpus.tables import typed

LONG = "a text of some words"


def items(path, **how):
    return list(corpus.read([path], "text", Reading(**how)))


def verdicts(found):
    return [x.error_class if isinstance(x, Skipped) else (x.id, x.payload) for x in found]


# --- the text

TABLES = {
    "t.jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    "t.json": json.dumps,
    "t.csv": lambda rows: csv_of(rows),
}


def csv_of(rows):
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_joined_and_all_but_the_last_stay_metadata(tmp_path, name):
    rows = [
        {"id": "1", "title": "A title", "lead": "", "body": "The body.", "more": "m"},
        {"id": "2", "title": "", "lead": "Only a lead.", "body": " ", "more": "m"},
        {"id": "3", "title": "", "lead": "", "body": "", "more": "m"},
    ]
    path = tmp_path / name
    path.write_text(TABLES[name](rows))
    one, two, three = items(path, text_fields=("title", "lead", "body"))
    assert one == Item("1", "A title\n\nThe body.", {"title": "A title", "lead": "", "more": "m"})
    assert two.payload == "Only a lead."
    assert three.error_class == "empty-text"


def test_columns_that_a_row_has_not_are_left_out(tmp_path):
    path = tmp_path / "t.jsonl"
    rows = [{"a": "x"}, {"b": "y"}, {"a": None, "b": "y"}, {"c": "z"}, {"a": 5, "b": "y"}]
    path.write_text(TABLES["t.jsonl"](rows))
    found = verdicts(items(path, text_fields=("a", "b")))
    texts = ["x", "y", "y"]
    assert found == [(f"t.jsonl:{n}", t) for n, t in enumerate(texts, 1)] + [
        "missing-payload",
        "bad-text",
    ]


def test_a_column_of_the_text_that_no_row_has_is_noted(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(TABLES["t.jsonl"]([{"body": "some words"}, {"title": "x", "body": "words"}]))
    for fields, is_noted in (("titel,body", True), ("title,body", False)):
        options = ["--to", str(tmp_path / "x"), "--dry-run", "--text-field", fields]
        done = CliRunner().invoke(main, ["index", str(path), *options])
        assert "seen 2 = 2 would be added" in done.output
        noted = re.findall("no row has the field '(.*)' of --text-field", done.output)
        assert noted == ["titel"] * is_noted


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("key", "said"), [("content", "content"), ("a, b", "'\"a, b\"'")])
def test_a_table_without_a_text_says_which_column_is_like_one(tmp_path, name, key, said):
    path = tmp_path / name
    rows = [{"id": f"{i}", "title": "short", key: LONG * (i % 3 + 1)} for i in range(30)]
    path.write_text(TABLES[name](rows))
    with pytest.raises(InputError) as error:
        items(path)
    assert f"got 'id', 'title', {key!r}; name the" in str(error.value)
    assert str(error.value).endswith(f"did you mean --text-field {said}?")
    (field,) = _names(None, None, (said.strip("'"),))
    assert items(path, text_fields=(field,))[1].payload == LONG * 2


def test_no_column_is_suggested_where_none_is_like_a_text(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"or give the table a header$"):
        items(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (("title,body",), ("title", "body")),
        (("title", "body"), ("title", "body")),
        (("title, body",), ("title", "body")),
        (('"a, b",c',), ("a, b", "c")),
        (('"say ""x"""',), ('say "x"',)),
    ],
)
def test_how_columns_are_named(given, names):
    assert _names(None, None, given) == names


@pytest.mark.parametrize("given", ["", "a,", "a,,b", "a,a"])
def test_columns_must_have_different_names(tmp_path, given):
    options = ["--to", str(tmp_path / "x"), "--text-field", given]
    done = CliRunner().invoke(main, ["index", str(tmp_path), *options])
    assert (done.exit_code, "expected different names" in done.output) == (2, True)


# --- the id


@pytest.mark.parametrize("name", TABLES)
def test_the_id_may_have_another_name(tmp_path, name):
    path = tmp_path / name
    path.write_text(TABLES[name]([{"sku": "a1", "id": "x", "text": "words"}]))
    assert items(path, id_field="sku") == [Item("a1", "words", {"id": "x"})]


def test_an_id_that_a_row_has_not_is_refused_by_row(tmp_path):
    path = tmp_path / "t.jsonl"
    rows = [{"sku": "a", "text": "t"}, {"text": "t"}, {"sku": None, "text": "t"}, {"sku": 4, "text": "t"}]  # fmt: skip
    path.write_text(TABLES["t.jsonl"](rows))
    assert verdicts(items(path, id_field="sku")) == [("a", "t"), "bad-id", "bad-id", ("4", "t")]


@pytest.mark.parametrize("name", TABLES)
def test_an_id_that_no_row_has_is_an_error_with_the_columns(tmp_path, name):
    path = tmp_path / name
    path.write_text(TABLES[name]([{"id": "1", "text": "words"}]))
    with pytest.raises(InputError, match=r"expected the id in 'sku', got 'id', 'text'; .*id-field"):
        items(path, id_field="sku")


@pytest.mark.parametrize(
    "how",
    [{"text_fields": ("a",)}, {"id_field": "a"}, {"table": "a"}, {"infer_types": True}],
)
def test_an_option_of_tables_needs_a_table(tmp_path, how):
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(InputError, match=r"among the sources, got none; leave it out"):
        items(tmp_path / "a.txt", **how)


# --- types

COLUMNS = {
    "whole": (["1", "-20", "0", " 3 "], [1, -20, 0, 3]),
    "floats": (["1.50", "2", "-0.25", "1e-05"], [1.5, 2, -0.25, 1e-05]),
    "zips": (["01067", "10115", "1", "2"], None),
    "long": (["12345678901234567890", "1", "2", "3"], None),
    "digits": (["0.12345678901234567", "1", "2", "3"], None),
    "codes": (["12e4", "1", "2", "3"], None),
    "plus": (["+49", "1", "2", "3"], None),
    "missing": (["1", "n/a", "2", "3"], None),
    "gaps": (["1", "", " ", "2"], [1, None, None, 2]),
    "empty": (["", "", "", ""], None),
    "truths": (["true", "False", "TRUE", ""], [True, False, True, None]),
    "yes": (["yes", "no", "yes", "no"], None),
    "days": (["2024-01-31", "1999-12-01", "", "2024-2-3"], ["2024-01-31", "1999-12-01", None, "2024-02-03"]),
    "no day": (["2024-02-30", "2024-01-01", "", ""], None),
    "german": (["31.01.2024", "1.2.2024", "", ""], ["2024-01-31", "2024-02-01", None, None]),
    "british": (["31/01/2024", "01/02/2024", "", ""], ["2024-01-31", "2024-02-01", None, None]),
    "american": (["01/31/2024", "02/01/2024", "", ""], ["2024-01-31", "2024-02-01", None, None]),
    "either": (["01/02/2024", "03/04/2024", "", ""], None),
    "both": (["31/01/2024", "01/31/2024", "", ""], None),
    "times": (["2024-01-31 05:06:07", "2024-01-31T05:06", "2024-01-31 05:06:07.5", ""],
              ["2024-01-31T05:06:07", "2024-01-31T05:06:00", "2024-01-31T05:06:07.500000", None]),
    "zones": (["2024-01-31T05:06:07Z", "2024-01-31 05:06:07+02:00", "2024-01-31T05:06:07-0100", ""],
              ["2024-01-31T05:06:07+00:00", "2024-01-31T03:06:07+00:00", "2024-01-31T06:06:07+00:00", None]),
    "mixed": (["2024-01-31", "2024-01-31 05:06:07", "", ""], None),
    "arabic": (["١٢", "1", "2", "3"], None),
    "vanishing": (["1e-999", "1", "2", "3"], None),
    "endless": (["1e+999", "1", "2", "3"], None),
}  # fmt: skip


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_a_column_gets_a_type_if_all_of_its_cells_have_it(tmp_path, packed):
    rows = [{"id": f"0{i}", "text": f"{i}"} | {n: c[i] for n, (c, _) in COLUMNS.items()} for i in range(4)]  # fmt: skip
    path = tmp_path / f"t.csv{packed}"
    path.write_bytes((gzip.compress if packed else bytes)(csv_of(rows).encode()))
    found = items(path, infer_types=True)
    assert [(x.id, x.payload) for x in found] == [(f"0{i}", f"{i}") for i in range(4)]
    for i, item in enumerate(found):
        said = {name: (values or cells)[i] for name, (cells, values) in COLUMNS.items()}
        assert item.metadata == {name: one for name, one in said.items() if one is not None}
        assert all(type(item.metadata[n]) is type(v) for n, v in said.items() if v is not None)
    assert [x.metadata for x in items(path)] == [
        {k: v for k, v in row.items() if k not in ("id", "text")} for row in rows
    ]


@given(
    st.lists(st.integers(-(10**14), 10**14) | st.floats(-1e9, 1e9).map(lambda f: round(f, 3))),
    st.lists(st.dates(date(1000, 1, 1))),
    st.lists(st.text(max_size=5)),
)
def test_types_lose_nothing(numbers, days, texts):
    for values, write in ((numbers, str), (days, date.isoformat)):
        cells = [{"c": write(value)} for value in values]
        types = typed.types_of(cells, ())
        read = [typed.typed(cell, types)["c"] for cell in cells]
        assert read == (values if write is str else list(map(write, values)))
    # one cell that is anything else, and the column stays as it is
    cells = [{"c": text} for text in [*texts, "x"]]
    assert [typed.typed(cell, typed.types_of(cells, ())) for cell in cells] == cells


def test_a_cell_that_came_later_stays_a_string():
    types = typed.types_of([{"n": "1"}, {"n": "2"}], ())
    assert typed.typed({"n": "three"}, types) == {"n": "three"}


# --- standard input

ROWS = [{"id": f"i{n}", "text": LONG, "n": n} for n in range(3)]
STREAMS = {
    "jsonl": (TABLES["t.jsonl"](ROWS).encode(), ".jsonl"),
    "jsonl.gz": (gzip.compress(TABLES["t.jsonl"](ROWS).encode()), ".jsonl.gz"),
    "json": (b"\n " + json.dumps(ROWS).encode(), ".json"),
    "json, utf-16": (json.dumps(ROWS).encode("utf-16"), ".json"),
    "csv": (csv_of(ROWS).encode(), ".csv"),
    "csv.bz2": (bz2.compress(csv_of(ROWS).encode()), ".csv.bz2"),
    "tsv": (b'id\ttext\tn\ni0\t"Dune is\t0\n', ".tsv"),
    "damaged": (b"\x1f\x8b and no more", ".jsonl.gz"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_shows_what_table_it_is(name):
    data, suffix = STREAMS[name]
    with standard_input.copied(io.BytesIO(data)) as path:
        assert path.name == "stdin" + suffix
        assert path.read_bytes() == data
    assert not path.parent.exists()


def test_a_stream_has_a_bound(monkeypatch):
    monkeypatch.setattr(standard_input, "_MAX_BYTES", 3 << 20)
    with (
        pytest.raises(InputError, match="at most"),
        open("/dev/zero", "rb") as endless,  # noqa: PTH123 - as a pipe
        standard_input.copied(endless),
    ):
        pass


def test_rows_of_standard_input_are_indexed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("words in a file")
    data = '{"text": "one two"}\n{"path": "a.txt"}\n{"text": ""}\n'
    options = ["--to", "x", "--dry-run", "--report", "r"]
    done = CliRunner().invoke(main, ["index", "-", *options], input=data)
    assert "seen 3 = 2 would be added" in done.output
    assert json.loads((tmp_path / "r").read_text())["id"] == "stdin:3"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "standard input: expected a table, got nothing"),
        ("Hello world\n", "standard input: expected a header row .* got 'Hello world'"),
        ('{"a": "b"}\n', "standard input: expected 'text' or 'path', got 'a'"),
    ],
)
def test_what_is_no_table_on_standard_input_says_so(tmp_path, data, says):
    done = CliRunner().invoke(main, ["index", "-", "--to", str(tmp_path / "x")], input=data)
    assert done.exit_code == 1
    assert re.search(says, done.output)


def test_standard_input_is_named_once(tmp_path):
    done = CliRunner().invoke(main, ["index", "-", "-", "--to", str(tmp_path / "x")], input="")
    assert (done.exit_code, "name it once" in done.output) == (2, True)
