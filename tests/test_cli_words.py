"""What the command says beside its results: how a training went, what a name or a word meant."""

import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection
from indexer.cli import console, main
from indexer.writer import Indexer
from tests.corpora import clustered_vectors, topic_items


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a collection of texts and one of vectors, and what making the first one said."""
    place = tmp_path_factory.mktemp("words")
    (place / "docs.csv").write_text("text\n" + "\n".join(i.payload for i in topic_items(60)))
    np.save(place / "v.npy", clustered_vectors(40))
    said = run("index", place / "docs.csv", "--to", place / "texts", "--bits", 16)
    assert run("index", place / "v.npy", "--to", place / "vectors", "--bits", 16).exit_code == 0
    return place, said.stderr


def test_a_training_ends_with_a_verdict_and_few_items_are_said_before_it(made):
    lines = made[1].splitlines()
    (verdict,) = [line for line in lines if line.startswith("codes ")]
    assert re.search(r"nearer than \d+% of the others$", verdict)
    assert "doubtful" in verdict  # since items are few
    assert lines[0].startswith("warning: only 60 items: too few to learn useful codes")
    assert len([line for line in lines if "only 60 items" in line]) == 1
    assert not any(line.startswith("stage ") for line in lines)


def test_the_stages_are_a_table_if_asked_for_and_no_column_is_empty(made):
    texts = made[0] / "texts"
    said = run("retrain", texts, "-v").stderr.splitlines()
    (head,) = [i for i, line in enumerate(said) if line.startswith("stage ")]
    assert "recall" not in said[head]  # which texts have not
    assert {"seconds", "loss", "saturated"} <= set(said[head].split())
    assert any(line.startswith("fine-tune") for line in said[head:])
    quiet = run("retrain", texts, "-q").stderr
    assert "codes " not in quiet.replace("useful codes", "")


def test_a_sign_of_life_where_no_bar_can_be_drawn(capsys, monkeypatch):
    monkeypatch.setattr(console, "_SIGN_OF_LIFE", 0.02)
    with console.progress_bars(quiet=False) as on_progress:
        time.sleep(0.1)
        on_progress("fine-tune", 30, 120)
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"working, \d+ s so far", lines[0])
    assert re.fullmatch(r"fine-tune: 30 of 120 \(25%\), \d+ s so far", lines[-1])
    with console.progress_bars(quiet=True):
        time.sleep(0.1)
    time.sleep(0.1)  # and none after it
    assert capsys.readouterr().err == ""


def test_the_name_of_a_file_is_told_from_a_text(made, monkeypatch):
    place, _ = made
    monkeypatch.chdir(place)
    said = run("query", "texts", "docs.csv")
    assert "docs.csv is a file, and its name was searched for; " in said.stderr
    assert "--file docs.csv" in said.stderr
    assert "is a file" not in run("query", "texts", "ship").stderr
    assert "is a file" not in run("query", "texts", "texts").stderr  # a folder
    said = run("query", "vectors", "v.npy")
    assert said.exit_code == 1
    assert "got the name of a file as a text; use --file v.npy" in said.stderr
    for odd in ("a\0b", "x" * 5000, "[1]"):
        assert "Traceback" not in run("query", "vectors", odd).output


def test_words_that_no_text_has(made):
    texts = made[0] / "texts"
    assert "unknown words: anchr; did you mean 'anchor'?" in run("query", texts, "anchr").stderr
    said = run("query", texts, "the anchr of a ship")
    assert "did you mean 'the anchor of a ship'?" in said.stderr
    assert said.stdout
    assert "unknown" not in run("query", texts, "anchor of a ship").stderr
    assert "unknown words: qqqq\n" in run("query", texts, "ship qqqq").stderr
    assert "did you mean 'anchor'" in run("query", texts, "anchr", "--codes-only").stderr


def test_an_unfinished_collection_says_so(tmp_path):
    with Indexer(tmp_path / "c", kind="text"):
        pass  # as a run that ended before its first commit
    done = run("info", tmp_path / "c")
    if done.exit_code == 0:
        assert done.stdout.startswith("unfinished: ")
        assert "None" not in done.stdout
    said = run("query", tmp_path / "c", "ship")
    assert said.exit_code == 1
    assert "hashret index" in said.stderr


def test_items_that_wait_for_a_model_are_told_how_they_get_one(tmp_path):
    with Indexer(tmp_path / "c", kind="text") as indexer:
        indexer.add(topic_items(3))
        indexer.commit()
    assert run("info", tmp_path / "c").stdout.startswith("pending: ")
    for verb in (["query", "ship"], ["evaluate", "--label", "topic"], ["bits"]):
        said = run(verb[0], tmp_path / "c", *verb[1:])
        assert said.exit_code == 1
        assert "`hashret retrain` learns from them" in said.stderr


def test_one_of_something_is_no_plural(made):
    shutil.copytree(made[0] / "texts", texts := made[0] / "one")
    with Indexer(texts) as indexer, Collection.open(texts) as collection:
        indexer.remove(collection.ids()[1:])
        indexer.commit()
    assert "of copies of 1 item; 0 items not" in run("duplicates", texts).stderr
    assert run("bits", texts).stdout.startswith("1 item. ones: ")
    assert run("generate", texts, "-n", 1).stderr.startswith("1 code: the nearest stored one is ")
    assert run("generate", texts, "-n", 2).stderr.startswith("2 codes: ")


@pytest.mark.parametrize(
    ("shell", "has"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef hashret"), ("fish", "complete --no-files")],
)  # fmt: skip
def test_a_script_for_each_shell(shell, has):
    done = run("completion", shell)
    assert has in done.stdout
    assert "_HASHRET_COMPLETE" in done.stdout


def test_bash_takes_the_script():
    command = "from indexer.cli import main; main()"
    script = subprocess.run(
        [sys.executable, "-c", command, "completion", "bash"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p hashret"], capture_output=True, text=True, check=True
    )
    assert "_hashret_completion" in done.stdout
