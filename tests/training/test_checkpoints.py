"""A training that is interrupted anywhere, any number of times, ends as it would have ended."""

import dataclasses

import numpy as np
import pytest

from hashret.store.checkpoint_files import CheckpointFiles
from hashret.store.layout import Layout
from indexer.training import TrainingOptions, Watcher, checkpoints, train
from indexer.training.checkpoints import Checkpoints, key_of
from tests.training.corpora import grouped_points, grouped_words, stripes
from tests.training.recipes import change_all


class SwitchedOffError(Exception):
    """What a power switch would be."""


CASES = {
    "words": ("text", None, lambda: grouped_words(60)[0]),
    "images": ("image", "dense", lambda: stripes(60)[0]),
    "patches": ("image", "patches", lambda: stripes(60)[0]),
    "filters": ("image", "conv", lambda: stripes(60)[0]),
    "towers": ("vector", "towers", lambda: grouped_points(90)[0]),
    "points": ("vector", "dense", lambda: grouped_points(60)[0]),
    "drawn": ("vector", "variational", lambda: grouped_points(60)[0]),
    "round and round": ("vector", "recirculation", lambda: grouped_points(60)[0]),
}


@pytest.fixture(autouse=True)
def small_and_often(monkeypatch):
    """Small networks of few steps, and a checkpoint after each step."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    change_all(monkeypatch, hidden=(12, 10), filters=(4, 4), least_steps=20)


@pytest.fixture
def files(tmp_path):
    return CheckpointFiles(Layout.create(tmp_path / "c"))


def learned(case, files=None, stop_at=None, seed=3):
    """The encoder's arrays and its report without times; `stop_at` counts steps of this run."""
    kind, preset, features_of = CASES[case]
    features = features_of()
    shape = None
    if kind == "image":
        side = round(features.shape[1] ** 0.5)
        shape = (side, side, 1)
    rounds = {"text": 2}.get(kind)
    options = TrainingOptions(
        n_bits=16,
        seed=seed,
        device="cpu",
        preset=preset,
        epochs=9 if preset == "towers" else 3,
        rounds=rounds,
    )
    taken = 0

    class Stopping(Watcher):
        def on_step(self, stage, step, n_steps, loss):
            nonlocal taken
            taken += 1
            if taken == stop_at:
                raise SwitchedOffError

    kept = Checkpoints(files, key_of(features, kind, options, shape)) if files else None
    encoder, report = train(
        features, kind, options, shape=shape, watchers=[Stopping()], checkpoints=kept
    )
    described, arrays = encoder.spec, encoder.tensors()
    stages = [dataclasses.replace(stage, seconds=0.0) for stage in report.stages]
    return described, arrays, stages, report.warnings, taken


def same(found, expected):
    assert found[0] == expected[0]
    assert found[1].keys() == expected[1].keys()
    for name in expected[1]:
        np.testing.assert_array_equal(found[1][name], expected[1][name])
    assert found[2:4] == expected[2:4]


@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_training_ends_the_same(files, case):
    expected = learned(case)
    n_steps = expected[-1]
    same(learned(case, files), expected)  # and finds every stage of itself
    assert learned(case, files)[-1] < n_steps / 2
    files.clear()
    interruptions = 0
    stop_at = 1
    while True:
        try:
            found = learned(case, files, stop_at)
            break
        except SwitchedOffError:
            interruptions += 1
            stop_at = 2 + interruptions % 7  # some steps at a time, at every place of an epoch
    same(found, expected)
    assert interruptions >= 4


def test_without_the_states_of_the_generators_it_would_end_otherwise(files, monkeypatch):
    expected = learned("words")
    with pytest.raises(SwitchedOffError):
        learned("words", files, expected[-1] // 2)
    honest = checkpoints.Stage._put_back

    def forgetful(self, facts, arrays):
        honest(self, facts | {"rng": self._rng.bit_generator.state}, arrays)

    monkeypatch.setattr(checkpoints.Stage, "_put_back", forgetful)
    with pytest.raises(AssertionError):
        same(learned("words", files), expected)


def test_other_items_or_options_begin_anew(files):
    with pytest.raises(SwitchedOffError):
        learned("points", files, 30)
    expected = learned("points", seed=4)
    same(learned("points", files, seed=4), expected)
    assert not Checkpoints(files, "another").found


def test_a_damaged_checkpoint_is_none(files, tmp_path):
    expected = learned("towers")
    same(learned("towers", files), expected)
    kept = sorted((tmp_path / "c" / "unfinished").iterdir())
    assert len(kept) >= 2
    for path in kept:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        same(learned("towers", files), expected)


def test_what_is_kept_is_what_was_given(files):
    assert files.read("a") is None
    files.write("a", {"n": 1 << 200, "x": [0.1, None]}, {"b": np.arange(3.0)})
    facts, arrays = files.read("a")
    assert facts == {"n": 1 << 200, "x": [0.1, None]}
    np.testing.assert_array_equal(arrays["b"], np.arange(3.0))
    files.write("b", {})
    assert files.clear("b")
    assert files.read("b") is None
    assert files.read("a") is not None
    assert files.clear()
    assert not files.clear()
