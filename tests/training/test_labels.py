"""Labels choose neighbours and are told by codes, where there are some, and only if they are given."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hashret import Collection, Item
from hashret.codes import hamming
from hashret.errors import InputError
from indexer import Indexer
from indexer.cli import main
from indexer.dry_run import Rehearsal
from indexer.training import TrainingOptions, train
from indexer.training.labels.head import LabelsTerm
from indexer.training.labels.item_labels import ItemLabels, numbered
from indexer.training.labels.suggested import suggested_labels
from indexer.training.neighbours.neighbourhoods import Neighbourhoods
from indexer.training.objectives import CodedBatch, Mixture
from indexer.training.parts import Labels as Settings
from indexer.training.presets import PRESETS
from indexer.training.training_set import TrainingSet
from tests.corpora import clustered_vectors
from tests.models.encoders import as_sparse
from tests.training.corpora import as_taken, grouped_points
from tests.training.recipes import change_all

OPTIONS = TrainingOptions(n_bits=16, seed=1, device="cpu")


@pytest.fixture(autouse=True, scope="module")
def small_networks():
    """The recipes with small hidden layers and few steps: the same code, quickly."""
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, hidden=(32,), least_steps=150)
        yield


def contrary_words(n, seed):
    """Texts of six groups of words, and labels that four other words each tell: a minority."""
    rng = np.random.default_rng(seed)
    groups, labels = rng.integers(0, 6, n), rng.integers(0, 2, n)
    dense = np.zeros((n, 6 * 15 + 16), np.float32)
    for row in range(n):
        dense[row, 15 * groups[row] + rng.choice(15, 8, replace=False)] = 1.0
        dense[row, 90 + 8 * labels[row] + rng.choice(8, 3, replace=False)] = 1.0
    return as_sparse(dense / np.linalg.norm(dense, axis=1, keepdims=True)), labels


def precision(encoder, asked, asked_labels, features, labels, k=20):
    """The share of the k nearest that have the label of what is asked, ties in expectation."""
    distances = hamming(encoder.encode(asked), encoder.encode(features)).astype(float)
    distances += np.random.default_rng(0).random(distances.shape)
    nearest = np.argsort(distances, axis=1)[:, :k]
    return float((labels[nearest] == asked_labels[:, None]).mean())


def some(labels, share, seed=0):
    """The labels of a share of the items, -1 for the others."""
    hidden = np.random.default_rng(seed).random(len(labels)) >= share
    return np.where(hidden, -1, labels)


def test_labels_win_over_neighbours_by_features_and_a_few_help():
    features, labels = contrary_words(600, 0)
    unseen = contrary_words(150, 1)
    found = {}
    for share in (0.0, 0.15, 1.0):
        known = some(labels, share) if share else None
        encoder, report = train(features, "text", OPTIONS, labels=known)
        found[share] = precision(encoder, *unseen, features, labels)
        assert report.n_labelled == (None if known is None else (known >= 0).sum())
    assert found[0.0] < 0.65  # chance is .5: the features' groups are others
    assert found[0.15] > found[0.0] + 0.1
    assert found[1.0] > 0.9


@pytest.mark.parametrize(
    ("kind", "preset"),
    [(kind, name) for kind, rows in PRESETS.items() for name, row in rows.items()],
)
def test_every_preset_learns_from_labels_or_says_that_it_can_not(kind, preset):
    options = TrainingOptions(n_bits=16, device="cpu", preset=preset, epochs=2)
    features, groups = grouped_points(120, n_features=64)
    shape = (8, 8, 1) if kind == "image" else None
    ordering = None
    if kind in ("text", "sequence"):
        words, groups = contrary_words(120, 0)
        features, ordering = as_taken(words, kind, preset)
    named = PRESETS[kind][preset]
    if named.trainer != "autoencoder":
        with pytest.raises(ValueError, match=f"label: expected none with the preset '{preset}'"):
            train(features, kind, options, labels=groups)
        return
    how = {"shape": shape, "ordering": ordering}
    encoder, _ = train(features, kind, options, labels=groups, **how)
    plain, _ = train(features, kind, options, **how)
    # the head is not exported
    shapes = {name: one.shape for name, one in encoder.tensors().items()}
    assert shapes == {name: one.shape for name, one in plain.tensors().items()}
    assert (encoder.logits(features) != plain.logits(features)).any()


def test_the_loss_is_that_of_its_definition_and_unlabelled_items_cost_nothing():
    labels = np.array([2, -1, 0, 1, -1, 2])
    items = TrainingSet(np.zeros((6, 3), np.float32), labels=labels)
    term = LabelsTerm(Settings(0.5), items, 4, torch.device("cpu"))
    weight, bias = term.parameters()
    assert weight.shape == (4, 3)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        weight.copy_(torch.from_numpy(rng.standard_normal((4, 3))))
        bias.copy_(torch.from_numpy(rng.standard_normal(3)))
    code = torch.from_numpy(rng.random((5, 4))).float().requires_grad_()
    rows = np.array([5, 1, 2, 4, 3])

    def loss_of(some):
        mixture = Mixture(None, 0.0, 1, rng)
        return term(CodedBatch(rows[some], code[some], mixture, lambda rows: code))

    scores = (2 * code - 1) @ weight + bias
    expected = -torch.log_softmax(scores, 1)[[0, 2, 4], labels[rows[[0, 2, 4]]]].mean() / 2
    found = loss_of(np.arange(5))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    found.backward()
    assert not code.grad[[1, 3]].any()
    assert code.grad[[0, 2, 4]].all()
    assert loss_of(np.array([1, 3])).item() == 0.0


@given(st.lists(st.integers(-1, 4), min_size=2, max_size=40), st.integers(0, 9))
def test_a_labelled_item_has_neighbours_of_its_label_only(labels, seed):
    rng = np.random.default_rng(seed)
    labels = np.array(labels)
    n = len(labels)
    members = np.array(
        [[rng.choice(np.delete(np.arange(n), i)) for _ in range(5)] for i in range(n)]
    )
    near = Neighbourhoods(members, 5).labelled(labels, rng)
    for row in range(n):
        own = near.members[row]
        if labels[row] < 0:
            assert (own == members[row]).all()
        elif (labels == labels[row]).sum() > 1:
            assert (labels[own] == labels[row]).all()
            assert row not in own
        else:
            assert ((own == row) | (labels[own] < 0)).all()
    alike = near.are_near(np.arange(n))
    known = labels >= 0
    both = known[:, None] & known
    same = labels[:, None] == labels
    assert (alike[both] == same[both]).all()  # never of different labels, always of the same
    assert (alike == alike.T).all()


def test_few_labels_suggest_those_of_other_items_as_all_scores_would():
    points, groups = grouped_points(300)
    labels = some(groups, 0.15)
    found = suggested_labels(points, labels)
    assert found.shape == points.shape
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    cosines = unit @ unit.T
    same = groups[:, None] == groups
    hidden = labels < 0
    assert cosines[hidden][:, hidden][same[hidden][:, hidden]].mean() > 0.8
    assert cosines[hidden][:, hidden][~same[hidden][:, hidden]].mean() < 0.1
    # brute force: the scores of all classes by ridge regression
    seen = points[labels >= 0].astype(np.float64)
    centred = seen - seen.mean(axis=0)
    wanted = np.eye(4)[labels[labels >= 0]]
    ridge = 60.0 * centred.var(axis=0).mean()
    weights = np.linalg.solve(
        centred.T @ centred + ridge * np.eye(points.shape[1]), centred.T @ wanted
    )
    scores = (points - seen.mean(axis=0)) @ weights
    np.testing.assert_allclose(found @ found.T, scores @ scores.T, rtol=1e-6, atol=1e-9)


def test_more_classes_than_coordinates_take_no_more_memory():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((400, 3)).astype(np.float32)
    assert suggested_labels(rows, np.arange(400) // 2).shape == (400, 3)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros(40, np.int64), "two classes or more"),
        (np.full(40, -1), "two classes or more"),
        (np.arange(39), "whole numbers"),
        (np.linspace(0, 1, 40), "whole numbers"),
        (np.array(["a", "b"] * 20), "np.unique"),
        (np.array([10**9, 0] * 20), "below 40"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, said):
    with pytest.raises(ValueError, match=said):
        train(grouped_points(40)[0], "image", TrainingOptions(8, preset="dense"), labels=labels)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=2), st.floats(0, 2)),
    lambda inner: st.lists(inner, max_size=2),
)


@given(st.lists(VALUES, max_size=30))
def test_each_value_is_a_class_and_nothing_is_an_unknown_label(values):
    found = numbered(values, {})
    for value, number in zip(values, found, strict=True):
        blank = value is None or value == [] or (isinstance(value, str) and not value.strip())
        assert (number < 0) == blank
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            if min(found[i], found[j]) >= 0:
                same = json.dumps(one) == json.dumps(other)
                assert (found[i] == found[j]) == same


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([None] * 1000, "of which none has a value; choose one of 'a', 'b', or"),
        ([*[None] * 999, "x"], "got 1 for 1 of 1,000 items"),
        (["x"] * 50, "got 1 for 50 of 50 items"),
        ([str(i) for i in range(50)], r"a different one for each of 50 items \(an id\?\)"),
        ([*["x"] * 10, "y"], "got 2 for 11 of 11 items"),
    ],
)
def test_a_field_that_says_nothing_is_refused(values, said):
    labels = ItemLabels("f", numbered(values, {}))
    with pytest.raises(InputError, match=said):
        labels.require_learnable({"b", "a"})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([*["x", "y"] * 10, *[None] * 980], "20 of 1,000 items have one: few"),
        ([*[str(i // 2) for i in range(100)]], "100 of 100 items have one of 50 values"),
        ([1, 2, True, [1, 2], [2, 1]] * 5, None),
    ],
)
def test_doubtful_labels_are_warned_of(values, said):
    labels = ItemLabels("f", numbered(values, {}))
    labels.require_learnable()
    warnings = labels.warnings()
    assert (said in warnings[0]) if said else not warnings


def texts(n, labelled=1.0, seed=0):
    """Items with a text of one of two themes, and a label that tells it for a share of them."""
    rng = np.random.default_rng(seed)
    words = [[f"{theme}word{i}" for i in range(12)] for theme in "ab"]
    items = []
    for i in range(n):
        theme = i % 2
        text = " ".join([*rng.choice(words[theme], 6), *rng.choice([*words[0], *words[1]], 3)])
        metadata = {"n": i, "theme": "ab"[theme]} if rng.random() < labelled else {"n": i}
        items.append(Item(str(i), text, metadata))
    return items


def learned(path, items, options, **keep):
    notes = []
    with Indexer(path, "text", workers=1, on_note=notes.append, **keep) as indexer:
        report = indexer.fit(items, options)
        indexer.add(items)
        indexer.commit()
    return report, notes


def codes_of(path):
    with Collection.open(path) as collection:
        return collection.codes.packed.tobytes()


def test_labels_are_looked_at_only_where_they_are_asked_for(tmp_path):
    items = texts(200)
    learned(tmp_path / "plain", [Item(one.id, one.payload) for one in items], OPTIONS)
    learned(tmp_path / "with", items, OPTIONS)
    assert codes_of(tmp_path / "plain") == codes_of(tmp_path / "with")
    asked = TrainingOptions(n_bits=16, seed=1, device="cpu", label="theme")
    report, notes = learned(tmp_path / "asked", items, asked)
    assert (report.n_labelled, report.n_classes) == (200, 2)
    assert "learning from labels too: 200 of 200 items have one of 2 values of 'theme'" in notes
    assert codes_of(tmp_path / "asked") != codes_of(tmp_path / "plain")


def test_an_item_that_is_left_out_takes_its_label_along(tmp_path, monkeypatch):
    """Empty texts and refused ones lie between: labels stay those of their items."""
    items = texts(120)
    mixed = [one for item in items for one in (item, Item(f"{item.id}e", " ", {"theme": "zzz"}))]
    seen = []
    monkeypatch.setattr(
        "indexer.training.trainer.AutoencoderTrainer.__init__",
        lambda self, found, *rest: seen.append(found) or 1 / 0,
    )
    with Indexer(tmp_path / "c", "text", workers=1) as indexer, pytest.raises(ZeroDivisionError):
        indexer.fit(mixed, TrainingOptions(n_bits=16, label="theme"))
    assert seen[0].labels.tolist() == [i % 2 for i in range(120)]
    assert len(seen[0].features) == 120


def test_stored_features_are_learned_from_with_their_labels(tmp_path):
    rows = clustered_vectors(90)
    items = [Item(str(i), row, {"c": i % 3} if i % 2 else {}) for i, row in enumerate(rows)]
    options = TrainingOptions(n_bits=16, preset="dense", device="cpu", epochs=1)
    with Indexer(tmp_path / "c", "vector", store_features=True, workers=1) as indexer:
        indexer.fit(items, options)
        indexer.add(items)
        indexer.commit()
    with Indexer(tmp_path / "c", workers=1) as indexer:
        with pytest.raises(InputError, match="choose one of 'c', or"):
            indexer.fit(None, TrainingOptions(n_bits=16, preset="dense", device="cpu", label="d"))
        asked = TrainingOptions(n_bits=16, preset="dense", device="cpu", label="c", epochs=1)
        report = indexer.fit(None, asked)
        indexer.commit()
    assert (report.n_labelled, report.n_classes) == (45, 3)


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def ok(*arguments):
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done


def test_the_command_line_from_the_table_to_the_score(tmp_path):
    items, asked = texts(160, labelled=0.3), texts(30, seed=1)
    for name, rows in (("d.jsonl", items), ("q.jsonl", asked)):
        lines = [json.dumps({"id": f"{name}{i.id}", "text": i.payload, **i.metadata}) for i in rows]
        (tmp_path / name).write_text("\n".join(lines))
    at, source = tmp_path / "c", tmp_path / "d.jsonl"
    bare = ok("index", source, "--to", at, "--bits", 16)
    assert "label" not in bare.stderr
    assert "labels" not in json.loads(ok("info", at, "--json").stdout)["model"]
    done = run("index", source, "--to", at, "--label", "theme")
    assert "was made with no labels; --label 'theme' needs --retrain" in done.stderr
    done = ok("index", source, "--to", at, "--label", "theme", "--bits", 16, "--retrain")
    n_known = sum("theme" in one.metadata for one in items)
    assert f"{n_known} of 160 items have one of 2 values of 'theme'" in done.stderr
    assert "160 unchanged" in ok("index", source, "--to", at, "--label", "theme").stdout
    assert json.loads(ok("info", at, "--json").stdout)["model"]["labels"] == "theme"
    scored = ok("evaluate", at, "--label", "theme", "-k", 10, "--queries", tmp_path / "q.jsonl")
    assert "note: the model has learned from the items' labels (theme)" in scored.stderr
    scored = ok("evaluate", at, "--label", "theme", "-k", 10, "--json")
    assert "figures are too good" in json.loads(scored.stdout)["note"]
    other = ok("evaluate", at, "--label", "n", "-k", 2, "--queries", tmp_path / "q.jsonl")
    assert "learned" not in other.stderr
    done = ok("retrain", at, "--bits", 16)
    assert "the model before learned from labels too (theme), this one will not" in done.stderr
    assert "labels" not in json.loads(ok("info", at, "--json").stdout)["model"]
    before = codes_of(at)
    for wrong, said in [("nix", "choose one of 'n', 'theme', or"), ("n", "(an id?)")]:
        done = run("retrain", at, "--label", wrong)
        assert (done.exit_code, said in done.stderr) == (1, True), done.stderr
    assert codes_of(at) == before
    ok("retrain", at, "--bits", 16, "--label", "theme")


def test_a_rehearsal_says_what_is_wrong_with_the_labels(tmp_path):
    items = texts(60)
    with Rehearsal(tmp_path / "c", "text") as rehearsal, pytest.raises(InputError, match="an id"):
        rehearsal.fit(items, TrainingOptions(label="n"))
    sparse = [Item(i.id, i.payload, i.metadata if int(i.id) < 4 else {}) for i in items * 2]
    with Rehearsal(tmp_path / "c", "text") as rehearsal:
        rehearsal.fit(sparse, TrainingOptions(label="theme"))
        assert any("label: 8 of 120 items have one" in said for said in rehearsal.warnings)


def test_vectors_by_distances_alone_take_no_label(tmp_path):
    np.save(tmp_path / "v.npy", clustered_vectors(40))
    done = run("index", tmp_path / "v.npy", "--to", tmp_path / "c", "--label", "c")
    assert done.exit_code == 2
    assert "take the preset 'dense'" in done.stderr
