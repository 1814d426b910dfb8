"""What the benchmark of the family writes, and that one failed training ends no other."""

import argparse
import runpy
import shutil
from types import SimpleNamespace

import pytest
import torch

from benchmarks import datasets, family, features, scoring
from benchmarks.page_sections import write_section


@pytest.fixture
def at(tmp_path, monkeypatch):
    """The pages that are written are copies."""
    (tmp_path / "docs").mkdir()
    page = "before\n<!-- family: begin -->\nold\n<!-- family: end -->\nafter\n"
    (tmp_path / "docs" / "family.md").write_text(page, encoding="utf-8")
    shutil.copy(family._FIGURES, tmp_path)
    monkeypatch.setattr(family, "ROOT", tmp_path)
    monkeypatch.setattr(family, "_FIGURES", tmp_path / family._FIGURES.name)
    return tmp_path


def row(name, preset, value, seed=0, quick=False):
    figures = {"P@100": value, "P@100, real-valued": value + 0.01, "seconds": 80, "n_distinct": 9e3}
    return {"key": [name, preset, 64, seed, quick], "figures": figures}


ROWS = [
    row("r8", "sparse", 0.88),
    row("r8", "dense", 0.9),
    row("r8", "dense", 0.91, seed=1),
    row("r8", "bernoulli", 0.1, quick=True),
]


def test_the_page_has_a_table_of_each_set_the_default_first(at):
    family._write_docs(ROWS)
    page = (at / "docs" / "family.md").read_text(encoding="utf-8")
    assert page.startswith("before\n<!-- family: begin -->\n### r8, 64 bits\n")
    assert page.endswith("<!-- family: end -->\nafter\n")
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    assert lines == [
        "| `dense` | 0.905 ± 0.007 |  | 0.915 ± 0.007 | 9,000 | 80 |",
        "| `sparse` | 0.880 | -0.025 | 0.890 | 9,000 | 80 |",
    ]


def test_the_figures_are_a_module_with_means_over_seeds(at):
    family._write_figures(ROWS)
    written = runpy.run_path(str(family._FIGURES))
    assert written["FIGURES"] == {"r8": {"dense": 0.905, "sparse": 0.88}}
    assert written["SETS"] == family.SETS


def test_a_training_that_fails_is_told_of_and_ends_no_other(at, monkeypatch, capsys):
    dataset = SimpleNamespace(kind="vector", subsample=lambda *_: dataset)
    monkeypatch.setattr(datasets, "load", lambda *_: dataset)
    monkeypatch.setattr(features, "featurize", lambda *_: None)
    monkeypatch.setattr(scoring.Judge, "of", lambda _: None)

    def measured(kind, seen, judge, preset, seed, lengths):
        if preset == "dense":
            raise ValueError("no such luck")
        yield lengths[0], {"recall@10": 0.5}

    monkeypatch.setattr(family, "_measured", measured)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    arguments = argparse.Namespace(
        threads=1, presets="dense,towers", bits="64", seeds=1, quick=True, datasets=at
    )
    arguments.results = at / "results.jsonl"
    done = {}
    assert family._measure_set("20ng-minilm", arguments, done) == ["dense on 20ng-minilm"]
    assert list(done) == [("20ng-minilm", "towers", 64, 0, True)]
    assert "no such luck" in capsys.readouterr().err
    monkeypatch.setattr(datasets, "load", lambda *_: pytest.fail("it was measured before"))
    arguments.presets = "towers"
    assert family._measure_set("20ng-minilm", arguments, family.read(arguments.results)) == []


def test_a_section_of_a_page_is_replaced_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter\n", encoding="utf-8")
    write_section(page, "a", "new")
    expected = "before\n<!-- a: begin -->\nnew\n<!-- a: end -->\nafter\n"
    assert page.read_text(encoding="utf-8") == expected
    for broken in ("no marks\n", "<!-- a: begin -->\nno end\n"):
        page.write_text(broken, encoding="utf-8")
        with pytest.raises(ValueError, match="expected <!-- a: begin --> and <!-- a: end -->"):
            write_section(page, "a", "new")
        assert page.read_text(encoding="utf-8") == broken
