"""The recursive and the recurrent encoder: exact, whatever the batch, and as they are defined."""

import dataclasses
import hashlib
import itertools
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret import specs
from hashret.arguments import resolve
from hashret.errors import DamagedError, PayloadError
from hashret.models import MODELS
from tests.models.sequences import (
    in_order,
    random_recurrent,
    random_recursive,
    random_series,
    random_tokens,
)

N, LONGEST = 60, 33
#: An encoder of each kind, of tokens, of numbers, and of tokens behind a bag; and rows for it.
CASES = {
    f"{name}-{what}": (
        make(longest=LONGEST, **of),
        in_order(items, LONGEST, of.get("width", 1), of.get("before", 0)),
    )
    for name, make in (("recursive", random_recursive), ("recurrent", random_recurrent))
    for what, of, items in (
        ("tokens", {"n_tokens": 20}, random_tokens(N, LONGEST, 20)),
        ("numbers", {"width": 3}, random_series(N, LONGEST, 3)),
        ("words", {"n_tokens": 20, "before": 4}, random_tokens(N, LONGEST, 20, 1)),
    )
}
each = pytest.mark.parametrize(("encoder", "rows"), CASES.values(), ids=CASES)


def rounded(value):
    """The nearest multiple of 2^-16, halves to even."""
    return Fraction(round(value * 65536), 65536)


def clipped(value, low, high):
    return min(max(value, Fraction(low)), Fraction(high))


def affine(inputs, weight, bias):
    """Inputs of fractions times (n_in, n_out), plus a bias; nothing is rounded."""
    return [
        sum(
            (x * Fraction(float(w)) for x, w in zip(inputs, column, strict=True)),
            Fraction(float(b)),
        )
        for column, b in zip(weight.T, bias, strict=True)
    ]


def steps_in(encoder, item):
    """The steps of an item as fractions on the grid: vectors of tokens, or numbers."""
    spec, tensors = encoder.spec, encoder.tensors()
    if spec.n_tokens:
        return [
            [Fraction(float(one)) for one in tensors["step.vectors"][int(token)]] for token in item
        ]
    return [
        [
            rounded(
                clipped(Fraction(float(np.float32(x)) * 1.5), -spec.step_clamp, spec.step_clamp)
            )
            for x in step
        ]
        for step in item.reshape(-1, spec.width)
    ]


def tree(encoder, item):
    """The root, one pair after the other."""
    spec, tensors = encoder.spec, encoder.tensors()

    def node(sums):
        return [rounded(clipped(one, 0, spec.node_clamp)) for one in sums]

    row = steps_in(encoder, item)
    if not spec.n_tokens:
        row = [affine(step, tensors["step.weight"], tensors["step.bias"]) for step in row]
    row = [node(one) for one in row]
    while len(row) > 1:
        pairs = zip(row[::2], row[1::2], strict=False)
        joined = [
            node(affine(a + b, tensors["cell.weight"], tensors["cell.bias"])) for a, b in pairs
        ]
        row = joined + row[len(row) - len(row) % 2 :]
    return row[0]


def cell(encoder, item):
    """The last state and the mean of all, one step after the other."""
    spec, tensors = encoder.spec, encoder.tensors()
    state = [Fraction(0)] * spec.n_units
    total = list(state)
    steps = steps_in(encoder, item)
    for step in steps:
        step = [clipped(x, -spec.step_clamp, spec.step_clamp) for x in step]
        sums = affine(step + state, tensors["cell.weight"], tensors["cell.bias"])
        gates, candidates = sums[: spec.n_units], sums[spec.n_units :]
        gates = [clipped(rounded(g / 4) + Fraction(1, 2), 0, 1) for g in gates]
        candidates = [clipped(rounded(c), -1, 1) for c in candidates]
        state = [rounded(c + g * (h - c)) for g, c, h in zip(gates, candidates, state, strict=True)]
        total = [a + b for a, b in zip(total, state, strict=True)]
    return state + [rounded(Fraction(float(one) / len(steps))) for one in total]


def by_hand(encoder, item):
    return [
        float(one) for one in (tree if "node_clamp" in dir(encoder.spec) else cell)(encoder, item)
    ]


@pytest.mark.parametrize("make", [random_recursive, random_recurrent])
@pytest.mark.parametrize("of", [{"n_tokens": 20}, {"width": 2}, {"n_tokens": 5, "before": 3}])
def test_every_length_follows_the_definition_in_fractions(make, of):
    encoder, width = make(longest=LONGEST, **of), of.get("width", 1)
    rng = np.random.default_rng(3)
    most = of.get("n_tokens", 0)
    items = [
        rng.integers(0, most + 1, n) if most else rng.standard_normal((n, width)).astype(np.float32)
        for n in range(1, LONGEST + 1)
    ]
    found = encoder.summaries(in_order(items, LONGEST, width, of.get("before", 0)))
    for item, summary in zip(items, found, strict=True):
        assert by_hand(encoder, item) == summary.tolist(), len(item)


@each
@settings(deadline=None, max_examples=25)
@given(order=st.permutations(range(N)), cuts=st.lists(st.integers(1, N - 1), max_size=6))
def test_batching_and_order_change_no_bit(encoder, rows, order, cuts):
    edges = sorted({0, N, *cuts})
    order = np.array(order)
    parts = [encoder.logits(rows.take(order[a:b])) for a, b in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), encoder.logits(rows)[order])


@each
def test_one_by_one_is_as_all_together(encoder, rows):
    alone = [encoder.logits(rows.rows(i, i + 1)) for i in range(N)]
    assert np.array_equal(np.concatenate(alone), encoder.logits(rows))


@pytest.mark.parametrize("module", ["recursive", "recurrent"])
def test_tiles_change_no_bit(module, monkeypatch):
    encoder, rows = CASES[f"{module}-tokens"]
    expected = encoder.logits(rows)
    monkeypatch.setattr(f"hashret.models.{module}._TILE_ITEMS", 7)
    assert np.array_equal(encoder.logits(rows), expected)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_number_of_threads_changes_no_bit(threads):
    script = "from tests.models.test_sequences import digest\nprint(digest())\n"
    variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest()


def digest():
    """A digest of logits by cells that are wide enough for BLAS to part the work."""
    items = random_tokens(300, 64, 50, 8)
    rows = in_order(items, 64)
    wide = [make(50, longest=64, n_units=64) for make in (random_recursive, random_recurrent)]
    logits = np.hstack([encoder.logits(rows) for encoder in wide])
    return hashlib.sha256(logits.tobytes()).hexdigest()


@each
def test_order_matters_and_the_last_step_too(encoder, rows):
    first = rows.rows(0, 1)
    begin = encoder.spec.first
    turned = first.values.copy()
    turned[begin:] = turned[begin:].reshape(-1, encoder.spec.width)[::-1].ravel()
    other = dataclasses.replace(first, values=turned)
    assert (encoder.logits(other) != encoder.logits(first)).any()
    turned = first.values.copy()
    turned[-1] = 1.0 if turned[-1] != 1.0 else 2.0
    other = dataclasses.replace(first, values=turned)
    assert (encoder.logits(other) != encoder.logits(first)).any()


@pytest.mark.parametrize("name", ["recursive-words", "recurrent-words"])
def test_the_bag_before_the_steps_changes_nothing(name):
    encoder, rows = CASES[name]
    values = rows.values.copy()
    values[rows.indices < encoder.spec.first] = 0.25
    assert np.array_equal(
        encoder.logits(dataclasses.replace(rows, values=values)), encoder.logits(rows)
    )


@each
def test_an_item_without_steps_has_the_code_of_nothing(encoder, rows):
    width, before = encoder.spec.width, encoder.spec.first
    empty = in_order([[], np.ones((2, width)), []], LONGEST, width, before)
    logits = encoder.logits(empty)
    assert np.array_equal(logits[0], logits[2])
    assert not encoder.summaries(empty)[0].any()
    assert encoder.logits(empty.rows(0, 0)).shape == (0, 16)


@pytest.mark.parametrize("name", ["recursive-numbers", "recurrent-numbers"])
def test_extreme_numbers_are_clamped_and_stay_exact(name):
    encoder, _ = CASES[name]
    items = [np.full((n, 3), value) for n in (1, 5, 33) for value in (3e38, -3e38, 1e9)]
    logits = encoder.logits(in_order(items, LONGEST, 3))
    assert np.isfinite(logits).all()
    found = encoder.summaries(in_order(items, LONGEST, 3))
    assert np.array_equal(found * 65536, np.rint(found * 65536))
    for item, summary in zip(items, found, strict=True):
        assert by_hand(encoder, item.astype(np.float32)) == summary.tolist()


@each
def test_spec_and_tensors_rebuild_the_encoder(encoder, rows):
    tensors = encoder.tensors()
    for tensor in tensors.values():
        tensor.flags.writeable = False
    spec = specs.from_json(specs.to_json(encoder.spec))
    assert spec == encoder.spec
    rebuilt = resolve(MODELS, spec.kind, "model").from_tensors(spec, tensors)
    assert np.array_equal(rebuilt.logits(rows), encoder.logits(rows))
    assert rebuilt.tensors().keys() == tensors.keys()


@each
def test_missing_or_misshapen_tensors_are_refused(encoder, rows):
    tensors = encoder.tensors()
    for name in tensors:
        for bad in (
            {k: v for k, v in tensors.items() if k != name},
            tensors | {name: tensors[name][:-1]},
            tensors | {name: tensors[name].astype(np.float16)},
        ):
            with pytest.raises(DamagedError, match=name.replace(".", r"\.")):
                type(encoder).from_tensors(encoder.spec, bad)


@each
@pytest.mark.parametrize("size", [1e9, np.nan])
def test_a_cell_whose_sums_would_not_be_exact_is_refused(encoder, rows, size):
    weight = np.full_like(encoder.tensors()["cell.weight"], size)
    with pytest.raises(DamagedError, match="expected"):
        type(encoder).from_tensors(encoder.spec, encoder.tensors() | {"cell.weight": weight})


@each
@pytest.mark.parametrize(
    "fields",
    [
        {"n_units": 0},
        {"width": 0},
        {"first": 400},
        {"n_tokens": -1},
        {"step_clamp": 0.0},
        {"step_clamp": float("nan")},
    ],
)
def test_a_spec_that_fits_nothing_is_damage(encoder, rows, fields):
    with pytest.raises(DamagedError):
        specs.from_json(specs.to_json(encoder.spec) | fields)


@each
def test_features_of_another_kind_are_refused(encoder, rows):
    with pytest.raises(PayloadError, match="sparse rows"):
        encoder.logits(rows.to_dense())
    with pytest.raises(PayloadError, match="expected \\(n, "):
        encoder.logits(in_order([[1.0]], 40))


def test_a_query_imports_neither_torch_nor_scipy():
    script = (
        "import sys\n"
        "from tests.models.sequences import in_order, random_recurrent, random_recursive\n"
        "for make in (random_recursive, random_recurrent):\n"
        "    make(9).encode(in_order([[1, 2, 0, 9]], 33))\n"
        "print(*sorted({'torch', 'scipy', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
