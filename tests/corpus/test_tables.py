import csv
import gzip
import io
import json
import os
import re
import time
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.errors import InputError
from hashret.items import Item
from indexer import corpus
from indexer.corpus import Reading, Skipped, decoding
from indexer.corpus.tables import rows, table

# All of Unicode that a file can hold; a NUL is no text in a CSV
CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS, min_size=1).filter(lambda text: not text.isspace())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(CHARACTERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(CHARACTERS), inner),
    max_leaves=6,
)  # fmt: skip
KEYS = st.text(CHARACTERS).filter(lambda key: key not in {"id", "text", "path"})


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(path: Path, kind: str = "text") -> list[Item | Skipped]:
    return list(corpus.read([path], kind))


def verdicts(path: Path, kind: str = "text") -> list[tuple[str, str]]:
    """(id, text) of the items and (id, error class) of the others, in order."""
    return [
        (x.id, x.error_class if isinstance(x, Skipped) else x.payload) for x in read(path, kind)
    ]


@given(
    st.lists(st.tuples(st.none() | TEXTS | st.integers(), TEXTS, st.dictionaries(KEYS, JSON))),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\n\n  \n"]),
)
def test_jsonl_gives_back_what_was_written(tmp_path_factory, table, encoding, ascii_only, end):
    path = tmp_path_factory.mktemp("t") / "table.jsonl"
    lines = [
        json.dumps(({} if i is None else {"id": i}) | {"text": t} | m, ensure_ascii=ascii_only)
        for i, t, m in table
    ]
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    step = end.count("\n")
    said = {} if encoding.startswith("utf-8") else {"encoding": encoding}
    expected = [
        Item(f"table.jsonl:{n * step + 1}" if i is None else str(i), t, said | m)
        for n, (i, t, m) in enumerate(table)
    ]
    assert read(path) == expected


@given(
    st.lists(st.tuples(TEXTS, TEXTS, st.text(CHARACTERS)), max_size=8),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(",;\t"),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.booleans(),
)
def test_csv_gives_back_what_was_written(tmp_path_factory, table, encoding, delimiter, end, all_):
    stream = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if all_ else csv.QUOTE_MINIMAL
    # QUOTE_MINIMAL quotes a line end only where it is the writer's own
    table = [tuple(f.replace("\r", " x").replace("\n", " x") for f in row) for row in table] if (
        not all_) else table  # fmt: skip
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("id", "text", "more"), *table])
    path = write(tmp_path_factory.mktemp("t") / "table.csv", stream.getvalue().encode(encoding))
    said = {} if encoding.startswith("utf-8") else {"encoding": encoding}
    assert read(path) == [Item(i, t, said | {"more": m}) for i, t, m in table]


BAD_LINES = {
    "{": "bad-json",
    "not json": "bad-json",
    "[1, 2]": "bad-json",
    "null": "bad-json",
    '"text"': "bad-json",
    '{"text": "a"} {"text": "b"}': "bad-json",
    '{"text": "a", "n": NaN}': "bad-json",
    '{"text": "a", "n": -Infinity}': "bad-json",
    '{"text": "a", "n": 1e999}': "bad-json",
    '{"text": "a", "n": ' + "9" * 5000 + "}": "bad-json",
    '{"text": "a", "n": ' + "[" * 200_000 + "]" * 200_000 + "}": "bad-json",
    '{"text": "a", "n": ' + "[" * 100 + "]" * 100 + "}": "bad-json",
    '{"text": "half \\ud800"}': "bad-json",
    '{"text": "a", "n": {"\\uDFFF": 1}}': "bad-json",
    '{"text": "a\tb"}': "bad-json",
    '{"text": null}': "bad-text",
    '{"text": 5}': "bad-text",
    '{"text": ["a"]}': "bad-text",
    '{"text": ""}': "empty-text",
    '{"text": " \\n\\u3000"}': "empty-text",
    '{"title": "a"}': "missing-payload",
    "{}": "missing-payload",
    '{"id": "", "text": "a"}': "bad-id",
    '{"id": null, "text": "a"}': "bad-id",
    '{"id": true, "text": "a"}': "bad-id",
    '{"id": 1.5, "text": "a"}': "bad-id",
    '{"id": "a\\u0000b", "text": "a"}': "bad-id",
    '{"id": "' + "i" * 5000 + '", "text": "a"}': "bad-id",
    '{"path": "nothing.txt"}': "missing-file",
    '{"path": ""}': "bad-path",
    '{"path": 5}': "bad-path",
    '{"path": "%s"}' % ("a" * 4097): "bad-path",
    '{"path": "a\\u0000"}': "bad-path",
    '{"path": "../outside.txt"}': "outside-source",
    '{"path": "/etc/hostname"}': "outside-source",
    '{"path": "link/hostname"}': "outside-source",
    '{"path": "loop"}': "symlink",
    '{"path": "."}': "not-a-regular-file",
    '{"path": "tool.exe"}': "other-type",
    '{"path": "empty.txt"}': "empty-text",
}


def test_every_bad_line_is_reported_and_the_lines_between_are_read(tmp_path):
    (tmp_path / "outside.txt").write_text("secret")
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "link").symlink_to("/etc")
    (folder / "loop").symlink_to("loop")
    (folder / "empty.txt").touch()
    (folder / "tool.exe").touch()
    lines = [line for bad in BAD_LINES for line in (bad, '{"text": "good"}')]
    data = "\n".join(lines).encode() + b'\n{"text": "caf\xe9"}'
    found = verdicts(write(folder / "t.jsonl", data))
    expected = [verdict for bad in BAD_LINES.values() for verdict in (bad, "good")] + ["not-utf8"]
    assert found == [(f"t.jsonl:{n}", verdict) for n, verdict in enumerate(expected, 1)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "a" "b"}', r"^line 2: expected a JSON object: .* at column 14$"),
        ('{"text": "a", "n": ' + "9" * 5000 + "}", "line 2: .* has 5,000 digits"),
        ('{"text": "a", "n": -1e999}', "line 2: .* number -1e999 is too large"),
        ('{"text": "a", "n": NaN}', "line 2: .*NaN is no JSON number"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_our_words(tmp_path, line, says):
    _, bad = read(write(tmp_path / "t.jsonl", '{"text": "good"}\n' + line))
    assert re.search(says, bad.reason)
    assert "sys." not in bad.reason


def test_a_refused_row_goes_by_its_own_id(tmp_path):
    path = write(tmp_path / "t.jsonl", '{"id": "mine", "text": ""}')
    assert verdicts(path) == [("mine", "empty-text")]


def test_the_deepest_metadata_can_be_written_again(tmp_path):
    deep = '{"text": "a", "n": ' + "[" * 99 + "]" * 99 + "}"
    (item,) = read(write(tmp_path / "t.jsonl", deep))
    json.dumps(item.metadata)


def test_the_last_of_equal_keys_counts(tmp_path):
    path = write(tmp_path / "t.jsonl", '{"id": 1, "id": 2, "text": "a", "text": "b"}')
    assert verdicts(path) == [("2", "b")]


def test_texts_and_images_by_their_paths(tmp_path):
    (tmp_path / "a").mkdir()
    write(tmp_path / "a" / "b.txt", "naïve words".encode("latin-1"))
    write(tmp_path / "a" / "c.png", b"\x89PNG")
    write(tmp_path / "a" / "d.png", b"")
    for name in ("b.txt", "c.png"):
        os.utime(tmp_path / "a" / name, (0, 0))
    file = {"folder": "a", "modified": "1970-01-01T00:00:00Z"}
    texts = write(tmp_path / "t.jsonl", '{"id": "a/b.txt", "path": "a/b.txt", "size": "large"}')
    told = {"encoding": "latin-1", "size": "large"}  # what the row says counts more
    assert read(texts) == [Item("a/b.txt", "naïve words", told | file)]
    images = write(tmp_path / "i.csv", "path,text,id\na/c.png,a caption,1\na/d.png,,2\n")
    item, empty = read(images, "image")
    metadata = {"text": "a caption", "path": "a/c.png", "size": 4} | file
    assert item == Item("1", (tmp_path / "a" / "c.png").resolve(), metadata)
    assert (empty.id, empty.error_class) == ("2", "empty-file")


def test_csv_rows_that_are_broken_are_reported_by_their_lines(tmp_path):
    data = 'id,text\n1,one\n2,"two"x\n3\n4,four,more\n\n5,"fi\nve"\n6,six\n7,"open\n8,eight\n'
    found = read(write(tmp_path / "t.csv", data))
    assert [(x.id, getattr(x, "payload", getattr(x, "error_class", ""))) for x in found] == [
        ("1", "one"),
        ("t.csv:3", "bad-csv"),
        ("t.csv:4", "bad-csv"),
        ("t.csv:5", "bad-csv"),
        ("5", "fi\nve"),
        ("6", "six"),
        ("t.csv:10", "bad-csv"),
        ("8", "eight"),
    ]
    assert "line 10 has broken quotes: a quote is opened and not closed" in found[-2].reason


# what a writer quotes only where it must; a field that begins like the end of one is ambiguous
_PROSE = st.text("ab ,;\n", max_size=12).map(lambda text: f"x{text}y")
_PROSE |= st.builds('{} said "{}" twice'.format, _PROSE, _PROSE)


@given(
    st.lists(st.tuples(_PROSE, st.booleans()), min_size=1, max_size=12),
    st.sampled_from(["first", "middle", "last"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(",;\t"),
    st.booleans(),
)
def test_an_open_quote_costs_its_own_row(tmp_path_factory, table, where, end, delimiter, all_):
    stream = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if all_ else csv.QUOTE_MINIMAL
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["id", "text", "more"])
    damaged = ["a", "b", "c"]
    at = ["first", "middle", "last"].index(where)
    damaged[at] = '"' + damaged[at]
    for i, (text, is_sound) in enumerate(table):
        if is_sound:
            writer.writerow([str(i), text, "more"])
        else:
            stream.write(delimiter.join(damaged) + end)
    path = write(tmp_path_factory.mktemp("t") / "t.csv", stream.getvalue())
    found = read(path)
    sound = [(str(i), text) for i, (text, is_sound) in enumerate(table) if is_sound]
    assert [(x.id, x.payload) for x in found if isinstance(x, Item)] == sound
    assert len(found) == len(table)
    assert all(x.error_class == "bad-csv" for x in found if isinstance(x, Skipped))


@given(st.lists(st.text("ab \"',;", min_size=1, max_size=8).map("x{}".format), max_size=8))
def test_in_a_tsv_quotes_are_letters(tmp_path_factory, texts):
    texts = ['"' + text if len(text) % 2 else text for text in texts]
    data = "".join(f"{i}\t{text}\r\n" for i, text in enumerate(texts))
    path = write(tmp_path_factory.mktemp("t") / "t.tsv", "id\ttext\r\n" + data)
    assert [(x.id, x.payload) for x in read(path)] == [(str(i), t) for i, t in enumerate(texts)]


def test_a_tsv_whose_header_is_quoted_is_quoted(tmp_path):
    path = write(tmp_path / "t.tsv", '"id"\t"text"\n"1"\t"a ""b""\tc"\n"2"\t"two\nlines"\n')
    assert verdicts(path) == [("1", 'a "b"\tc'), ("2", "two\nlines")]


@pytest.mark.parametrize("last", ['a 15"', 'a 15" disk', "nothing"])
def test_rows_between_two_stray_quotes_are_rows(tmp_path, last):
    numbered = [f"{i},text {i}" for i in range(2000)]
    numbered[100] = '100,"Dune'
    numbered[1900] = f"1900,{last}"
    path = write(tmp_path / "t.csv", "id,text\n" + "\n".join(numbered))
    found = read(path)
    assert [x.id for x in found] == ["t.csv:102" if i == 100 else str(i) for i in range(2000)]
    assert found[1900].payload == last


def test_lines_of_a_sound_field_are_no_rows(tmp_path):
    letter = "Dear Sir,\nthe house, the garden\nand more\nYours, X\n" * 5
    poem = "\n".join(["a line, and its end"] * 7)
    rows_ = f'id,text\n1,"{letter}"\n2,"{poem}"\n3,three\n'
    assert verdicts(write(tmp_path / "t.csv", rows_)) == [
        ("1", letter),
        ("2", poem),
        ("3", "three"),
    ]


def test_an_open_quote_in_a_table_larger_than_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MAX_CHARACTERS", 1000)
    numbered = [f"{i},text {i}" for i in range(2000)]
    numbered[100] = numbered[300] = '0,"open'
    numbered[200] = '0,"' + "x" * 2000
    numbered[400] = '0,"' + "no row\n" * 500 + '"'
    found = verdicts(write(tmp_path / "t.csv", "id,text\n" + "\n".join(numbered)))
    bad = {100: "bad-csv", 200: "too-large", 300: "bad-csv", 400: "too-large"}
    assert [verdict for _, verdict in found] == [bad.get(i, f"text {i}") for i in range(2000)]


@pytest.mark.parametrize("line", ['a","x', 'a,"""', 'a,"b', '"a', 'a,"b""'])
def test_the_time_for_broken_quotes_is_linear(tmp_path, monkeypatch, line):
    monkeypatch.setattr(rows, "MAX_CHARACTERS", 1 << 14)
    path = write(tmp_path / "t.csv", "id,text\n" + f"{line}\n" * 20_000)
    start = time.process_time()
    assert read(path)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252"])
def test_csv_in_an_8_bit_encoding_is_said_row_by_row(tmp_path, encoding):
    text = "naïve" if encoding == "latin-1" else "“naïve”"
    data = b"id,text\n1,plain\n" + f"2,{text}\n".encode(encoding)
    plain, accented = read(write(tmp_path / "t.csv", data))
    assert plain.metadata == {}
    assert accented == Item("2", text, {"encoding": encoding})


RUSSIAN = [
    "Все люди рождаются свободными и равными",
    "Купить хлеб, молоко и масло",
    "Привет, как дела?",
]


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "cp866"])
def test_a_csv_in_another_encoding_is_read_whole(tmp_path, encoding):
    numbered = [("1", RUSSIAN[0]), ("2", "plain"), ("3", RUSSIAN[1]), ("4", RUSSIAN[2]), ("5", "ж")]
    data = "id,text,год\n" + "".join(f'{i},"{text}",9\n' for i, text in numbered)
    path = write(tmp_path / "t.csv", data.encode(encoding))
    how = Reading()
    found = list(corpus.read([path], "text", how))
    assert [(x.id, x.payload, x.metadata["год"]) for x in found] == [
        (*row, "9") for row in numbered
    ]
    assert sum(how.guesses.values()) == 1
    said = Reading(encoding=encoding)
    assert [x.payload for x in corpus.read([path], "text", said)] == [x.payload for x in found]
    assert not said.guesses


@pytest.mark.parametrize("encoding", ["cp1251", "gb18030", "utf-16-le"])
def test_jsonl_in_another_encoding_has_to_be_said(tmp_path, encoding):
    text = "轮船船长大海" if encoding == "gb18030" else RUSSIAN[0]
    data = json.dumps({"id": 1, "text": text}, ensure_ascii=False) + "\n"
    path = write(tmp_path / "t.jsonl", data.encode(encoding))
    (item,) = corpus.read([path], "text", Reading(encoding=decoding.known(encoding)))
    assert item.payload == text
    if encoding != "utf-16-le":
        (skipped,) = read(path)
        assert "--encoding" in skipped.reason


def test_the_text_may_have_another_name(tmp_path):
    how = Reading(text_field="body")
    for name, data in {
        "t.jsonl": '{"id": 1, "body": "words", "text": "a title"}',
        "t.csv": "id;body;text\n1;words;a title\n",
    }.items():
        assert list(corpus.read([write(tmp_path / name, data)], "text", how)) == [
            Item("1", "words", {"text": "a title"})
        ]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.jsonl", '{"id": 1, "title": "a", "content": "words"}\n' * 30),
        ("t.csv", "id;title;content\n1;a;words\n"),
        ("t.tsv", "id\ttitle\tcontent\n1\ta\twords\n"),
    ],
)
def test_a_table_without_a_text_says_what_it_has(tmp_path, name, data):
    with pytest.raises(InputError, match=r"'id', 'title', 'content'; name the .* of the text"):
        read(write(tmp_path / name, data))


@pytest.mark.parametrize("header", ["", "\n", "a,b", "id,Text", '"text', "text,text", "\0"])
def test_a_csv_needs_a_header(tmp_path, header):
    with pytest.raises(InputError, match=r"header|different names"):
        read(write(tmp_path / "t.csv", header + "\n1,2\n" if header else ""))


def test_columns_without_a_name_go_by_their_place(tmp_path):
    path = write(tmp_path / "t.tsv", "\ttext\t\n0\tone\ttwo\n")
    assert read(path) == [Item("t.tsv:2", "one", {"column 1": "0", "column 3": "two"})]


def test_lines_and_rows_over_the_limit_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MAX_CHARACTERS", 100)
    long = "x" * 200
    exact = json.dumps({"text": "y" * (99 - len(json.dumps({"text": ""})))})
    lines = ['{"text": "a"}', json.dumps({"text": long}), exact, '{"text": "b"}' + " " * 87]
    path = write(tmp_path / "t.jsonl", "\n".join([*lines, '{"text": "c"}']))
    expected = ["a", "too-large", json.loads(exact)["text"], "too-large", "c"]
    assert [verdict for _, verdict in verdicts(path)] == expected
    table = f'id,text\n1,a\n2,{long}\n3,b\n4,"{long}\n5,c\n"",{long}"\n6,d\n7,"{long}\n8,e\n'
    assert verdicts(write(tmp_path / "t.csv", table)) == [
        ("1", "a"),
        ("t.csv:3", "too-large"),
        ("3", "b"),
        ("t.csv:5", "too-large"),
        ("6", "d"),
        ("t.csv:9", "too-large"),
        ("8", "e"),
    ]


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.csv.gz"])
def test_memory_does_not_grow_with_a_line(tmp_path, monkeypatch, name):
    monkeypatch.setattr(rows, "MAX_CHARACTERS", 1 << 16)
    first = b"text\n" if "csv" in name else b'{"text": "a"}\n'
    part = zlib.compressobj(1, wbits=31)
    data = part.compress(first + b"x" * (64 << 20)) + part.flush()
    path = write(tmp_path / name, data)
    tracemalloc.start()
    found = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found[-1].error_class == "too-large"
    assert peak < 16 << 20


def test_memory_does_not_grow_with_a_table(tmp_path):
    path = tmp_path / "t.jsonl"
    with path.open("w") as stream:
        stream.writelines(json.dumps({"text": "word " * 200}) + "\n" for _ in range(20_000))
    tracemalloc.start()
    n = sum(1 for _ in corpus.read([path], "text"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n == 20_000
    assert peak < 1 << 20


LINES = "".join(json.dumps({"id": i, "text": f"text {i} {i**7}"}) + "\n" for i in range(5000))


@pytest.mark.parametrize("cut", [0, 1, 5, 11, 1000, 20_000, -9, -4, -1])
def test_a_gzip_that_ends_early_gives_what_it_has_and_says_so(tmp_path, cut):
    path = write(tmp_path / "t.jsonl.gz", gzip.compress(LINES.encode())[:cut])
    found = verdicts(path)
    assert found[:-1] == [(str(i), f"text {i} {i**7}") for i in range(len(found) - 1)]
    if cut:
        assert found[-1][1] == "damaged-gzip"


@pytest.mark.parametrize("at", [0, 3, 15, 9000, -6])
def test_a_damaged_gzip_is_noticed(tmp_path, at):
    data = bytearray(gzip.compress(LINES.encode()))
    data[at] ^= 0xFF
    found = verdicts(write(tmp_path / "t.jsonl.gz", data))
    assert "damaged-gzip" in found[-1]


def test_a_table_in_utf_16_that_is_cut(tmp_path):
    data = '{"text": "a"}\n{"text": "b"}'.encode("utf-16")[:-1]
    found = verdicts(write(tmp_path / "t.jsonl", data))
    assert found[-1][1] == "not-utf8"


@given(st.binary(max_size=200), st.sampled_from(["t.jsonl", "t.jsonl.gz", "t.csv", "t.tsv.gz"]))
def test_any_bytes_are_read_or_reported(tmp_path_factory, data, name):
    path = write(tmp_path_factory.mktemp("t") / name, data)
    for kind in ("text", "image"):
        with suppress(InputError):
            assert all(isinstance(x, Item | Skipped) for x in read(path, kind))


def test_what_is_a_table():
    names = ["a.jsonl", "a.JSONL.gz", "a.ndjson", "a.csv.GZ", "a.tsv"]
    assert all(table.is_table(Path(name)) for name in names)
    assert not any(table.is_table(Path(name)) for name in ["a.gz", "a.json", "jsonl", "a.npy"])
