"""The command line given what it cannot use: one line that says what to do, never a traceback."""

import gzip
import json
import re

import click
import numpy as np
import pytest
from click.testing import CliRunner

from indexer.cli import main
from tests.corpora import clustered_vectors, topic_items


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def refused(*arguments):
    """What standard error says in one line, with the exit status 1 or, for wrong usage, 2."""
    done = run(*arguments)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (1, 2), done.output
    last = done.stderr.splitlines()[-1]
    assert "expected" in last
    assert "got" in last
    return last


HUGE = 10**30


@pytest.mark.parametrize(
    "asked",
    [
        ["query", "texts", "ship", "-k", HUGE],
        ["query", "texts", "ship", "-k", HUGE, "--codes-only"],
        ["query", "texts", "ship", "-k", HUGE, "--asymmetric", "--where", "id != 'sea-000'"],
        ["query", "texts", "ship", "-k", HUGE, "--radius", HUGE],
        ["query", "texts", "ship", "-k", HUGE, "--probes", HUGE],
        ["query", "texts", "ship", "-k", HUGE, "--index", "faiss-hnsw"],
        ["query", "texts", "ship", "-k", HUGE, "--rerank", HUGE, "--rerank-by", "both"],
        ["query", "vectors", "--id", "3", "-k", HUGE],
        ["similar", "texts", "sea-000", "-k", HUGE],
        ["similar", "texts", "sea-000", "-k", HUGE, "--rerank", HUGE],
        ["similar", "vectors", "3", "-k", HUGE],
    ],
)
def test_more_hits_than_any_integer_of_a_machine_are_all_hits(place, asked):
    verb, name, *rest = asked
    few = [1000 if one == HUGE else one for one in rest]
    done = run(verb, place / name, *rest, "--json")
    assert done.exit_code == 0, done.output
    assert done.stdout
    assert done.stdout == run(verb, place / name, *few, "--json").stdout


@pytest.mark.parametrize(
    "asked",
    [
        ["outliers", "texts", "--p", "nan"],
        ["outliers", "texts", "--fdr", "nan"],
        ["compact", "texts", "--wait", "nan"],
        ["denoise", "vectors", "v.npy", "-o", "clean.npy", "--noise", "nan"],
        ["tune", "v.npy", "--seconds", "nan"],
        ["serve", "texts", "--timeout", "nan"],
        ["index", "docs.jsonl", "--to", "new", "--flag-outliers", "nan"],
        ["evaluate", "texts", "--label", "year", "-k", HUGE],
        ["tune", "v.npy", "--bits", "12"],
    ],
)
def test_what_is_no_number_of_the_sort(place, monkeypatch, asked):
    monkeypatch.chdir(place)
    done = run(*asked)
    assert done.exit_code == 2, done.output
    assert f"Invalid value for '{asked[-2]}'" in done.stderr
    assert not (place / "new").exists()


def test_words_are_compared_of_texts_alone(place):
    vector = "[" + ", ".join(["1"] * 24) + "]"
    for more in (["--hybrid"], ["--rerank", 20, "--rerank-by", "words"]):
        said = refused("query", place / "vectors", vector, *more)
        assert "expected texts, whose words are to be compared, got items of kind vector" in said
    assert "beside it, got none" in refused("query", place / "texts", "a", "--rerank-by", "both")


def test_facts_are_said_in_words(place):
    said = run("info", place / "vectors").stdout
    assert "decoder yes" in said
    for odd in ("None", "True", "False", "_", "{", "["):
        assert odd not in said.replace(str(place), "")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with sources, and a collection of texts and one of vectors of width 24."""
    place = tmp_path_factory.mktemp("place")
    lines = [json.dumps({"id": i.id, "text": i.payload, **i.metadata}) for i in topic_items(60)]
    (place / "docs.jsonl").write_text("\n".join(lines))
    np.save(place / "v.npy", clustered_vectors()[:100])
    for source, to in (("docs.jsonl", "texts"), ("v.npy", "vectors")):
        done = run("index", place / source, "--to", place / to, "--bits", 16)
        assert done.exit_code == 0, done.output
    return place


def test_a_shortlist_shorter_than_what_is_shown(place):
    for verb in (["query", place / "texts", "ship"], ["similar", place / "texts", "sea-000"]):
        assert "--rerank: expected at least -k, 10, got 3" in refused(
            *verb, "--rerank", 3, "-k", 10
        )
        assert run(*verb, "--rerank", 3).exit_code == 0


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_no_generator_takes(place, tmp_path, seed):
    done = run("index", place / "docs.jsonl", "--to", tmp_path / "c", "--seed", seed)
    assert done.exit_code == 2
    assert "--seed" in done.stderr
    assert not (tmp_path / "c").exists()


def test_items_of_another_kind_than_the_collection_has(place):
    texts, vectors = place / "texts", place / "vectors"
    for dry in ([], ["--dry-run"]):
        said = refused("index", place / "docs.jsonl", "--to", vectors, "--kind", "text", *dry)
        assert "expected items of kind vector as" in said
        said = refused("index", place / "v.npy", "--to", texts, "--kind", "vector", *dry)
        assert "expected items of kind text as" in said
        said = refused("index", place / "v.npy", "--to", texts, *dry)
        assert "v.npy: expected items of kind text as" in said
        assert "name another collection" in said
        assert "--kind" not in said
    assert "expected items of kind vector as" in refused("demo", "--to", vectors)


def test_a_folder_of_tables_and_arrays(place, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "paper.xyz").write_bytes(b"\0words")
    assert "got 1 .xyz; name a folder with some" in refused("index", folder, "--to", tmp_path / "c")
    (folder / "table.csv").write_text("text\nship\n")
    said = refused("index", folder, "--to", tmp_path / "c")
    assert "got 1 .xyz, 1 .csv; name a table or an array itself, as table.csv" in said
    assert "name the files themselves" in refused(
        "index", folder, "--to", tmp_path / "c", "--kind", "vector"
    )


@pytest.fixture
def odd(tmp_path):
    """Files that are no queries and no sources."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe\x00[")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "broken.npy").write_bytes(b"not an array")
    np.savez(tmp_path / "v.npz", a=np.zeros((2, 24)), b=np.zeros(3))
    np.save(tmp_path / "many.npy", np.zeros((2, 24)))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "one.npy", np.ones(24))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "one.npy").read_bytes()[:-8])
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"text": "ship"}\n' * 9)[:-9])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("photo.png", "got other bytes in line 1"),
        ("bad.json", "got other bytes in line 1"),
        ("empty.npy", "expected NumPy arrays without objects"),
        ("broken.npy", "expected NumPy arrays without objects"),
        ("cut.npy", "expected a whole array"),
        (
            "v.npz",
            "expected one vector, an array of numbers, (width,) or (1, width), got a (2, 24)",
        ),
        (
            "many.npy",
            "got array (2, 24) of float64; save one vector, or query with many by --batch",
        ),
        ("words.npy", "expected one vector"),
        ("folder", "got a folder"),
        ("nowhere.npy", "got no such file"),
        ("nowhere.json", "got no such file"),
    ],
)
def test_a_file_that_is_no_vector(place, odd, name, says):
    said = refused("query", place / "vectors", "--file", odd / name)
    assert name in said
    assert says in said
    assert "pickle" not in said
    batch = odd / "batch.jsonl"
    batch.write_text(json.dumps({"id": "q", "path": name}))
    done = run("query", place / "vectors", "--batch", batch)
    assert done.exit_code == 1
    assert says in json.loads(done.stdout)["error"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("photo.png", "expected JSON lines in UTF-8, got other bytes in line 1"),
        ("cut.jsonl.gz", "expected JSON lines in gzip"),
        ("folder", "expected JSON lines, got a folder"),
        ("nowhere", "expected JSON lines, got no such file"),
    ],
)
def test_a_file_that_is_no_batch(place, odd, name, says):
    assert f"{odd / name}: {says}" in refused("query", place / "texts", "--batch", odd / name)


def test_a_batch_may_be_compressed(place, tmp_path):
    lines = b'\xef\xbb\xbf{"id": "a", "text": "ship"}\n{"id": "b", "text": "bread"}\n'
    (tmp_path / "q.jsonl").write_bytes(lines)
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(lines))
    plain = run("query", place / "texts", "--batch", tmp_path / "q.jsonl")
    assert plain.exit_code == 0
    assert [json.loads(line)["query"] for line in plain.stdout.splitlines()] == ["a", "b"]
    packed = run("query", place / "texts", "--batch", tmp_path / "q.jsonl.gz")
    assert packed.stdout == plain.stdout


def test_places_that_are_not_what_they_should_be(place, odd):
    index = ["index", place / "docs.jsonl", "--to", odd / "c"]
    for recipe, says in (
        ("photo.png", "in UTF-8, got other bytes"),
        ("folder", "got a folder"),
        ("nowhere", "got no such file"),
    ):
        assert says in refused(*index, "--recipe", odd / recipe)
    assert not (odd / "c").exists()
    for verb in ("info", "verify", "list"):
        said = refused(verb, place / "docs.jsonl")
        assert "expected a collection, which is a folder, got a file" in said
    below = place / "docs.jsonl" / "c"
    for verb in (["index", place / "docs.jsonl", "--to", below], ["info", below]):
        assert f"got the file {place / 'docs.jsonl'} in it" in refused(*verb)
    said = refused("index", place / "docs.jsonl", "--to", place / "v.npy")
    assert "an empty folder or nothing, got a file" in said
    for name in ("folder", "nowhere/report"):
        said = refused("index", place / "docs.jsonl", "--to", odd / "c", "--report", odd / name)
        assert f"{odd / name}: expected a place for the report, got" in said
    said = refused("query", place / "texts", "--file", odd / "nowhere.txt")
    assert "expected a text file, got no such file" in said


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("yaer >= 2003", "no item has a field 'yaer'"),
        (
            "year >= 2003 or author.name == 'a'",
            "field 'year' holds strings, not numbers; write the value in quotes; no item has a",
        ),
        ("author.name.contains('a')", "no item has a field 'author.name'"),
        ("year in (2003, 2004) and not yaer", "field 'year' holds strings, not numbers"),
        ("year == '2999'", "satisfies the condition\n"),
        ("yaer is null and year is null", "satisfies the condition\n"),
        ("year in ()", "satisfies the condition\n"),
        ("id == 'ghost'", "satisfies the condition\n"),
        ("topic > 3", "field 'topic' holds strings, not numbers"),
        ("field('year').month == 5", "no item has a field 'year.month'"),
    ],
)
def test_why_no_row_of_a_csv_satisfies_a_condition(place, where, says):
    to = place / "rows"
    if not to.exists():
        rows = [f"{i.id},{i.payload},{i.metadata['year']},sea" for i in topic_items(40)]
        (place / "rows.csv").write_text("\n".join(["id,text,year,topic", *rows]))
        assert run("index", place / "rows.csv", "--to", to, "--bits", 16).exit_code == 0
    for verb in (["query", to, "ship"], ["similar", to, "sea-000"], ["list", to]):
        done = run(*verb, "--where", where)
        assert done.exit_code == 0
        assert done.stdout == ""
        assert "no item satisfies the condition" in done.stderr
        assert says in done.stderr
    assert "no item" not in run("list", to, "--where", "year >= '2003'").stderr


def test_the_help_of_the_command_lists_every_verb_in_whole_sentences():
    done = run("--help")
    verbs = done.stdout.split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in verbs][:2] == ["index", "query"]
    assert {line.split()[0] for line in verbs} == set(main.commands)
    assert not [line for line in verbs if line.endswith("...")]


@pytest.mark.parametrize("verb", sorted(main.commands))
def test_every_option_has_a_help(verb):
    for parameter in main.commands[verb].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
    assert not re.search(r" RANGE|FLOAT", run(verb, "--help").stdout)  # click's own words


@pytest.mark.parametrize(
    ("kind", "changes", "says"),
    [
        ("text", {"rounds": 1.5}, "expected a whole number or null, got 1.5"),
        ("text", {"rounds": True}, "expected a whole number or null, got True"),
        ("text", {"rounds": 0}, "expected at least 1, got 0"),
        ("text", {"multiples": {"noise": "1"}}, "expected a number of noise, got '1'"),
        ("text", {"multiples": {"noise": True}}, "expected a number of noise, got True"),
        ("text", {"multiples": [1]}, "expected what `hashret tune --write` writes"),
        ("text", {"multiples": {"steps": 2}}, "expected what `hashret tune --write` writes"),
        ("vector", {"preset": "towers", "rounds": 2}, "expected none with the preset 'towers'"),
        ("vector", {"preset": "conv"}, "for items of kind vector"),
    ],
)
def test_a_recipe_that_no_tuning_wrote(place, tmp_path, kind, changes, says):
    recipe = {"recipe": 1, "kind": kind, "preset": "dense", "rounds": None, "multiples": {}}
    (tmp_path / "r.json").write_text(json.dumps(recipe | changes))
    source = place / {"text": "docs.jsonl", "vector": "v.npy"}[kind]
    for dry in ([], ["--dry-run"]):
        said = refused(
            "index", source, "--to", tmp_path / "c", "--recipe", tmp_path / "r.json", *dry
        )
        assert says in said
    assert not (tmp_path / "c").exists()


def test_standard_input_that_is_no_text(place):
    done = CliRunner().invoke(main, ["query", str(place / "texts"), "-"], input=b"ship \xff\xfe")
    assert isinstance(done.exception, SystemExit)
    assert "standard input: expected text in utf-8, got other bytes" in done.stderr
