"""What hidden units respond to: exact activations, and leaving out against plain loops."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.errors import CollectionError
from hashret.insight.meaning.units import units
from hashret.models.fixed_point import to_grid
from hashret.sparse import dense_rows, take_rows
from hashret.specs import VectorSpec
from indexer.cli import main
from tests.insight.conftest import PACKED, items_of, made
from tests.models.encoders import random_sparse
from tests.training.recipes import change_all

MODELS = {
    ("vector", "dense"): {"store_features": True},
    ("image", "patches"): {"store_images": True},
    ("text", "variational"): {},
}
N = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, hidden=(9, 7))
        root = tmp_path_factory.mktemp("units")
        for (kind, preset), keep in MODELS.items():
            made(root / kind, kind, preset, items_of(kind, preset, N), **keep)
        made(root / "linear", "text", "dense", items_of("text", "dense", N))
        packed = VectorSpec(packed=True)
        made(
            root / "packed",
            "vector",
            PACKED,
            items_of("vector", PACKED, N),
            packed,
            store_features=True,
        )
    return root


@pytest.fixture(params=MODELS, ids=lambda pair: "-".join(pair))
def opened(request, folder):
    """A collection, its coder, and the features of its items in the order of its codes."""
    kind = request.param[0]
    items = {one.id: one for one in items_of(*request.param, N)}
    with Collection.open(folder / kind) as collection:
        coder = collection.coder
        prepared = [coder.prepare(items[one].payload) for one in collection.ids()]
        yield collection, coder, coder.features(prepared)[0], prepared


def test_activations_are_what_the_logits_are_made_of(opened):
    _, coder, features, _ = opened
    encoder = coder.encoder
    hidden = encoder.activations(features)
    assert [layer.shape for layer in hidden] == [(N, 9), (N, 7)]
    tensors = encoder.tensors()
    for layer in hidden:
        assert (layer >= 0).all()
        assert np.array_equal(layer, to_grid(layer))
    if not getattr(encoder.spec, "n_latent", 0):
        logits = hidden[1] @ tensors["layers.2.weight"].astype(np.float64)
        assert np.array_equal(logits + tensors["layers.2.bias"], encoder.logits(features))
    if not getattr(encoder.spec, "normalised", False):
        sums = hidden[0] @ tensors["layers.1.weight"].astype(np.float64)
        sums = np.clip(sums + tensors["layers.1.bias"], 0.0, encoder.spec.clamps[2])
        assert np.array_equal(to_grid(sums), hidden[1])
    for row in (0, 17):  # the same one by one
        alone = encoder.activations(take_rows(features, np.array([row])))
        for layer, one in zip(hidden, alone, strict=True):
            assert np.array_equal(layer[[row]], one)


def random_dense(n, n_features):
    return np.random.default_rng(1).standard_normal((n, n_features)).astype(np.float32)


@pytest.mark.parametrize("rows", [random_sparse, random_dense])
def test_many_rows_are_many_tiles(rows):
    from hashret.models.dense import DenseEncoder
    from hashret.specs.encoders import DenseSpec

    rng = np.random.default_rng(0)
    weights = [to_grid(rng.standard_normal(s)).astype(np.float32) for s in ((20, 6), (6, 8))]
    spec = DenseSpec(20, 8, (6,), clamps=(64.0, 64.0))
    encoder = DenseEncoder(spec, weights, [np.zeros(6), np.zeros(8)])
    features = rows(1200, 20)
    (hidden,) = encoder.activations(features)
    inputs = to_grid(np.asarray(dense_rows(features), np.float64))
    assert np.array_equal(hidden, to_grid(np.clip(inputs @ weights[0].astype(np.float64), 0, 64)))
    assert encoder.activations(rows(0, 20))[0].shape == (0, 6)


def test_units_by_plain_loops(opened):
    collection, coder, features, prepared = opened
    found = units(collection)
    assert (len(found.units), found.n_items, found.n_left_out) == (16, N, N)
    assert [one.unit for one in found.units] == list(range(16))
    assert [one.layer for one in found.units] == [1] * 9 + [2] * 7
    hidden = np.hstack(coder.encoder.activations(features))
    logits = coder.encoder.logits(features)
    ids = collection.ids()
    sums, counts = {}, {}
    for i in range(N):
        own = take_rows(features, np.array([i]))
        left = coder.featurizer.left_out(prepared[i], own, 10_000)
        without = np.hstack(coder.encoder.activations(left.features))
        for j, part in enumerate(left.parts):
            moved = (hidden[i] - without[j]) * left.signs[j]
            key = str(part).lower()
            sums[key] = sums.get(key, 0.0) + moved * (hidden[i] > 0)
            counts[key] = counts.get(key, 0) + (hidden[i] > 0)
    for one in found.units:
        own = hidden[:, one.unit]
        spread = own.std() or 1.0
        assert one.active == pytest.approx((own > 0).mean())
        order = sorted(range(N), key=lambda i: (-own[i], i))[:10]
        assert [item.id for item in one.items] == [ids[i] for i in order if own[i] > 0]
        for item in one.items:
            assert item.activation == pytest.approx(own[ids.index(item.id)] / spread)
            assert item.preview == collection.get(item.id).preview
        weights = {k: v[one.unit] / spread / (counts[k][one.unit] + 5) for k, v in sums.items()}
        best = sorted((w for w in weights.values() if w > 0), reverse=True)[:10]
        assert [t.weight for t in one.turned_on_by] == pytest.approx(best, rel=1e-6)
        for bit, value in one.bits:
            if own.std() and logits[:, bit].std():
                assert value == pytest.approx(np.corrcoef(own, logits[:, bit])[0, 1], abs=1e-9)
        assert len(one.bits) == 5
        sizes = [abs(value) for _, value in one.bits]
        assert sizes == sorted(sizes, reverse=True)


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == code, done.output
    return done


def test_the_command_line_tells_of_units(folder):
    with Collection.open(folder / "text") as collection:
        found = units(collection)
    rows = run("bits", folder / "text", "--units").stdout.split("\n\n")[1].splitlines()
    assert len(rows) == 1 + 16
    busy = max(found.units, key=lambda one: one.active)
    assert str(busy.turned_on_by[0].part) in rows[1 + busy.unit]
    detail = run("bits", folder / "text", "--unit", busy.unit).stdout
    assert detail.startswith(f"unit {busy.unit}, of layer {busy.layer}, is active in ")
    assert all(item.id in detail for item in busy.items)
    assert json.loads(run("bits", folder / "text", "--units", "--json").stdout) == found.to_json()
    one = json.loads(run("bits", folder / "text", "--unit", 3, "--json").stdout)
    assert one == found.to_json(3)
    assert "expected 0 to 15, got 16" in run("bits", folder / "text", "--unit", 16, code=2).output
    assert (
        "--bit: expected no" in run("bits", folder / "text", "--units", "--bit", 1, code=2).output
    )


def test_pictures_are_told_by_their_items(folder):
    with Collection.open(folder / "image") as collection:
        found = units(collection)
    rows = run("bits", folder / "image", "--units").stdout.split("\n\n")[1].splitlines()[1:]
    for one, row in zip(found.units, rows, strict=True):
        assert all(item.id in row for item in one.items[:2])


@pytest.mark.parametrize("name", ["linear", "packed"])
def test_a_model_without_hidden_units_says_so(folder, name):
    wanted = pytest.raises(CollectionError, match="expected a model with hidden units")
    with Collection.open(folder / name) as collection, wanted:
        units(collection)
    assert "ask for its bits instead" in run("bits", folder / name, "--units", code=1).stderr
