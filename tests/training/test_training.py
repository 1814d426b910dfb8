"""Training as a whole: what is learned, that it repeats, and what small or odd corpora give."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from hashret import specs
from hashret.codes import Codes, hamming
from hashret.errors import TrainingError, UnknownKindError
from indexer.training import TrainingOptions, train, train_lengths, trainer
from indexer.training.neighbours.neighbourhoods import find_neighbourhoods
from indexer.training.options import Multiples
from indexer.training.report import code_warnings
from tests.models.encoders import as_sparse
from tests.training.corpora import grouped_points, grouped_words, stripes
from tests.training.recipes import change, change_all
from tests.training.watchers import Steps

QUICK = TrainingOptions(n_bits=16, seed=3, device="cpu", preset="dense", epochs=4, rounds=1)


@pytest.fixture(autouse=True, scope="module")
def small_networks():
    """The recipes with small hidden layers and few steps: the same code, quickly."""
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, hidden=(32, 24), least_steps=60)
        yield


def precision(codes, groups, k=10):
    """The share of the k nearest others of the same group, ties broken at random."""
    distances = hamming(codes, codes) + np.random.default_rng(0).random((len(codes),) * 2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :k]
    return (groups[nearest] == groups[:, None]).mean()


@pytest.mark.parametrize(
    ("kind", "corpus"),
    [("text", grouped_words), ("vector", grouped_points), ("image", grouped_points)],
)
def test_near_codes_mean_items_of_one_group(kind, corpus):
    features, groups = corpus(400)
    encoder, report = train(features, kind, dataclasses.replace(QUICK, epochs=25))
    codes = encoder.encode(features)
    assert precision(codes, groups) > 0.9  # chance is .25
    unseen, unseen_groups = corpus(100)
    assert precision(encoder.encode(unseen), unseen_groups, 5) > 0.8
    final = report.stages[-1]
    assert final.saturated > 0.8
    assert 0.2 < final.bit_balance[0] <= final.bit_balance[1] <= final.bit_balance[2] < 0.8
    assert final.n_distinct == codes.n_distinct()
    assert not report.warnings


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    features, _ = grouped_words(120)
    state = torch.random.get_rng_state()
    first, _ = train(features, "text", QUICK)
    torch.rand(3)  # global state must not matter
    np.random.rand(3)  # noqa: NPY002
    torch.random.set_rng_state(state)
    again, _ = train(features, "text", QUICK)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, tensor in first.tensors().items():
        assert np.array_equal(tensor, again.tensors()[name])
    other, _ = train(features, "text", dataclasses.replace(QUICK, seed=4))
    assert not np.array_equal(other.encode(features).packed, first.encode(features).packed)


def test_rounds_find_neighbours_again_and_report_each():
    features, groups = grouped_words(200)
    options = dataclasses.replace(QUICK, n_bits=8, rounds=2, epochs=40)
    encoder, report = train(features, "text", options)
    assert encoder.n_bits == 8
    assert precision(encoder.encode(features), groups) > 0.8
    names = [stage.stage for stage in report.stages]
    assert names == [
        "words",
        "latent",
        "neighbours, round 1",
        "pre-train 1, round 1",
        "pre-train 2, round 1",
        "pre-train 3, round 1",
        "fine-tune, round 1",
        "neighbours, round 2",
        "pre-train 3, round 2",
        "fine-tune, round 2",
        "linear map, round 2",
    ]


def test_the_second_round_searches_with_the_codes_of_the_first(monkeypatch):
    features, groups = grouped_words(200)
    found = []

    def recorded(*arguments):
        found.append(find_neighbourhoods(*arguments))
        return found[-1]

    monkeypatch.setattr(trainer, "find_neighbourhoods", recorded)
    train(features, "text", dataclasses.replace(QUICK, rounds=2, epochs=25, neighbours=30))
    first, second = (near.members for near in found[-2:])
    changed = np.array([set(a) != set(b) for a, b in zip(first, second, strict=True)])
    purity = [(groups[near] == groups[:, None]).mean(axis=1) for near in (first, second)]
    mixed = purity[0] < 1.0
    assert mixed.sum() > 10
    assert changed[mixed].mean() > 0.5
    assert purity[1].mean() > purity[0].mean()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"neighbours": 5}, "neighbours: expected none .*'dense' for items of kind vector, got 5"),
        ({"multiples": Multiples(neighbours=2.0)}, "multiples: expected neighbours 1 .*got 2.0"),
        ({"rounds": 3}, "rounds: expected none or 1 with .*got 3; leave it out"),
    ],
)
def test_vectors_without_neighbours_refuse_what_is_about_them(option, message):
    features, _ = grouped_points(60)
    with pytest.raises(ValueError, match=message):
        train(features, "vector", dataclasses.replace(QUICK, **option))


OPTIONS = {
    "seed": {"seed": 4},
    "length": {"n_bits": 24},
    "epochs": {"epochs": 7},
    "neighbours": {"neighbours": 4},
    "rounds": {"rounds": 3},
    "more epochs": {"multiples": Multiples(epochs=4.0)},
    "fewer neighbours": {"multiples": Multiples(neighbours=0.34)},
    "more noise": {"multiples": Multiples(noise=2.0)},
    "less telling": {"multiples": Multiples(telling=0.5)},
    "more contrast": {"multiples": Multiples(contrast=8.0)},
}
_NO_TERMS = {"less telling", "more contrast"}
_NO_NEIGHBOURS = {"neighbours", "rounds", "fewer neighbours"}
#: One preset of each kind for every trunk, and one for each set of knobs; no other has more knobs.
MEANINGLESS = {
    ("text", "dense"): set(),
    ("text", "variational"): {"more noise"},
    **{("image", preset): {"less telling"} for preset in ("patches", "dense", "conv")},
    ("vector", "towers"): {"rounds", "more noise"} | _NO_TERMS,
    ("vector", "dense"): _NO_NEIGHBOURS | _NO_TERMS,
    ("vector", "rounded"): _NO_NEIGHBOURS | _NO_TERMS,
    ("vector", "bernoulli"): _NO_NEIGHBOURS | _NO_TERMS | {"more noise"},
    ("vector", "sparse"): _NO_NEIGHBOURS | {"less telling"},
}


@pytest.mark.parametrize(("kind", "preset"), MEANINGLESS)
def test_every_option_changes_what_is_learned_or_is_refused(kind, preset, monkeypatch):
    change_all(monkeypatch, least_steps=9, epochs=1, pretrain_epochs=1)
    features, _ = (grouped_words if kind == "text" else grouped_points)(100)
    shape = (2, 4, 3) if kind == "image" else None
    plain = dataclasses.replace(QUICK, preset=preset, rounds=None, epochs=None)
    before = train(features, kind, plain, shape=shape)[0].tensors()
    for name, option in OPTIONS.items():
        options = dataclasses.replace(plain, **option)
        if name in MEANINGLESS[kind, preset]:
            with pytest.raises(ValueError, match="leave it out"):
                train(features, kind, options, shape=shape)
        else:
            after = train(features, kind, options, shape=shape)[0].tensors()
            assert any(not np.array_equal(before[one], after[one]) for one in after), name


def test_lengths_that_share_rounds_are_learned_as_each_alone():
    features, _ = grouped_words(120)
    options = dataclasses.replace(QUICK, rounds=2, neighbours=10)
    together = list(train_lengths(features, "text", options, [8, 24]))
    for n_bits, (encoder, report) in zip([8, 24], together, strict=True):
        alone, of_alone = train(features, "text", dataclasses.replace(options, n_bits=n_bits))
        assert np.array_equal(alone.encode(features).packed, encoder.encode(features).packed)
        assert report.options == of_alone.options
        assert [s.stage for s in report.stages] == [s.stage for s in of_alone.stages]


def test_progress_counts_every_stage_to_its_end():
    features, _ = grouped_words(90)
    watcher = Steps()
    _, report = train(features, "text", QUICK, watchers=[watcher])
    assert [stage.stage for stage in report.stages] == list(
        dict.fromkeys(c[0] for c in watcher.calls)
    )
    for stage in report.stages:
        steps = [call for call in watcher.calls if call[0] == stage.stage]
        assert steps[-1][1] == steps[-1][2]
        assert np.isnan(steps[-1][3]) == (stage.loss is None)


def test_learning_lowers_the_loss_of_every_stage():
    features, _ = grouped_points(900)
    watcher = Steps()
    _, report = train(features, "vector", QUICK, watchers=[watcher])
    for stage in report.stages:
        losses = [call[3] for call in watcher.calls if call[0] == stage.stage]
        if stage.loss is not None:
            assert stage.loss < 0.9 * np.mean(losses[:3])


@pytest.mark.parametrize("n", [2, 3, 10, 100])
@pytest.mark.parametrize("n_bits", [8, 128])
def test_small_corpora_are_learned(n, n_bits):
    features, _ = grouped_words(n)
    encoder, report = train(features, "text", dataclasses.replace(QUICK, n_bits=n_bits))
    codes = encoder.encode(features)
    assert codes.n_bits == n_bits
    assert codes.n_distinct() > 1
    assert report.n_items == n
    points, _ = grouped_points(n)
    assert train(points, "vector", QUICK)[0].encode(points).n_distinct() > 1


def test_more_bits_than_features():
    points = grouped_points(60, n_features=2)[0]
    assert train(points, "vector", QUICK)[0].encode(points).n_distinct() > 2


def test_rows_without_a_feature_do_no_harm():
    features, _ = grouped_words(40)
    dense = features.to_dense()
    dense[::5] = 0.0
    encoder, _ = train(as_sparse(dense), "text", QUICK)
    assert encoder.encode(as_sparse(dense)).n_distinct() > 4


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_items_all_alike_are_a_warning(value):
    points = np.full((12, 5), value, np.float32)
    encoder, report = train(points, "vector", QUICK)
    assert encoder.encode(points).n_distinct() == 1
    assert "items: all are the same" in report.warnings[0]


def test_collapsed_and_dead_codes_are_warned_of():
    rng = np.random.default_rng(0)
    bits = rng.random((500, 16)) < 0.5
    assert code_warnings(Codes.pack(bits), 500) == []
    few = code_warnings(Codes.pack(bits[rng.integers(0, 10, 500)]), 500)
    assert len(few) == 1
    assert "collapsed" in few[0]
    bits[:, 3], bits[:, 7] = False, True
    dead = code_warnings(Codes.pack(bits), 500)
    assert len(dead) == 1
    assert dead[0].startswith("codes: 2 of 16 bits")
    assert all(
        "another seed or, with a recipe (`hashret tune`), more epochs" in w for w in few + dead
    )


@pytest.mark.parametrize(("kind", "preset"), [("text", "dense"), ("vector", "towers")])
@pytest.mark.parametrize("n", [20, 99, 100])
def test_few_items_are_warned_of(kind, preset, n):
    features, _ = (grouped_words if kind == "text" else grouped_points)(n)
    _, report = train(features, kind, dataclasses.replace(QUICK, preset=preset, rounds=None))
    about_items = [warning for warning in report.warnings if "too few" in warning]
    assert len(about_items) == (n < 100)
    if about_items:
        assert about_items[0].startswith(f"only {n} items: too few to learn useful codes")
        assert "--rerank" in about_items[0]


def test_a_loss_that_is_not_finite_stops_training():
    points = grouped_points(20)[0] * np.float32(1e30)
    points[0, 0] = 3e38
    with pytest.MonkeyPatch.context() as patch:
        change(patch, "vector", "dense", input_scale=1.0)
        with pytest.raises(TrainingError, match="expected a finite loss"):
            train(points, "vector", QUICK)


def test_what_cannot_be_learned_from_is_refused():
    with pytest.raises(TrainingError, match="at least 2"):
        train(grouped_words(1)[0], "text", QUICK)
    points = grouped_points(5)[0]
    points[2, 2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        train(points, "vector", QUICK)


def test_unknown_names_list_the_known_ones():
    features = grouped_words(5)[0]
    with pytest.raises(
        UnknownKindError,
        match=r"preset: expected one of bernoulli, .*variational for items of kind text, got 'deep'",
    ):
        train(features, "text", dataclasses.replace(QUICK, preset="deep"))
    with pytest.raises(
        UnknownKindError, match=r"expected one of .*, variational for items of kind text"
    ):
        train(features, "text", dataclasses.replace(QUICK, preset="towers"))
    with pytest.raises(UnknownKindError, match="image, sequence, text, vector"):
        train(features, "sound", QUICK)


@pytest.mark.parametrize(
    "wrong",
    [{"n_bits": 12}, {"n_bits": 0}, {"n_bits": 520}, {"epochs": 0}, {"rounds": 0}, {"seed": -1}],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        TrainingOptions(**wrong)


def test_the_report_and_the_spec_are_json_both_ways():
    encoder, report = train(grouped_words(30)[0], "text", QUICK)
    written = json.loads(json.dumps(report.to_json()))
    assert written["options"]["n_bits"] == 16
    assert written["stages"][-1]["bit_balance"] == list(report.stages[-1].bit_balance)
    spec = json.loads(json.dumps(specs.to_json(encoder.spec)))
    assert specs.from_json(spec) == encoder.spec


def test_images_are_learned_by_convolutions_too():
    rng = np.random.default_rng(0)
    groups = np.arange(240) % 4
    patterns = rng.normal(size=(4, 8 * 8))
    pixels = (patterns[groups] + 0.7 * rng.normal(size=(240, 64))).astype(np.float32)
    options = dataclasses.replace(QUICK, preset="conv", epochs=20)
    with pytest.MonkeyPatch.context() as patch:
        # a mirrored random pattern is another pattern
        change(patch, "image", "conv", augmented=False, filters=(8, 8))
        encoder, report = train(pixels, "image", options, shape=(8, 8, 1))
    assert encoder.spec.kind == "conv"
    assert encoder.spec.filters == (8, 8)
    assert precision(encoder.encode(pixels), groups) > 0.8
    names = [stage.stage for stage in report.stages]
    learned = ["pre-train 1", "pre-train 2", "pre-train 3", "fine-tune"]
    assert names == ["patches", "views", "neighbours", *learned]
    again, _ = train(pixels[:40], "image", options, shape=(8, 8, 1))  # augmented
    assert again.encode(pixels).n_distinct() > 4


def test_codes_of_images_tell_what_they_look_like(monkeypatch):
    images, _ = stripes(400)
    options = dataclasses.replace(QUICK, epochs=30)
    change(monkeypatch, "image", "dense", hidden=(256,), learning_rate=0.01)
    looked, report = train(images, "image", options, shape=(16, 16, 1))
    blind, _ = train(images, "image", options)  # rows of numbers of unknown shape
    assert "views" in [stage.stage for stage in report.stages]
    others, groups = stripes(300, seed=1)  # than those learned from
    found = [precision(encoder.encode(others), groups) for encoder in (looked, blind)]
    assert found[0] > 0.9
    assert found[0] > found[1] + 0.08


def test_images_are_seen_by_their_patches_unless_told_otherwise():
    images, _ = stripes(400)
    options = dataclasses.replace(QUICK, preset=None, epochs=20)
    encoder, report = train(images, "image", options, shape=(16, 16, 1))
    assert encoder.spec.kind == "patches"
    assert report.options.preset == "patches"
    learned = [f"pre-train {layer}" for layer in (1, 2, 3)]
    names = ["patches", "views", "neighbours", *learned, "fine-tune"]
    assert [stage.stage for stage in report.stages] == names
    others, other_groups = stripes(300, seed=1)
    assert precision(encoder.encode(others), other_groups) > 0.95
    # what was reported of the codes is true of those that pixels get
    assert report.stages[-1].n_distinct == encoder.encode(images).n_distinct()


@pytest.mark.parametrize(
    ("preset", "shape"),
    [("conv", None), ("patches", None)] + [(p, (8, 8, 3)) for p in ("conv", "dense", "patches")],
)
def test_images_need_their_shape(preset, shape):
    with pytest.raises(ValueError, match="shape: expected"):
        train(
            np.ones((9, 64), np.float32),
            "image",
            dataclasses.replace(QUICK, preset=preset),
            shape=shape,
        )
