"""Rows of steps in order, and random encoders of them on the fixed-point grid, for tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import clamp_for, to_grid
from hashret.models.recurrent import RecurrentEncoder
from hashret.models.recursive import RecursiveEncoder
from hashret.sparse import SparseRows
from hashret.specs.encoders import RecurrentSpec, RecursiveSpec
from tests.models.encoders import random_encoder


def in_order(items: Sequence[Any], longest: int, width: int = 1, before: int = 0) -> SparseRows:
    """Items (steps, width) as rows; in each of the `before` columns in front of them is a 1."""
    flat = [np.append(np.ones(before), np.ravel(item)) for item in items]
    lengths = [len(one) for one in flat]
    return SparseRows(
        np.append(0, np.cumsum(lengths)).astype(np.int64),
        np.concatenate([np.arange(n) for n in lengths]).astype(np.int32),
        np.concatenate(flat).astype(np.float32),
        before + longest * width,
    )


def random_tokens(n: int, longest: int, n_tokens: int, seed: int = 0) -> list[np.ndarray]:
    """Items of 1 to `longest` tokens, of which 0 is unknown; the first is the longest."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, n)
    lengths[0] = longest
    return [rng.integers(0, n_tokens + 1, length) for length in lengths]


def random_series(n: int, longest: int, width: int, seed: int = 0) -> list[np.ndarray]:
    """Series of 1 to `longest` steps of random numbers; the first is the longest."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, n)
    lengths[0] = longest
    return [rng.standard_normal((length, width)) for length in lengths]


def _common(n_tokens: int, width: int, longest: int, before: int, dense: DenseEncoder) -> dict:
    return {
        "n_features": before + longest * width,
        "n_bits": dense.n_bits,
        "width": width,
        "n_tokens": n_tokens,
        "first": before,
        "hidden": dense.spec.hidden,
        "normalised": dense.spec.normalised,
        "input_scale": 1.0 if n_tokens else 1.5,
        "clamps": dense.spec.clamps,
        "logit_scale": dense.spec.logit_scale,
    }


def _stored(weight: np.ndarray) -> np.ndarray:
    return to_grid(weight).astype(np.float32)


def random_recursive(
    n_tokens: int = 0, width: int = 1, longest: int = 33, before: int = 0, n_units: int = 7
) -> RecursiveEncoder:
    rng = np.random.default_rng(4)
    dense = random_encoder((n_units, 9, 16), 1, input_scale=1.0, normalised=True)
    cell = _stored(0.4 * rng.standard_normal((2 * n_units, n_units)))
    bias = to_grid(0.1 * rng.standard_normal(n_units))
    if n_tokens:
        step: tuple[np.ndarray, ...] = (
            _stored(np.abs(rng.standard_normal((n_tokens + 1, n_units)))),
        )
        step_clamp = 1.0
    else:
        step = _stored(rng.standard_normal((width, n_units))), to_grid(rng.random(n_units))
        step_clamp = clamp_for(*step)
    spec = RecursiveSpec(
        **_common(n_tokens, width, longest, before, dense),
        n_units=n_units,
        step_clamp=step_clamp,
        node_clamp=min(8.0, clamp_for(cell, bias)),
    )
    return RecursiveEncoder(spec, step, (cell, bias), dense)


def random_recurrent(
    n_tokens: int = 0, width: int = 1, longest: int = 33, before: int = 0, n_units: int = 6
) -> RecurrentEncoder:
    rng = np.random.default_rng(5)
    dense = random_encoder((2 * n_units, 9, 16), 2, input_scale=1.0, normalised=True)
    n_in = 5 if n_tokens else width
    vectors = _stored(rng.standard_normal((n_tokens + 1, n_in))) if n_tokens else None
    cell = _stored(rng.standard_normal((n_in + n_units, 2 * n_units)))
    bias = to_grid(rng.standard_normal(2 * n_units))
    spec = RecurrentSpec(
        **_common(n_tokens, width, longest, before, dense),
        n_units=n_units,
        step_clamp=min(8.0, clamp_for(cell, bias)),
        embedding=5,
    )
    return RecurrentEncoder(spec, vectors, (cell, bias), dense)
