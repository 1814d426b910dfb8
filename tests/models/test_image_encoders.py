"""What every encoder of images promises; what each computes: `test_conv`, `test_patches`."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret import specs
from hashret.arguments import resolve
from hashret.errors import DamagedError, PayloadError
from hashret.models import MODELS, patches
from hashret.models import conv as apply_conv
from hashret.models import patches as apply_patches
from tests.models import test_conv as conv
from tests.models import test_patches as patched
from tests.models.encoders import as_sparse

N = 40
each = pytest.mark.parametrize(
    ("encoder", "pixels"),
    [(conv.ENCODER, conv.PIXELS), (patched.ENCODER, patched.PIXELS)],
    ids=["conv", "patches"],
)


@each
@settings(deadline=None, max_examples=25)
@given(st.permutations(range(N)), st.lists(st.integers(1, N - 1), max_size=5))
def test_batching_and_order_change_no_bit(encoder, pixels, order, cuts):
    order = np.array(order)
    edges = sorted({0, N, *cuts})
    parts = [encoder.logits(pixels[order[a:b]]) for a, b in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), encoder.logits(pixels)[order])


@each
def test_tiles_change_no_bit(encoder, pixels, monkeypatch):
    whole = encoder.logits(pixels)
    for module, rows in ((apply_conv, 3), (apply_patches, 9), (patches, 3)):
        monkeypatch.setattr(module, "_TILE_IMAGES", rows)
    assert np.array_equal(encoder.logits(pixels), whole)


@each
def test_it_is_rebuilt_from_its_spec_and_tensors(encoder, pixels):
    again = specs.from_json(json.loads(json.dumps(specs.to_json(encoder.spec))))
    assert again == encoder.spec
    kind = resolve(MODELS, encoder.spec.kind, "model")
    assert kind is type(encoder)
    tensors, logits = encoder.tensors(), encoder.logits(pixels)
    rebuilt = kind.from_tensors(again, tensors)
    assert np.array_equal(rebuilt.logits(pixels), logits)
    assert np.array_equal(rebuilt.encode(pixels).bits, logits > 0)
    assert set(rebuilt.tensors()) == set(tensors)
    for name in tensors:
        with pytest.raises(DamagedError, match=name):
            kind.from_tensors(again, {k: v for k, v in tensors.items() if k != name})


@each
def test_other_features_are_refused(encoder, pixels):
    for features, message in (
        (pixels[:, :5], "expected \\(n, "),
        (as_sparse(pixels), "expected a dense array for this model, got sparse rows"),
        (np.full((1, pixels.shape[1]), np.nan, np.float32), "finite"),
        (np.full((1, pixels.shape[1]), np.inf, np.float32), "finite"),
    ):
        with pytest.raises(PayloadError, match=message):
            encoder.logits(features)


@each
def test_extreme_pixels_are_clamped_not_lost(encoder, pixels):
    loud = np.full((1, pixels.shape[1]), 3e38, np.float32)
    loud[:, ::2] *= -1
    assert np.isfinite(encoder.logits(loud)).all()
    assert len(encoder.logits(pixels[:0])) == 0
