"""Noise out of vectors, against Wiener's filter written out with the whole covariance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.decoders.denoiser import denoiser_of
from hashret.errors import DamagedError
from hashret.specs import from_json, to_json
from indexer.training.denoising import covariance
from indexer.training.denoising.covariance import vector_denoiser


def flat_cloud(n, width, rank, seed=0):
    """Points near a subspace, centred."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, width))
    return (points - points.mean(axis=0) + 0.01 * rng.standard_normal(points.shape)).astype(
        np.float32
    )


@given(st.integers(1, 20), st.integers(1, 6), st.sampled_from([0.01, 0.3, 2.0]))
def test_it_is_the_filter_of_the_whole_covariance(width, rank, noise):
    rows = flat_cloud(60, width, rank)
    cov = np.cov(rows, rowvar=False).reshape(width, width)
    expected = rows @ np.linalg.solve(cov + noise**2 * np.eye(width), cov)
    found = vector_denoiser(rows).denoised(rows, noise)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def test_directions_that_are_not_kept_share_a_variance(monkeypatch):
    monkeypatch.setattr(covariance, "_MOST_DIRECTIONS", 3)
    rows = flat_cloud(80, 12, 3)
    few = vector_denoiser(rows)
    assert few.spec.n_directions == 3
    cov = np.cov(rows, rowvar=False)
    values, directions = np.linalg.eigh(cov)
    values[:9] = values[:9].mean()
    smoothed = directions * values @ directions.T
    expected = rows @ np.linalg.solve(smoothed + 0.25 * np.eye(12), smoothed)
    np.testing.assert_allclose(few.denoised(rows, 0.5), expected, rtol=2e-3, atol=2e-3)
    noisy = rows + 0.3 * np.random.default_rng(1).standard_normal(rows.shape)
    assert few.noise_of(noisy) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0])
def test_noise_is_estimated_and_mostly_goes(noise):
    denoiser = vector_denoiser(flat_cloud(500, 30, 4))
    clean = flat_cloud(500, 30, 4)[:40]
    noisy = clean + (noise * np.random.default_rng(2).standard_normal(clean.shape)).astype("f4")
    assert denoiser.noise_of(noisy) == pytest.approx(noise, rel=0.1)
    left = np.square(denoiser.denoised(noisy, noise) - clean).mean()
    assert left < np.square(noisy - clean).mean() / 4


def test_each_row_may_have_noise_of_its_own():
    rows = flat_cloud(50, 10, 3)
    denoiser, noises = vector_denoiser(rows), np.array([0.0, 0.5, 2.0])
    found = denoiser.denoised(rows[:3], noises)
    for row, noise, one in zip(rows, noises, found, strict=False):
        np.testing.assert_allclose(denoiser.denoised(row[None], noise)[0], one, atol=1e-5)
    np.testing.assert_allclose(found[0], rows[0], atol=1e-2)


def test_vectors_without_noise_have_none():
    rows = flat_cloud(300, 16, 16)
    assert vector_denoiser(rows).noise_of(rows) < 0.05 * rows.std()


@pytest.mark.parametrize("rows", [np.zeros((5, 3), "f4"), np.ones((2, 1), "f4")])
def test_vectors_that_are_all_the_same_do_no_harm(rows):
    denoiser = vector_denoiser(rows)
    assert np.isfinite(denoiser.denoised(rows, 0.5)).all()
    assert np.isfinite(denoiser.noise_of(rows))


def test_a_stored_denoiser_says_the_same_and_a_damaged_one_is_refused():
    rows = flat_cloud(40, 9, 3)
    denoiser = vector_denoiser(rows)
    arrays = denoiser.tensors()
    again = denoiser_of(from_json(to_json(denoiser.spec)), arrays)
    np.testing.assert_allclose(again.denoised(rows, 0.4), denoiser.denoised(rows, 0.4), atol=5e-3)
    with pytest.raises(DamagedError):
        denoiser_of(denoiser.spec, arrays | {"variances": arrays["variances"][1:]})
    with pytest.raises(DamagedError):
        from_json(to_json(denoiser.spec) | {"n_directions": 10})


def test_very_wide_vectors_have_none(monkeypatch):
    monkeypatch.setattr(covariance, "_WIDEST", 8)
    assert vector_denoiser(flat_cloud(10, 9, 2)) is None
