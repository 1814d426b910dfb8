"""Applying a dense encoder: the same bits whatever the way there, and clear errors."""

import dataclasses
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.arguments import resolve
from hashret.errors import DamagedError, PayloadError
from hashret.models import MODELS
from hashret.models import dense as apply
from hashret.models.dense import DenseEncoder
from hashret.sparse import SparseRows
from tests.models.encoders import as_sparse, random_encoder, random_sparse

pytestmark = pytest.mark.usefixtures("kernels")

ENCODER = random_encoder((300, 40, 24, 32), seed=1)
ROWS = random_sparse(150, 300, seed=2)
NORMALISED = random_encoder((300, 40, 24, 32), seed=1, normalised=True)
LATENT = random_encoder((300, 40, 24, 32), seed=1, normalised=True, n_latent=7)
LOGITS = ENCODER.logits(ROWS)

each = pytest.mark.parametrize(
    "encoder", [ENCODER, NORMALISED, LATENT], ids=["plain", "normalised", "latent"]
)


def squares_of(row):
    high = np.rint(row * 8) / 8
    rest = row - high
    parts = [math.fsum(part) for part in (high * high, high * rest, rest * rest)]
    return parts[0] + (2 * parts[1] + parts[2])


def plain(encoder, dense):
    """The same arithmetic in the most direct form, one product at a time."""
    spec, tensors = encoder.spec, encoder.tensors()
    outputs = []
    for row in dense:
        active = row.astype(np.float64) * spec.input_scale
        for layer, clamp in enumerate(spec.clamps):
            low = -clamp if layer == 0 else 0.0
            if spec.normalised and layer:
                active = np.rint(np.clip(active, -4096, 4096) * 65536) / 65536
                active = np.rint((active - math.fsum(active) / len(active)) * 65536) / 65536
                variance = squares_of(active) / len(active)
                active = active * (1 / math.sqrt(variance + 1e-5))
            active = np.rint(np.clip(active, low, clamp) * 65536) / 65536
            if layer == 0 and spec.n_latent:
                directions = tensors["latent.weight"].astype(np.float64)
                latent = np.array([math.fsum(active * column) for column in directions.T])
                latent = np.rint(np.clip(latent, -4096, 4096) * 65536) / 65536
                latent = latent * (1 / math.sqrt(squares_of(latent) + 1e-5))
                latent = np.rint(latent * 65536) / 65536
            if layer == len(spec.clamps) - 1 and spec.n_latent:
                active = np.concatenate([active, np.clip(latent, -clamp, clamp)])
            total = tensors[f"layers.{layer}.bias"].copy()
            for unit, weight in zip(active, tensors[f"layers.{layer}.weight"], strict=True):
                total += unit * weight.astype(np.float64)
            active = total
        outputs.append(active)
    return np.array(outputs)


@each
def test_logits_follow_the_definition_bit_for_bit(encoder):
    found = encoder.logits(ROWS.rows(0, 10))
    assert np.array_equal(found, plain(encoder, ROWS.to_dense()[:10]))


@pytest.mark.parametrize("encoder", [NORMALISED, LATENT], ids=["normalised", "latent"])
def test_what_is_normalised_says_nothing_of_how_loud_an_item_is(encoder):
    loud = ROWS.to_dense() * np.float32(8)
    near, same = encoder.logits(loud), encoder.logits(ROWS)
    assert np.abs(ENCODER.logits(loud) - LOGITS).max() > 100 * np.abs(near - same).max()
    assert np.abs(near - same).max() < 0.2 * np.abs(same).max()


def test_latent_coordinates_say_something_of_every_bit():
    tensors = LATENT.tensors()
    without = DenseEncoder.from_tensors(
        LATENT.spec, tensors | {"latent.weight": 0 * tensors["latent.weight"]}
    )
    assert (without.logits(ROWS) != LATENT.logits(ROWS)).all()
    empty = SparseRows(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 300)
    assert np.array_equal(without.logits(empty), LATENT.logits(empty))


@each
@settings(deadline=None, max_examples=40)
@given(order=st.permutations(range(150)), cuts=st.lists(st.integers(1, 149), max_size=6))
def test_batching_and_order_change_no_bit(encoder, order, cuts):
    edges = sorted({0, 150, *cuts})
    order = np.array(order)
    parts = [
        encoder.logits(ROWS.take(order[start:stop])) for start, stop in itertools.pairwise(edges)
    ]
    assert np.array_equal(np.concatenate(parts), encoder.logits(ROWS)[order])


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([(64, 16), (64, 8, 24), (64, 128, 128, 8)]),
    st.integers(0, 2**31),
    st.floats(0.01, 20.0),
    st.sampled_from([0.001, 1.0, 10.0, 1e5]),
    st.booleans(),
    st.integers(0, 5),
)
def test_gather_bulk_and_dense_paths_agree_bit_for_bit(
    widths, seed, scale, input_scale, normalised, n_latent
):
    more = {"normalised": normalised, "n_latent": n_latent if len(widths) > 2 else 0}
    encoder = random_encoder(widths, seed, min(scale, 40.0), input_scale, **more)
    rows = random_sparse(70, 64, seed)
    bulk = encoder.logits(rows)
    one_by_one = np.concatenate([encoder.logits(rows.rows(i, i + 1)) for i in range(70)])
    dense = encoder.logits(rows.to_dense())
    reordered = encoder.logits(rows.to_dense()[::-1])[::-1]
    assert np.array_equal(bulk, one_by_one)
    assert np.array_equal(bulk, dense)
    assert np.array_equal(bulk, reordered)


def test_tiles_change_no_bit(monkeypatch):
    monkeypatch.setattr(apply, "_TILE_ROWS", 7)
    assert np.array_equal(ENCODER.logits(ROWS), LOGITS)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_number_of_threads_changes_no_bit(threads):
    script = (
        "from tests.models.test_apply import ENCODER, LATENT, NORMALISED, ROWS, np\n"
        "import hashlib\n"
        "dense = np.hstack([e.logits(ROWS.to_dense()) for e in (ENCODER, NORMALISED, LATENT)])\n"
        "print(hashlib.sha256(dense.tobytes()).hexdigest())\n"
    )
    variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    import hashlib
    import os

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = np.hstack([e.logits(ROWS) for e in (ENCODER, NORMALISED, LATENT)])
    assert done.stdout.strip() == hashlib.sha256(expected.tobytes()).hexdigest()


@each
def test_extreme_features_are_clamped_not_lost(encoder):
    rows = as_sparse(np.where(np.eye(5, 300) > 0, np.float32(3e38), np.float32(0)))
    logits = encoder.logits(rows)
    assert np.isfinite(logits).all()
    assert np.array_equal(logits, plain(encoder, rows.to_dense()))


def test_a_row_without_features_has_the_code_of_the_biases():
    empty = SparseRows(np.zeros(2, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 300)
    assert np.array_equal(ENCODER.logits(empty), ENCODER.logits(np.zeros((1, 300), np.float32)))


def test_encode_is_the_sign_of_the_logits():
    codes = ENCODER.encode(ROWS)
    assert codes.n_bits == ENCODER.n_bits == 32
    assert np.array_equal(codes.bits, LOGITS > 0)
    assert 2 < codes.n_distinct() <= 150


def test_no_rows_give_no_codes():
    assert ENCODER.encode(ROWS.rows(0, 0)).packed.shape == (0, 4)
    assert ENCODER.encode(np.empty((0, 300), np.float32)).packed.shape == (0, 4)


def test_probabilities_say_which_side_and_how_surely():
    spec = dataclasses.replace(ENCODER.spec, logit_scale=1.702)
    encoder = DenseEncoder.from_tensors(spec, ENCODER.tensors())
    logits = np.array([[-1e9, -1.0, 0.0, 1.0, 1e9]])
    probabilities = encoder.probabilities(logits)
    assert probabilities.dtype == np.float32
    sure = 1 / (1 + np.exp(-1.702))
    assert probabilities[0] == pytest.approx([0, 1 - sure, 0.5, sure, 1], abs=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sparse", [True, False])
def test_features_that_are_not_finite_are_refused(bad, sparse):
    dense = ROWS.to_dense()[:3]
    dense[1, 5] = bad
    with pytest.raises(PayloadError, match="finite"):
        ENCODER.logits(as_sparse(dense) if sparse else dense)


@pytest.mark.parametrize("shape", [(3, 299), (300,), (1, 2, 300)])
def test_features_of_another_width_are_refused(shape):
    with pytest.raises(PayloadError, match=r"expected \(n, 300\)"):
        ENCODER.logits(np.zeros(shape, np.float32))


@each
def test_tensors_rebuild_the_encoder_without_a_copy(encoder):
    tensors = encoder.tensors()
    for tensor in tensors.values():
        tensor.flags.writeable = False
    rebuilt = resolve(MODELS, "dense", "model").from_tensors(encoder.spec, tensors)
    assert np.array_equal(rebuilt.logits(ROWS), encoder.logits(ROWS))
    assert rebuilt.tensors()["layers.0.weight"] is tensors["layers.0.weight"]


@pytest.mark.parametrize("name", ["layers.0.weight", "layers.2.bias", "latent.weight"])
def test_missing_or_misshapen_tensors_are_refused(name):
    spec, tensors = LATENT.spec, LATENT.tensors()
    with pytest.raises(DamagedError, match=name):
        DenseEncoder.from_tensors(spec, {k: v for k, v in tensors.items() if k != name})
    with pytest.raises(DamagedError, match=name):
        DenseEncoder.from_tensors(spec, tensors | {name: tensors[name][:-1]})
    with pytest.raises(DamagedError, match=name):
        DenseEncoder.from_tensors(spec, tensors | {name: tensors[name].astype(np.float16)})


@pytest.mark.parametrize(("hidden", "n_latent"), [((), 3), ((8,), -1)])
def test_latent_coordinates_need_a_hidden_layer_to_stand_beside(hidden, n_latent):
    with pytest.raises(ValueError, match="n_latent: expected 0, or more beside hidden layers"):
        dataclasses.replace(LATENT.spec, hidden=hidden, n_latent=n_latent)


def test_a_query_imports_neither_torch_nor_scipy():
    script = (
        "import sys\n"
        "from tests.models.encoders import random_encoder, random_sparse\n"
        "random_encoder((300, 40, 32)).encode(random_sparse(1, 300))\n"
        "print(*sorted({'torch', 'scipy', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
