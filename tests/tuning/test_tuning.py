"""Tuning from items to a recipe, and from a recipe to a collection that records it."""

import json
from dataclasses import asdict
from time import monotonic

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Item
from hashret.errors import InputError, UnknownKindError
from indexer import Indexer
from indexer.cli import main
from indexer.training.options import Multiples, TrainingOptions
from indexer.training.presets import PRESETS
from indexer.tuning import LEAST_ITEMS, Setting, tune, tuner
from indexer.tuning.recipes import read_recipe, recipe_of
from tests.corpora import clustered_vectors, topic_items
from tests.training.recipes import change, change_all


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    """The recipes with small hidden layers and few steps: the same code, quickly."""
    change_all(monkeypatch, hidden=(32,), least_steps=60, epochs=4)


def space(monkeypatch, **values):
    monkeypatch.setattr(tuner, "space_of", lambda kind, preset: values)


def bad_default(monkeypatch):
    """Noise that drowns all that is learned; latent coordinates, which are not, would remain.

    Nor is there a linear map: it finds something of the neighbourhoods even in bits of noise.
    """
    change(monkeypatch, "text", "dense", noise=(20.0, 20.0), n_latent=0, linear=None, telling=None)


def test_a_planted_bad_setting_loses_and_a_better_one_is_found(monkeypatch):
    bad_default(monkeypatch)
    space(monkeypatch, noise=(0.05, 1.0))
    report = tune(topic_items(400), "text", n_bits=[16], seconds=300, device="cpu")
    assert report.chosen == Setting(rounds=1, noise=0.05)
    qualities = {trial.setting.noise: trial.quality for trial in report.trials}
    assert qualities[0.05] > 2 * qualities[1.0]
    assert report.not_tried == []


def test_a_planted_bad_setting_is_not_chosen(monkeypatch):
    space(monkeypatch, noise=(1.0, 30.0))
    report = tune(topic_items(400), "text", n_bits=[16, 8], seconds=300, device="cpu")
    assert report.chosen.noise == 1.0
    assert [trial.n_bits for trial in report.trials] == [8, 16, 8, 16]
    by_setting = [
        np.mean([t.quality for t in report.trials if t.setting.noise == n]) for n in (1.0, 30.0)
    ]
    assert by_setting[0] > by_setting[1]


def test_the_budget_is_kept(monkeypatch):
    change(monkeypatch, "text", "dense", least_steps=10_000, steps_each=1e9)
    began = monotonic()
    report = tune(topic_items(300), "text", seconds=2.0, device="cpu")
    assert monotonic() - began < 6.0  # training would take a minute
    assert report.budget == 2.0
    assert report.trials == []
    assert report.chosen == report.not_tried[0] == Setting(rounds=1)


def test_items_that_are_slow_to_come_are_read_for_a_part_of_the_time(monkeypatch):
    space(monkeypatch, noise=(1.0,))
    now = [0.0]
    monkeypatch.setattr("indexer.tuning.search.monotonic", lambda: now[0])

    def slow():
        for item in topic_items(1000):
            now[0] += 0.1
            yield item

    report = tune(slow(), "text", n_bits=[8], seconds=200.0, device="cpu")
    assert not report.complete
    assert (
        495 <= report.n_items + report.n_held_out <= 500
    )  # a quarter of the time, ten items a second


def test_a_reader_that_is_cut_short_is_closed_before_the_search(monkeypatch):
    space(monkeypatch, noise=(1.0,))
    now, seen = [0.0], []
    monkeypatch.setattr("indexer.tuning.search.monotonic", lambda: now[0])

    def slow():
        try:
            for item in topic_items(1000):
                now[0] += 1.0
                yield item
        finally:
            seen.append("closed")

    def on_progress(stage, done, total):
        if stage != "read" and "searched" not in seen:
            seen.append("searched")

    items = slow()  # kept, as callers may do
    report = tune(items, "text", n_bits=[8], seconds=400.0, device="cpu", on_progress=on_progress)
    assert not report.complete
    assert seen == ["closed", "searched"]


def test_texts_without_a_common_word_are_refused():
    items = [Item(str(i), f"apart{i} alone{i}") for i in range(200)]
    with pytest.raises(InputError, match=r"share features with others, .* got 160 and 0; index"):
        tune(items, "text", device="cpu")


def test_vectors_are_tuned_too(monkeypatch):
    space(monkeypatch, epochs=(1.0, 2.0))
    items = [Item(str(i), vector) for i, vector in enumerate(clustered_vectors(300))]
    report = tune(items, "vector", n_bits=[16], seconds=300, device="cpu")
    assert len(report.trials) == 2
    assert all(0 < trial.quality < 1 for trial in report.trials)
    assert report.options().preset == "towers"


def test_too_few_items_and_wrong_calls_are_refused():
    few = topic_items(LEAST_ITEMS - 1)
    with pytest.raises(InputError, match=f"at least {LEAST_ITEMS} usable ones .* got 199"):
        tune(few, "text")
    with pytest.raises(ValueError, match="seconds: expected more than 0"):
        tune(few, "text", seconds=0)
    with pytest.raises(ValueError, match="n_bits"):
        tune(few, "text", n_bits=[12])
    with pytest.raises(ValueError, match="n_bits: expected at least one length"):
        tune(few, "text", n_bits=())
    with pytest.raises(UnknownKindError):
        tune(few, "sound")
    with pytest.raises(InputError, match="kind: expected text or vector, got image"):
        tune(few, "image")


def test_the_report_is_json_of_this_form(monkeypatch):
    space(monkeypatch, noise=(1.0,))
    report = tune(topic_items(240), "text", n_bits=[8], seconds=300, device="cpu")
    found = json.loads(json.dumps(report.to_json()))
    trial = found["trials"][0]
    assert 0 < trial.pop("quality") < 1
    assert 0 < trial.pop("seconds") < found.pop("seconds")
    setting = asdict(Multiples()) | {"rounds": 1}
    assert found == {
        "kind": "text",
        "preset": "dense",
        "n_items": 192,
        "n_held_out": 48,
        "budget": 300,
        "complete": True,
        "trials": [{**setting, "n_bits": 8, "chosen": True}],
        "chosen": setting,
        "not_tried": [],
        "warnings": [],
    }


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "topics.jsonl"
    lines = [json.dumps({"id": item.id, "text": item.payload}) for item in topic_items(240)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_from_the_command_line_to_a_collection_that_records_it(source, tmp_path, monkeypatch):
    bad_default(monkeypatch)
    space(monkeypatch, noise=(0.05, 1.0))
    recipe, to = tmp_path / "recipe.json", tmp_path / "topics.hashret"
    told = run("tune", source, "--bits", 16, "--device", "cpu", "--write", recipe, "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["chosen"]["noise"] == 0.05
    assert f"--recipe {recipe}" in told.stderr
    made = run("index", source, "--to", to, "--bits", 16, "--recipe", recipe, "--device", "cpu")
    assert made.exit_code == 0, made.output
    with Indexer(to) as indexer:
        options = indexer.description["training"]["options"]
    assert options["multiples"] == asdict(Multiples(noise=0.05))
    assert options["rounds"] == 1
    # again with it is as it was made; with another it is not
    assert run("index", source, "--to", to, "--recipe", recipe).exit_code == 0
    recipe.write_text(recipe.read_text().replace("0.05", "0.25"))
    other = run("index", source, "--to", to, "--recipe", recipe)
    assert other.exit_code == 1
    assert "a --recipe with multiples" in other.stderr


def test_the_table_marks_the_choice_and_names_what_was_not_tried(source, monkeypatch):
    space(monkeypatch, noise=(0.5, 1.0))
    told = run("tune", source, "--bits", 8, "--device", "cpu", "--seconds", 100)
    lines = told.stdout.splitlines()
    assert lines[0].split() == [
        "neighbours",
        "rounds",
        "noise",
        "epochs",
        "telling",
        "contrast",
        "bits",
        "quality",
        "seconds",
    ]
    assert [line[0] for line in lines[1:]].count("*") == 1
    short = run("tune", source, "--seconds", 0.01)
    assert short.exit_code == 0
    assert "so it stands" in short.stderr
    assert run("tune", source, "--bits", 12).exit_code == 2
    assert run("tune", source, "--metric", "cosine").exit_code == 2


@pytest.mark.parametrize("place", ["nowhere/recipe.json", "."])
def test_a_place_that_takes_no_recipe_is_refused_before_the_search(
    source, tmp_path, place, monkeypatch
):
    monkeypatch.setattr("indexer.tuning.tune", lambda *_, **__: pytest.fail("it searched"))
    told = run("tune", source, "--write", tmp_path / place)
    assert told.exit_code == 1
    assert f"{tmp_path / place}: expected a place for the recipe (--write)" in told.stderr


def test_what_was_found_is_shown_even_if_it_cannot_be_written(source, tmp_path, monkeypatch):
    recipe = tmp_path / "recipe.json"

    def found(*_, **__):
        recipe.mkdir()  # what was a good place is none any more
        return tuner.TuningReport("text", "dense", 1, 1, 1.0, chosen=Setting(rounds=1))

    monkeypatch.setattr("indexer.tuning.tune", found)
    told = run("tune", source, "--write", recipe, "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["chosen"]["rounds"] == 1
    assert "expected a place for the recipe (--write), got Is a directory" in told.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": 2}, "format 1, got 2"),
        ({"kind": "image"}, "items of kind text, got 'image'"),
        ({"multiples": {"noise": -1}}, "hashret tune --write"),
        ({"multiples": {"sound": 1}}, "hashret tune --write"),
        ({"rounds": "two"}, "hashret tune --write"),
    ],
)
def test_what_is_no_recipe_is_refused(change, message):
    good = {"recipe": 1, "kind": "text", "preset": "dense", "rounds": 1, "multiples": {"noise": 2}}
    assert read_recipe(json.dumps(good), "text") == {
        "preset": "dense",
        "rounds": 1,
        "multiples": Multiples(noise=2),
    }
    with pytest.raises(InputError, match=message):
        read_recipe(json.dumps(good | change), "text")


@pytest.mark.parametrize(
    ("preset", "rounds", "multiples"),
    [
        ("towers", 1, {}),
        ("towers", None, {"noise": 2}),
        ("dense", 2, {}),
        ("dense", 1, {"neighbours": 2}),
    ],
)
def test_a_recipe_of_what_changes_nothing_is_refused(preset, rounds, multiples):
    recipe = {"recipe": 1, "kind": "vector", "preset": preset, "rounds": rounds}
    with pytest.raises(InputError, match="leave it out"):
        read_recipe(json.dumps(recipe | {"multiples": multiples}), "vector")


def test_text_that_is_no_json_is_no_recipe():
    with pytest.raises(InputError, match="recipe: expected"):
        read_recipe("[1", "text")
    with pytest.raises(InputError, match="recipe: expected"):
        read_recipe("[1]", "text")


def test_a_recipe_is_read_as_it_was_written():
    report = tuner.TuningReport("text", "dense", 1, 1, 1.0, chosen=Setting(2.0, 3, 0.5, 2.0))
    options = TrainingOptions(**read_recipe(recipe_of(report), "text"))
    assert options == report.options()


@pytest.mark.parametrize("wrong", [{"noise": 0}, {"epochs": -1}, {"neighbours": float("nan")}])
def test_multiples_are_above_nothing(wrong):
    with pytest.raises(ValueError, match="multiples: expected"):
        Multiples(**wrong)


def test_multiples_scale_the_preset():
    recipe = PRESETS["text"]["dense"].recipe
    plain = recipe.fitted(5000, TrainingOptions())
    multiples = Multiples(2.0, 0.5, 3.0, telling=0.5, contrast=4.0)
    scaled = recipe.fitted(5000, TrainingOptions(multiples=multiples))
    assert scaled.epochs == 2 * plain.epochs
    assert scaled.neighbourhood.size == pytest.approx(plain.neighbourhood.size / 2, abs=1)
    assert scaled.bottleneck.noise == tuple(3 * noise for noise in plain.bottleneck.noise)
    assert scaled.telling.strength == plain.telling.strength / 2
    assert [t.weight for t in scaled.terms] == [4 * t.weight for t in plain.terms]
