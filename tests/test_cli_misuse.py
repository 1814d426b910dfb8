"""The command line given what it cannot use: one line that says what to do, never a traceback."""

import json

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


def test_a_folder_of_tables_and_arrays(place, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "paper.pdf").write_bytes(b"%PDF")
    assert "got neither" in refused("index", folder, "--to", tmp_path / "c")
    (folder / "table.csv").write_text("text\nship\n")
    said = refused("index", folder, "--to", tmp_path / "c")
    assert "got table.csv; name a table or an array itself" in said
    assert "name the files themselves" in refused(
        "index", folder, "--to", tmp_path / "c", "--kind", "vector"
    )
