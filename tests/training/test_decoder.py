"""A decoder is taught with codes alone, and tells more of an item than what is usual."""

from types import SimpleNamespace

import numpy as np
import pytest

from hashret.codes import Codes
from hashret.errors import TrainingError
from hashret.models.identity import IdentityEncoder
from hashret.sparse import SparseRows, take_rows
from hashret.specs.encoders import IdentitySpec
from hashret.specs.ordering import Ordering
from indexer.training import decoder as training
from indexer.training.decoder import taught_decoder
from indexer.training.options import TrainingOptions
from tests.training.corpora import grouped_points, grouped_words

OPTIONS = TrainingOptions(device="cpu")


class Groups:
    """An encoder whose code is the number of the nearest centre."""

    def __init__(self, features, groups):
        self.spec, self.n_bits = SimpleNamespace(kind="groups"), 8
        dense = features if isinstance(features, np.ndarray) else features.to_dense()
        self._centres = np.stack([dense[groups == g].mean(axis=0) for g in np.unique(groups)])

    def encode(self, features):
        dense = features if isinstance(features, np.ndarray) else features.to_dense()
        nearest = (dense @ self._centres.T - 0.5 * (self._centres**2).sum(axis=1)).argmax(axis=1)
        return Codes.pack(np.eye(8, dtype=bool)[nearest])


@pytest.fixture(params=[grouped_words, grouped_points], ids=["words", "numbers"])
def corpus(request):
    return request.param(400)


def test_it_tells_more_of_held_out_items_than_what_is_usual(corpus):
    features, _ = corpus
    encoder = Groups(*corpus)
    decoder, stage = taught_decoder(features, encoder, OPTIONS)
    fresh, _ = (grouped_words if decoder.spec.outputs == "words" else grouped_points)(100)
    codes = encoder.encode(fresh)
    by_code = decoder.errors(codes, fresh).mean()
    usual = decoder.usual_errors(fresh).mean()
    # four groups apart: all that the groups differ in is told
    assert by_code < 0.7 * usual
    assert (stage.stage, stage.loss is None, stage.seconds > 0) == ("decoder", False, True)
    assert len(decoder.held_errors) == 40
    assert abs(decoder.held_errors.mean() - by_code) < 0.2 * by_code


def test_the_same_items_give_the_same_decoder_and_another_seed_another(corpus):
    encoder = Groups(*corpus)
    first, again, other = (
        taught_decoder(corpus[0], encoder, TrainingOptions(seed=seed))[0] for seed in (0, 0, 1)
    )
    pairs = zip(first.tensors().values(), again.tensors().values(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert not np.array_equal(first.weights[-1], other.weights[-1])


@pytest.mark.parametrize("n", [2, 3, 11])
def test_few_items_are_enough(corpus, n):
    features, _ = corpus
    encoder = Groups(*corpus)
    decoder, _ = taught_decoder(take_rows(features, np.arange(n)), encoder, OPTIONS)
    assert len(decoder.held_errors) == 1
    assert np.isfinite(decoder.decode(encoder.encode(features))).all()


def test_at_most_so_many_items_are_learned_from(corpus, monkeypatch):
    monkeypatch.setattr(training, "_MOST_ITEMS", 50)
    features, _ = corpus
    encoder, seen = Groups(*corpus), []
    encode = encoder.encode
    encoder.encode = lambda rows: seen.append(len(rows)) or encode(rows)
    taught_decoder(features, encoder, OPTIONS)
    assert sorted(seen) == [5, 45]


def test_it_is_no_worse_than_what_is_usual_where_codes_say_nothing(corpus):
    """Where it learns nothing but chance it stops, and what was best on held-out items stays."""
    features, _ = corpus
    encoder = Groups(*corpus)
    rng = np.random.default_rng(0)
    encoder.encode = lambda rows: Codes(rng.integers(0, 256, (len(rows), 1), np.uint8))
    decoder, _ = taught_decoder(features, encoder, OPTIONS)
    codes = encoder.encode(features)
    by_code = decoder.errors(codes, features).mean()
    assert by_code < 1.05 * decoder.usual_errors(features).mean()


def test_packed_bits_need_no_learning():
    rng = np.random.default_rng(0)
    features = np.where(rng.random((30, 64)) < 0.5, np.float32(-1), np.float32(1))
    encoder = IdentityEncoder(IdentitySpec(64))
    decoder, stage = taught_decoder(features, encoder, OPTIONS)
    assert np.array_equal(decoder.decode(encoder.encode(features)), features)
    assert (stage.loss, decoder.held_errors.tolist()) == (None, [0.0] * 3)


def test_an_error_that_is_not_finite_is_told():
    features, groups = grouped_points(40)
    encoder = Groups(features, groups)
    features[:, 0] = 3e38
    encoder.encode = lambda rows: Codes(np.zeros((len(rows), 1), np.uint8))
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match="decoder: expected"):
        taught_decoder(features, encoder, OPTIONS)


def test_series_are_told_with_their_lengths():
    """Codes say which of two curves a series is, and how long it is."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 2, 300)
    curves = [np.sin(np.arange(20) / 2), np.linspace(-1, 1, 12)]
    rows = [curves[kind] + 0.1 * rng.standard_normal(len(curves[kind])) for kind in kinds]
    lengths = [len(row) for row in rows]
    columns = np.concatenate([np.arange(n) for n in lengths]).astype(np.int32)
    values = np.concatenate(rows).astype(np.float32)
    features = SparseRows(np.append(0, np.cumsum(lengths)), columns, values, 32)

    def encode(given):
        return Codes.pack(np.repeat((given.nnz_per_row == 20)[:, None], 8, axis=1))

    spec = SimpleNamespace(ordering=Ordering(1))
    decoder, _ = taught_decoder(
        features, SimpleNamespace(spec=spec, n_bits=8, encode=encode), OPTIONS
    )
    assert (decoder.spec.outputs, decoder.spec.n_outputs) == ("steps", 21)
    told = decoder.decode(Codes(np.array([[0], [255]], np.uint8)))
    assert np.rint(20 * told[:, -1]).tolist() == [12, 20]
    assert np.abs(told[0, :12] - curves[1]).max() < 0.2
    assert np.abs(told[1, :20] - curves[0]).max() < 0.2
    errors = decoder.errors(encode(features), features)
    assert errors.mean() < 0.1 * decoder.usual_errors(features).mean()
