"""`hashret presets`: every preset is there, with what it is for and what was measured."""

import json

import pytest
from click.testing import CliRunner

from indexer.cli import main
from indexer.cli.choosing import presets
from indexer.training.presets import PRESETS

ALL = {name for rows in PRESETS.values() for name in rows}


@pytest.fixture
def measured(monkeypatch):
    """Figures of two presets of vectors and of one of texts."""
    found = {"20ng-minilm": {"towers": 0.5, "dense": 0.4875}, "20ng-stripped": {"bernoulli": 0.6}}
    monkeypatch.setattr(presets, "FIGURES", found)


def told(*arguments):
    done = CliRunner().invoke(main, ["presets", *arguments])
    assert done.exit_code == 0
    return done.output


def test_each_preset_has_a_purpose_and_a_row():
    assert set(presets.PURPOSES) == ALL
    rows = [line.split()[0] for line in told().splitlines() if line and line[0] != " "]
    assert [row for row in rows if row in presets.PURPOSES] == presets._names()
    assert set(presets._names()) == ALL


def test_a_row_tells_kinds_default_and_the_difference_from_it(measured):
    lines = told().splitlines()
    columns = {kind: lines[0].index(kind) for kind in PRESETS if kind in lines[0]}

    def cell(name, kind):
        row = next(line for line in lines if line.split()[:1] == [name])
        return row[columns[kind] :].split("  ")[0].strip()

    assert cell("towers", "vector") == ".500*"
    assert cell("dense", "vector") == "-.013"
    assert cell("variational", "vector") == "yes"  # not measured
    assert cell("dense", "text") == "yes*"
    assert cell("bernoulli", "text") == "yes"  # the default was not measured
    assert cell("towers", "text") == ""


def test_as_json_it_has_the_same(measured):
    found = {one["name"]: one for one in json.loads(told("--json"))["presets"]}
    assert set(found) == ALL
    for name, one in found.items():
        assert one["for"] == presets.PURPOSES[name]
        assert set(one["kinds"]) == {kind for kind, rows in PRESETS.items() if name in rows}
    figure = {"set": "20ng-minilm", "measure": "recall@10", "figure": 0.4875}
    assert found["dense"]["kinds"]["vector"] == {"default": False, **figure}
    assert found["towers"]["kinds"]["vector"]["default"] is True
    assert found["dense"]["kinds"]["text"] == {"default": True}


def test_figures_are_of_presets_that_there_are():
    for figures in presets.FIGURES.values():
        assert set(figures) <= ALL
        assert all(0.0 < value <= 1.0 for value in figures.values())
    assert set(presets.FIGURES) <= set(presets.SETS)
    assert {kind for kind, _ in presets.SETS.values()} <= set(PRESETS)
