"""Files that the command line writes: nothing that anybody still needs is lost by them."""

import json
import os
import shutil
import threading

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.cli.files import written
from hashret.errors import InputError, NotACollectionError
from indexer import Indexer
from indexer.cli import main
from indexer.tuning import tuner
from indexer.tuning.settings import Setting
from tests.torture.bases import make

SKIPPED = '{"id": "a", "reason": "none", "class": "bad-text"}\n'


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two collections, of texts and of vectors, and sources of either kind."""
    made = tmp_path_factory.mktemp("made")
    make(made / "texts", "text", 20)
    make(made / "vectors", "vector", 20)
    np.save(made / "v.npy", np.ones((3, 24), np.float32))
    (made / "v.ids.txt").write_text("a\nb\nc\n")
    (made / "others.txt").write_text("d\ne\nf\n")
    (made / "docs" / "sub").mkdir(parents=True)
    (made / "docs" / "one.txt").write_text("a ship in a harbour")
    (made / "docs" / "sub" / "two").write_text("a captain and a sail")
    (made / "t.jsonl").write_text('{"id": "x", "path": "beside.txt"}\n{"id": "y", "text": 7}\n')
    (made / "beside.txt").write_text("an anchor and a mast")
    (made / "notes").write_text("what somebody wrote\n")
    (made / "report").write_text(SKIPPED)
    (made / "recipe.json").write_text('{"recipe": 1, "kind": "text"}')
    return made


@pytest.fixture
def place(made, tmp_path):
    place = shutil.copytree(made, tmp_path / "place")
    (place / "link.npy").symlink_to("v.npy")
    (place / "folder-link").symlink_to("docs")
    (place / "report-link").symlink_to("report")
    os.link(place / "docs" / "one.txt", place / "hard")
    return place


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("source", "to", "report", "says"),
    [
        ("v.npy", "vectors", "v.npy", "read with the source"),
        ("v.npy", "vectors", "link.npy", "read with the source"),
        ("link.npy", "vectors", "v.npy", "read with the source"),
        ("v.npy", "vectors", "docs/../v.npy", "read with the source"),
        ("v.npy", "vectors", "v.ids.txt", "read with the source"),
        ("v.npy", "vectors", "v.ids", "read with the source"),
        ("v.npy", "vectors", "others.txt", "another file, which would be lost"),
        ("t.jsonl", "texts", "t.jsonl", "read with the source"),
        ("t.jsonl", "texts", "beside.txt", "another file, which would be lost"),
        ("t.jsonl", "texts", "notes", "another file, which would be lost"),
        ("t.jsonl", "texts", "recipe.json", "another file, which would be lost"),
        ("docs", "texts", "docs/one.txt", "read with the source"),
        ("docs", "texts", "hard", "another file, which would be lost"),
        ("docs/one.txt", "texts", "hard", "read with the source"),
        ("docs", "texts", "docs/new.TXT", "read with the source"),
        ("docs", "texts", "docs/sub/new", "read with the source"),
        ("docs", "texts", "folder-link/sub/two", "read with the source"),
        ("folder-link", "texts", "docs/new.html", "read with the source"),
        ("t.jsonl", "texts", "texts/catalog.sqlite", "in the collection"),
        ("t.jsonl", "texts", "texts/new.jsonl", "in the collection"),
        ("t.jsonl", "texts", "texts/segments/new", "in the collection"),
        ("t.jsonl", "texts", "vectors/models/new", "in the collection"),
        ("t.jsonl", "new", "new", "in the collection"),
        ("t.jsonl", "new", "new/report", "in the collection"),
        ("t.jsonl", "texts", "docs", "got a folder"),
        ("t.jsonl", "texts", "nowhere/report", "no folder to write into"),
        ("t.jsonl", "texts", "x" * 300, "File name too long"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_report_takes_the_place_of_nothing_else(place, source, to, report, says, dry):
    before = files(place)
    done = run("index", place / source, "--to", place / to, "--report", place / report, *dry)
    assert done.exit_code == 1
    assert "expected a place for the report, got" in done.stderr
    assert says in done.stderr
    assert files(place) == before


def test_files_that_options_name_are_no_place_for_a_report(place):
    (place / "empty").write_text("")
    before = files(place)
    command = ["index", place / "v.npy", "--to", place / "vectors", "--report"]
    done = run(*command, place / "empty", "--ids", place / "empty")
    assert "which is read" in done.stderr
    assert files(place) == before


@pytest.mark.parametrize(
    "report", ["new", "empty", "report", "report-link", "docs/new.jsonl", "docs/.new"]
)
def test_a_report_is_new_or_replaces_a_former_one(place, report):
    (place / "empty").write_text("")
    (place / "report").chmod(0o640)
    before = files(place)
    source = "docs" if "docs" in report else "t.jsonl"
    done = run("index", place / source, "--to", place / "texts", "--report", place / report, "-q")
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in (place / report).read_text().splitlines()]
    assert [line["id"] for line in lines] == (["y"] if source == "t.jsonl" else [])
    assert (place / "report-link").is_symlink()
    assert (place / "report").stat().st_mode & 0o777 == 0o640
    there = {path for path in files(place) if "texts" not in path.parts}
    assert there - before.keys() <= {place / report}
    again = run("index", place / source, "--to", place / "texts", "--report", place / report, "-q")
    assert again.exit_code == 0, again.output


def test_a_run_that_fails_leaves_what_it_had_skipped(place, monkeypatch):
    monkeypatch.setattr("indexer.ingest.intake.BATCH", 4)
    rows = [{"id": f"bad-{i}", "text": i} for i in range(10)]
    (place / "bad.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (place / "odd.csv").write_text("neither,of,these\n1,2,3\n")
    command = ["index", place / "bad.jsonl", place / "odd.csv", "--to", place / "texts"]
    done = run(*command, "--report", place / "report")
    assert done.exit_code == 1
    assert "odd.csv: expected a header row" in done.stderr
    lines = [json.loads(line) for line in (place / "report").read_text().splitlines()]
    assert [line["id"] for line in lines][:4] == ["bad-0", "bad-1", "bad-2", "bad-3"]
    before = (place / "report").read_bytes()
    done = run("index", place / "odd.csv", "--to", place / "texts", "--report", place / "report")
    assert done.exit_code == 1
    assert (place / "report").read_bytes() == before, "nothing was skipped before it failed"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("kept", [True, False])
def test_what_was_there_stays_until_all_is_written(tmp_path, error, kept):
    path = tmp_path / "f"
    path.write_text("before")
    with pytest.raises(error), written(path, "it", even_after_error=kept) as stream:  # noqa: PT012
        stream.write("after\n" * 300_000)
        assert path.read_text() == "before"
        assert list(tmp_path.iterdir()) == [path]
        raise error
    assert path.read_text() == ("after\n" * 300_000 if kept else "before")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_text("before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="got No space left on device"), written(path, "it") as out:
        out.write("after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_written_into(place):
    os.mkfifo(place / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((place / "pipe").read_text()))
    reader.start()
    done = run("index", place / "t.jsonl", "--to", place / "texts", "--report", place / "pipe")
    reader.join(10)
    assert done.exit_code == 0, done.output
    assert json.loads(got[0])["id"] == "y"
    assert not (place / "pipe").is_file()


@pytest.mark.parametrize(
    ("write", "says"),
    [
        ("t.jsonl", "read with the source"),
        ("beside.txt", "another file, which would be lost"),
        ("report", "another file, which would be lost"),
        ("texts/recipe.json", "in the collection"),
        ("texts/catalog.sqlite", "in the collection"),
        ("recipe.json", ""),
        ("new.json", ""),
    ],
)
def test_a_recipe_takes_the_place_of_nothing_else(place, monkeypatch, write, says):
    found = tuner.TuningReport("text", "dense", 1, 1, 1.0, chosen=Setting(rounds=2))
    monkeypatch.setattr("indexer.tuning.tune", lambda *_, **__: found)
    before = files(place)
    done = run("tune", place / "t.jsonl", "--write", place / write)
    if says:
        assert done.exit_code == 1
        assert says in done.stderr
        assert files(place) == before
        return
    assert done.exit_code == 0, done.output
    assert json.loads((place / write).read_text())["rounds"] == 2


@pytest.mark.parametrize(("letter", "said"), [("\0", "NUL"), ("\ud800", r"'\\ud800'")])
def test_a_path_that_no_file_can_have_is_refused_by_name(made, tmp_path, letter, said):
    odd = tmp_path / f"o{letter}dd"
    with pytest.raises(NotACollectionError, match=f"expected a path, got one with {said} in it"):
        Collection.open(odd)
    with pytest.raises(NotACollectionError, match=f"expected a path, got one with {said} in it"):
        Indexer(odd, "text")
    with (
        Collection.open(made / "texts") as collection,
        pytest.raises(InputError, match=f"expected a path, got one with {said} in it"),
    ):
        collection.export(odd.with_suffix(".jsonl"))
    assert not list(tmp_path.iterdir())
