"""Random encoders on the fixed-point grid, for tests."""

import itertools

import numpy as np

from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import clamp_for, to_grid
from hashret.sparse import SparseRows
from hashret.specs.encoders import DenseSpec


def random_encoder(
    widths: tuple[int, ...],
    seed: int = 0,
    scale: float = 1.0,
    input_scale: float = 10.0,
    *,
    normalised: bool = False,
    n_latent: int = 0,
) -> DenseEncoder:
    rng = np.random.default_rng(seed)
    shapes = list(itertools.pairwise(widths))
    shapes[-1] = (shapes[-1][0] + n_latent, shapes[-1][1])
    weights = [to_grid(scale * rng.standard_normal(shape)) for shape in shapes]
    biases = [to_grid(rng.standard_normal(shape[1])) for shape in shapes]
    latent = to_grid(scale * rng.standard_normal((widths[0], n_latent))) if n_latent else None
    clamps = [clamp_for(w, b) for w, b in zip(weights, biases, strict=True)]
    if latent is not None:
        clamps[0] = min(clamps[0], clamp_for(latent, np.zeros(n_latent)))
    spec = DenseSpec(
        n_features=widths[0],
        n_bits=widths[-1],
        hidden=widths[1:-1],
        input_scale=input_scale,
        clamps=tuple(clamps),
        normalised=normalised,
        n_latent=n_latent,
    )
    kept = None if latent is None else latent.astype(np.float32)
    return DenseEncoder(spec, [w.astype(np.float32) for w in weights], biases, latent=kept)


def random_sparse(n: int, n_features: int, seed: int = 0, share: float = 0.2) -> SparseRows:
    rng = np.random.default_rng(seed)
    dense = rng.random((n, n_features), np.float32) * (rng.random((n, n_features)) < share)
    return as_sparse(dense)


def as_sparse(dense: np.ndarray) -> SparseRows:
    rows, columns = dense.nonzero()
    indptr = np.zeros(len(dense) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(dense)), out=indptr[1:])
    values = dense[rows, columns].astype(np.float32)
    return SparseRows(indptr, columns.astype(np.int32), values, dense.shape[1])
