"""Applying a dense encoder: the same bits whatever the way there, and clear errors."""

import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.errors import DamagedError, PayloadError
from hashret.models import MODELS, apply
from hashret.models.apply import DenseEncoder
from hashret.registry import resolve
from hashret.sparse import SparseRows
from tests.models.encoders import as_sparse, random_encoder, random_sparse

ENCODER = random_encoder((300, 40, 24, 32), seed=1)
ROWS = random_sparse(150, 300, seed=2)
LOGITS = ENCODER.logits(ROWS)


def plain(encoder, dense):
    """The same arithmetic in the most direct form, one product at a time."""
    spec, tensors = encoder.spec, encoder.tensors()
    outputs = []
    for row in dense:
        active = row.astype(np.float64) * spec.input_scale
        for layer, clamp in enumerate(spec.clamps):
            low = -clamp if layer == 0 else 0.0
            active = np.rint(np.clip(active, low, clamp) * 65536) / 65536
            total = tensors[f"layers.{layer}.bias"].copy()
            for unit, weight in zip(active, tensors[f"layers.{layer}.weight"], strict=True):
                total += unit * weight.astype(np.float64)
            active = total
        outputs.append(active)
    return np.array(outputs)


def test_logits_follow_the_definition_bit_for_bit():
    assert np.array_equal(LOGITS[:10], plain(ENCODER, ROWS.to_dense()[:10]))


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(150)), st.lists(st.integers(1, 149), max_size=6))
def test_batching_and_order_change_no_bit(order, cuts):
    edges = sorted({0, 150, *cuts})
    order = np.array(order)
    parts = [
        ENCODER.logits(ROWS.take(order[start:stop])) for start, stop in itertools.pairwise(edges)
    ]
    assert np.array_equal(np.concatenate(parts), LOGITS[order])


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([(64, 16), (64, 8, 24), (64, 128, 128, 8)]),
    st.integers(0, 2**31),
    st.floats(0.01, 20.0),
    st.sampled_from([0.001, 1.0, 10.0, 1e5]),
)
def test_gather_bulk_and_dense_paths_agree_bit_for_bit(widths, seed, scale, input_scale):
    encoder = random_encoder(widths, seed, min(scale, 40.0), input_scale)
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
        "from tests.models.test_apply import ENCODER, ROWS\n"
        "import hashlib\n"
        "dense = ENCODER.logits(ROWS.to_dense())\n"
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
    assert done.stdout.strip() == hashlib.sha256(LOGITS.tobytes()).hexdigest()


def test_extreme_features_are_clamped_not_lost():
    rows = as_sparse(np.where(np.eye(5, 300) > 0, np.float32(3e38), np.float32(0)))
    logits = ENCODER.logits(rows)
    assert np.isfinite(logits).all()
    assert np.array_equal(logits, plain(ENCODER, rows.to_dense()))


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


def test_tensors_rebuild_the_encoder_without_a_copy():
    tensors = ENCODER.tensors()
    for tensor in tensors.values():
        tensor.flags.writeable = False
    rebuilt = resolve(MODELS, "dense", "model").from_tensors(ENCODER.spec, tensors)
    assert np.array_equal(rebuilt.logits(ROWS), LOGITS)
    assert rebuilt.tensors()["layers.0.weight"] is tensors["layers.0.weight"]


@pytest.mark.parametrize("name", ["layers.0.weight", "layers.2.bias"])
def test_missing_or_misshapen_tensors_are_refused(name):
    tensors = ENCODER.tensors()
    with pytest.raises(DamagedError, match=name):
        DenseEncoder.from_tensors(ENCODER.spec, {k: v for k, v in tensors.items() if k != name})
    with pytest.raises(DamagedError, match=name):
        DenseEncoder.from_tensors(ENCODER.spec, tensors | {name: tensors[name][:-1]})
    with pytest.raises(DamagedError, match=name):
        DenseEncoder.from_tensors(ENCODER.spec, tensors | {name: tensors[name].astype(np.float16)})


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
