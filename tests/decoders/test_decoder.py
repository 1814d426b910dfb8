"""The decoder, against the formulas written out row by row; and what is no decoder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.codes import Codes
from hashret.decoders import decoder as decoders
from hashret.decoders.decoder import MOST_ERRORS, Decoder, held_quantiles
from hashret.decoders.rebuilt import fits, rebuilt
from hashret.errors import DamagedError, FormatVersionError
from hashret.sparse import SparseRows, rows_between, side_by_side
from hashret.specs import from_json, to_json
from hashret.specs.decoders import DecoderSpec
from hashret.specs.encoders import DenseSpec, RecursiveSpec
from hashret.specs.ordering import Ordering
from hashret.told import telling_words
from tests.models.encoders import as_sparse, random_sparse

N_BITS = 16


def made(outputs, n_outputs, hidden=(), scale=1.0, seed=0):
    """A decoder of random weights, which are what float16 holds."""
    spec = DecoderSpec(outputs, N_BITS, n_outputs, hidden, scale)
    rng = np.random.default_rng(seed)

    def drawn(*shape):
        return rng.standard_normal(shape).astype(np.float16)

    weights = [drawn(*shape) for shape in spec.layer_shapes()]
    biases = [drawn(n_out) for _, n_out in spec.layer_shapes()]
    held = np.sort(rng.random(20)).astype(np.float32)
    return Decoder(spec, weights, biases, drawn(n_outputs), held)


def drawn_codes(n, seed=1):
    return Codes(np.random.default_rng(seed).integers(0, 256, (n, N_BITS // 8), np.uint8))


def sums_of(decoder, codes):
    """The last layer's sums, unit by unit."""
    found = []
    for bits in codes.bits:
        row = [1.0 if bit else -1.0 for bit in bits]
        for i, (weight, bias) in enumerate(zip(decoder.weights, decoder.biases, strict=True)):
            row = [max(one, 0.0) for one in row] if i else row
            row = [float(np.dot(row, column) + b) for column, b in zip(weight.T, bias, strict=True)]
        found.append([one * decoder.spec.scale for one in row])
    return np.array(found)


@pytest.mark.parametrize("hidden", [(), (7,), (9, 5)])
@pytest.mark.parametrize("rows_at_once", [1, 3, 1000])
def test_numbers_are_sums_and_their_error_is_squared(hidden, rows_at_once, monkeypatch):
    monkeypatch.setattr(decoders, "_BLOCK", 4 * max(12, *hidden, 0) * rows_at_once)
    decoder, codes = made("numbers", 12, hidden, scale=2.5), drawn_codes(10)
    features = np.random.default_rng(2).standard_normal((10, 12)).astype(np.float32)
    decoded = decoder.decode(codes)
    assert (decoded.dtype, decoded.shape) == (np.float32, (10, 12))
    np.testing.assert_allclose(decoded, sums_of(decoder, codes), rtol=1e-4, atol=1e-4)
    expected = ((sums_of(decoder, codes) - features) ** 2).mean(axis=1)
    np.testing.assert_allclose(decoder.errors(codes, features), expected, rtol=1e-4)


@pytest.mark.parametrize("hidden", [(), (7,)])
@pytest.mark.parametrize("rows_at_once", [1, 3, 1000])
def test_words_are_shares_and_their_error_is_a_divergence(hidden, rows_at_once, monkeypatch):
    monkeypatch.setattr(decoders, "_BLOCK", 4 * 30 * rows_at_once)
    decoder, codes = made("words", 30, hidden), drawn_codes(10)
    dense = random_sparse(10, 30, share=0.3).to_dense()
    dense[4] = 0.0
    shares, expected = decoder.decode(codes), []
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)
    for row, sums in zip(dense, sums_of(decoder, codes), strict=True):
        told = np.exp(sums) / np.exp(sums).sum()
        own = row / row.sum() if row.any() else row
        expected.append(sum(p * np.log(p / q) for p, q in zip(own, told, strict=True) if p))
    np.testing.assert_allclose(decoder.errors(codes, as_sparse(dense)), expected, rtol=1e-3)
    assert decoder.errors(codes, as_sparse(dense))[4] == 0.0


def test_bits_are_what_the_code_is():
    decoder = Decoder(DecoderSpec("bits", 16, 16), [], [], np.zeros(16), np.zeros(3))
    codes = drawn_codes(5)
    assert np.array_equal(decoder.decode(codes) > 0, codes.bits)
    assert not decoder.errors(codes, np.where(codes.bits, 1.0, -1.0)).any()
    with pytest.raises(ValueError, match="n_outputs"):
        DecoderSpec("bits", 16, 8)


def test_no_codes_are_no_rows():
    decoder = made("numbers", 12)
    assert decoder.decode(Codes.empty(N_BITS)).shape == (0, 12)
    assert decoder.errors(Codes.empty(N_BITS), np.empty((0, 12), np.float32)).shape == (0,)


def test_codes_of_another_length_or_number_are_refused():
    decoder = made("numbers", 12)
    with pytest.raises(ValueError, match="expected 16 bits, got 8"):
        decoder.decode(Codes.empty(8))
    with pytest.raises(ValueError, match="row for each of 3 codes, got 2"):
        decoder.errors(drawn_codes(3), np.zeros((2, 12), np.float32))


@pytest.mark.parametrize("hidden", [(), (7,)])
def test_what_is_stored_is_the_same_decoder(hidden):
    decoder = made("words", 30, hidden)
    spec = from_json(to_json(decoder.spec))
    again = Decoder.from_tensors(spec, decoder.tensors())
    assert spec == decoder.spec
    assert {t.dtype for t in decoder.tensors().values()} == {np.dtype(np.float16), np.dtype("f4")}
    for codes in (drawn_codes(5), drawn_codes(1)):
        assert np.array_equal(again.decode(codes), decoder.decode(codes))
    assert np.array_equal(again.held_errors, decoder.held_errors)
    assert np.array_equal(again.usual, decoder.usual)


WRONG = {
    "no weight": lambda t: t.pop("weight 0"),
    "another array": lambda t: t.update(extra=np.zeros(3, np.float16)),
    "another shape": lambda t: t.update({"bias 0": np.zeros(7, np.float16)}),
    "integers": lambda t: t.update({"bias 0": np.zeros(30, np.int64)}),
    "NaN": lambda t: t.update(usual=np.full(30, np.nan, np.float16)),
    "a table of errors": lambda t: t.update({"held errors": np.zeros((2, 2), np.float32)}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_other_arrays_are_damage(wrong):
    decoder = made("words", 30)
    tensors = decoder.tensors()
    WRONG[wrong](tensors)
    with pytest.raises(DamagedError, match="train the model again"):
        Decoder.from_tensors(decoder.spec, tensors)


def test_other_settings_are_refused():
    said = to_json(made("words", 30).spec)
    with pytest.raises(DamagedError, match="outputs"):
        from_json(said | {"outputs": "sounds"})
    with pytest.raises(DamagedError, match="n_outputs"):
        from_json(said | {"n_outputs": 0})
    with pytest.raises(FormatVersionError, match="no field"):
        from_json(said | {"depth": 3})


@pytest.mark.parametrize("n", [0, 1, 999, 1000, 1001, 5000])
def test_of_many_errors_evenly_spaced_ones_are_kept(n):
    errors = np.random.default_rng(n).permutation(n).astype(np.float64)
    kept = held_quantiles(errors)
    assert (kept.dtype, len(kept)) == (np.float32, min(n, MOST_ERRORS))
    assert (np.diff(kept) > 0).all()
    if n:
        assert (kept[0], kept[-1]) == (0, n - 1)


def test_a_word_that_all_texts_have_tells_little_and_one_that_none_has_too():
    vocabulary = ["the", "engine", "once", "absent"]
    usual = np.array([0.6, 0.01, 0.00001, 0.38999])
    told = telling_words(np.array([0.6, 0.3, 0.0001, 0.0999]), usual, vocabulary)
    assert [one.word for one in told] == ["engine", "once"]
    assert told[0].share == pytest.approx(0.3)
    assert told[0].usual == pytest.approx(0.01)
    assert telling_words(usual, usual, vocabulary) == []


def test_blocks_are_of_rows_between(monkeypatch):
    """The features beside a block of codes are theirs: in another order errors would be others."""
    decoder, codes = made("numbers", 4), drawn_codes(9)
    features = np.random.default_rng(3).standard_normal((9, 4)).astype(np.float32)
    one_by_one = [
        decoder.errors(codes[np.array([i])], rows_between(features, i, i + 1))[0] for i in range(9)
    ]
    monkeypatch.setattr(decoders, "_BLOCK", 4 * 4 * 2)
    np.testing.assert_allclose(decoder.errors(codes, features), one_by_one, rtol=1e-5)


def test_steps_are_numbers_as_far_as_an_item_has_them():
    decoder, codes = made("steps", 7, (5,)), drawn_codes(3)
    sums = sums_of(decoder, codes)
    lengths = [4, 9, 0]  # the second has more numbers than there are outputs for
    rows = [np.random.default_rng(i).standard_normal(n).astype("f4") for i, n in enumerate(lengths)]
    indptr = np.append(0, np.cumsum(lengths))
    columns = np.concatenate([np.arange(n) for n in lengths]).astype(np.int32)
    features = SparseRows(indptr, columns, np.concatenate(rows), 12)
    expected = [((sums[0, :4] - rows[0]) ** 2).mean(), ((sums[1, :6] - rows[1][:6]) ** 2).mean(), 0]
    np.testing.assert_allclose(decoder.errors(codes, features), expected, rtol=1e-3)
    decoded = decoder.decode(codes)
    np.testing.assert_allclose(decoded[:, :-1], sums[:, :-1], rtol=1e-3)
    assert ((decoded[:, -1] >= 0) & (decoded[:, -1] <= 1)).all()


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=6))
def test_tokens_are_counted(items):
    lengths = [len(one) for one in items]
    values = np.array([token for one in items for token in one], np.float32)
    columns = np.array([i for one in items for i in range(len(one))], np.int32)
    rows = SparseRows(np.append(0, np.cumsum(lengths)).astype(np.int64), columns, values, 8)
    counted = rebuilt(rows, Ordering(1, 5)).to_dense()  # 6 is none of five, 0 unknown
    assert counted.tolist() == [[one.count(token) for token in range(1, 6)] for one in items]


def test_of_a_text_in_word_order_the_words_are_rebuilt():
    bag = random_sparse(4, 10, share=0.5)
    whole = side_by_side(bag, as_sparse(np.full((4, 3), 2.0, np.float32)))
    assert np.array_equal(rebuilt(whole, Ordering(1, 10, 10)).to_dense(), bag.to_dense())


ENCODERS = [
    (DenseSpec(20, 16), DecoderSpec("words", 16, 20), True),
    (DenseSpec(20, 16), DecoderSpec("words", 8, 20), False),
    (DenseSpec(20, 16), DecoderSpec("words", 16, 19), False),
    (DenseSpec(20, 16), DecoderSpec("steps", 16, 21, width=1), False),
    (
        RecursiveSpec(30, 16, 4, 1.0, n_tokens=9),
        DecoderSpec("words", 16, 9, width=1, n_tokens=9),
        True,
    ),
    (RecursiveSpec(30, 16, 4, 1.0, n_tokens=9), DecoderSpec("words", 16, 30), False),
    (RecursiveSpec(30, 16, 4, 1.0, width=3), DecoderSpec("steps", 16, 13, width=3), True),
    (RecursiveSpec(30, 16, 4, 1.0, width=3), DecoderSpec("steps", 16, 12, width=3), False),
    (
        RecursiveSpec(30, 16, 4, 1.0, n_tokens=20, first=20),
        DecoderSpec("words", 16, 20, width=1, n_tokens=20, first=20),
        True,
    ),
]


@pytest.mark.parametrize(("encoder", "decoder", "expected"), ENCODERS)
def test_a_decoder_is_of_the_encoder_whose_features_it_rebuilds(encoder, decoder, expected):
    assert fits(decoder, encoder) is expected


def test_the_prior_that_former_models_name_is_read_and_counts_for_nothing():
    spec = made("numbers", 5).spec
    assert from_json(to_json(spec) | {"prior": "fair"}) == spec
    with pytest.raises(FormatVersionError, match="'priors'"):
        from_json(to_json(spec) | {"priors": "fair"})
