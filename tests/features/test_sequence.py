"""Sequences as features: what a payload is, in order, scaled or numbered; how alike two are."""

import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hashret import specs
from hashret.errors import DamagedError, EmptyCorpusError, PayloadError
from hashret.features.sequences import alike, steps
from hashret.features.sequences.featurizer import SequenceFeaturizer, cut_note
from hashret.features.sequences.steps import given_of
from hashret.sparse import known
from hashret.specs import SequenceSpec

TOKENS = SequenceSpec("tokens", longest=6)
PAIRS = SequenceSpec("numbers", 2, longest=4)
CHARACTERS = SequenceSpec("characters", longest=8)

#: Series of two numbers a step, at least one step.
series = st.lists(
    st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=2), min_size=1, max_size=7
)
sentences = st.lists(st.sampled_from(["a", "b", "c", "d", "é"]), min_size=1, max_size=9)


def fitted(payloads, spec):
    prepared = [SequenceFeaturizer.prepare(one, spec) for one in payloads]
    return SequenceFeaturizer.fit(prepared, spec), prepared


def row_of(features, i):
    return features.values[features.indptr[i] : features.indptr[i + 1]]


@given(st.lists(series, min_size=2, max_size=6))
def test_numbers_stand_in_order_scaled_by_their_column_and_come_back(payloads):
    featurizer, prepared = fitted(payloads, PAIRS)
    features = featurizer.transform(prepared)
    every = np.concatenate([np.array(one[:4]) for one in payloads])
    deviation = every.std(axis=0)
    deviation[deviation < 1e-6] = 1.0
    assert features.n_features == featurizer.n_features == 8
    for i, payload in enumerate(payloads):
        row = row_of(features, i).reshape(-1, 2)
        assert len(row) == min(len(payload), 4)
        np.testing.assert_array_equal(
            features.indices[features.indptr[i] : features.indptr[i + 1]], np.arange(row.size)
        )
        again = row * deviation + every.mean(axis=0)
        np.testing.assert_allclose(again, payload[:4], atol=0.01)
        alone = featurizer.transform([prepared[i]])
        np.testing.assert_array_equal(alone.values, row.ravel())
    rebuilt = SequenceFeaturizer.from_tensors(PAIRS, featurizer.tensors())
    np.testing.assert_array_equal(rebuilt.transform(prepared).values, features.values)


@given(st.lists(sentences, min_size=1, max_size=6), st.integers(1, 5))
def test_tokens_stand_in_order_by_their_rank(payloads, size):
    spec = SequenceSpec("tokens", longest=6, vocabulary_size=size)
    featurizer, prepared = fitted(payloads, spec)
    counts = Counter(token for payload in payloads for token in payload[:6])
    ranked = sorted(counts, key=lambda token: (-counts[token], token))[:size]
    assert list(featurizer.vocabulary) == ranked
    assert featurizer.n_tokens == len(ranked)
    features = featurizer.transform(prepared)
    for i, payload in enumerate(payloads):
        expected = [ranked.index(t) + 1 if t in ranked else 0 for t in payload[:6]]
        assert row_of(features, i).tolist() == (expected if any(expected) else [])
    np.testing.assert_array_equal(
        known(features), [bool(set(one[:6]) & set(ranked)) for one in payloads]
    )
    rebuilt = SequenceFeaturizer.from_tensors(spec, featurizer.tensors())
    np.testing.assert_array_equal(rebuilt.transform(prepared).values, features.values)


@pytest.mark.parametrize(
    ("payload", "spec", "expected"),
    [
        ([1, 2, 3], SequenceSpec("numbers", 1), [[1], [2], [3]]),
        (np.arange(3), SequenceSpec("numbers", 1), [[0], [1], [2]]),
        ([[1, 2], (3, 4.5)], PAIRS, [[1, 2], [3, 4.5]]),
        ([np.array([1, 2]), np.array([3, 4])], PAIRS, [[1, 2], [3, 4]]),
        (np.ones((6, 2), np.uint8), PAIRS, [[1, 1]] * 4),
        ("1 2.5, -3e2", SequenceSpec("numbers", 1), [[1], [2.5], [-300]]),
        (["1", "2"], SequenceSpec("numbers", 1), [[1], [2]]),
        ([2**80], SequenceSpec("numbers", 1), [[2.0**80]]),
        ([True, False], SequenceSpec("numbers", 1), [[1], [0]]),
        ("a b\tc\n", TOKENS, ["a", "b", "c"]),
        (("a", "b c", ""), TOKENS, ["a", "b c", ""]),
        (np.array(["x", "y"]), TOKENS, ["x", "y"]),
        (np.array([b"x", b"\xc3\xa9"]), TOKENS, ["x", "é"]),
        (np.array(["x", "y"], object), TOKENS, ["x", "y"]),
        ([100000001, 7], TOKENS, ["100000001", "7"]),
        (np.array([100000001.0, 2.5]), TOKENS, ["100000001", "2.5"]),
        (list("abcdefgh"), TOKENS, list("abcdef")),
        (" ACGT \n", CHARACTERS, list("ACGT")),
        ("ACGTACGTA", CHARACTERS, list("ACGTACGT")),
        (["AC", "GT"], CHARACTERS, ["AC", "GT"]),
    ],
)
def test_what_a_payload_is(payload, spec, expected):
    found = SequenceFeaturizer.prepare(payload, spec)
    assert (found.tolist() if isinstance(found, np.ndarray) else found) == expected
    if isinstance(found, np.ndarray):
        assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("payload", "spec", "error_class", "said"),
    [
        ([], TOKENS, "empty-sequence", "at least one step, got none"),
        ("", TOKENS, "empty-sequence", "at least one step"),
        (" \n\t", CHARACTERS, "empty-sequence", "at least one step"),
        (np.empty((0, 2)), PAIRS, "empty-sequence", "at least one step"),
        (np.empty((3, 0)), PAIRS, "empty-sequence", "at least one step"),
        ([[], []], PAIRS, "empty-sequence", "at least one step"),
        ([[1, 2], [3]], PAIRS, "mixed-steps", "2 numbers in each step, as in the first, got 1 in"),
        ([[1, 2], 3], PAIRS, "mixed-steps", "got 3 as step 1"),
        (["a", 1], TOKENS, "mixed-steps", "got 'a' as step 0"),
        ([1, None], SequenceSpec("numbers", 1), "mixed-steps", "got 1 as step 0"),
        ([["a"], ["b"]], TOKENS, "mixed-steps", "as step 0"),
        ([1, 2, 3], PAIRS, "wrong-width", "2 numbers in each step, got 1"),
        (np.ones((3, 4)), PAIRS, "wrong-width", "2 numbers in each step, got 4"),
        (np.ones((3, 4, 2)), PAIRS, "bad-payload", "(3, 4, 2)"),
        (np.float64(3), PAIRS, "bad-payload", "shape ()"),
        (np.array([1j]), PAIRS, "bad-payload", "complex128"),
        ([[1, 2], [float("nan"), 0]], PAIRS, "not-finite", "in step 1"),
        ([[1, 2], [0, float("inf")]], PAIRS, "not-finite", "in step 1"),
        ([[1e300, 2]], PAIRS, "not-finite", "in float32"),
        (["x", "1"], SequenceSpec("numbers", 1), "mixed-steps", "got the token"),
        (["nan"], SequenceSpec("numbers", 1), "not-finite", "in step 0"),
        ("a b", PAIRS, "mixed-steps", "got the token"),
        ([[1, 2]], TOKENS, "mixed-steps", "got 2 numbers"),
        ([1.0, float("nan")], TOKENS, "not-finite", "in step 1"),
        (None, TOKENS, "bad-payload", "got NoneType"),
        (b"ab", TOKENS, "bad-payload", "got bytes"),
        ({"a": 1}, TOKENS, "bad-payload", "got dict"),
        (np.zeros(steps.MAX_STEPS + 1, np.uint8), PAIRS, "too-large", "at most 1,048,576 steps"),
        ("x" * (steps.MAX_BYTES + 1), TOKENS, "too-large", "bytes of UTF-8"),
    ],
)
def test_what_is_no_sequence_is_refused_with_the_reason(payload, spec, error_class, said):
    with pytest.raises(PayloadError) as caught:
        SequenceFeaturizer.prepare(payload, spec)
    assert said in str(caught.value)
    assert str(caught.value).startswith("sequence: expected")
    assert caught.value.error_class == error_class


def test_nothing_to_learn_from():
    for spec in (TOKENS, PAIRS):
        with pytest.raises(EmptyCorpusError, match="sequences: expected at least one"):
            SequenceFeaturizer.fit([], spec)


@pytest.mark.parametrize(
    ("payloads", "unit", "width"),
    [
        ([[1, 2], [3]], "numbers", 1),
        ([np.ones((3, 2)), np.ones((4, 2)), np.ones((4, 3))], "numbers", 2),
        ([["a"], [1, 2], ["b"]], "tokens", 0),
        (["a b", "c d e"], "tokens", 0),
        (["1 2", "3 4 5"], "numbers", 1),
        (["1 2", "3 x 5"], "tokens", 0),
        (["ACGT", "GGT", "A C"], "characters", 0),
        (["0101", "1110"], "characters", 0),
        ([None, [[1, 2], [3]]], "", 0),
        ([], "", 0),
    ],
)
def test_the_items_say_what_steps_are(payloads, unit, width):
    found = SequenceFeaturizer.suggest_spec(payloads)
    assert (found.unit, found.width, found.longest) == (unit, width, 512)


@pytest.mark.parametrize(
    ("given", "suggested", "unit", "width"),
    [
        (SequenceSpec(), SequenceSpec("numbers", 3), "numbers", 3),
        (SequenceSpec("tokens"), SequenceSpec("numbers", 1), "tokens", 0),
        (SequenceSpec("numbers"), SequenceSpec("tokens"), "numbers", 1),
        (SequenceSpec("numbers", 2), SequenceSpec("numbers", 3), "numbers", 2),
        (SequenceSpec(longest=9), SequenceSpec("characters"), "characters", 0),
    ],
)
def test_a_partial_spec_is_completed(given, suggested, unit, width):
    found = given.completed(suggested)
    assert (found.unit, found.width, found.longest) == (unit, width, given.longest)
    assert not found.is_partial
    assert specs.from_json(specs.to_json(found)) == found


@pytest.mark.parametrize(
    "fields",
    [
        {"unit": "words"},
        {"unit": "tokens", "width": 3},
        {"width": 3},
        {"longest": 0},
        {"longest": 1 << 17},
        {"unit": "numbers", "width": 1000, "longest": 1 << 16},
        {"vocabulary_size": 0},
    ],
)
def test_a_spec_that_can_not_be_is_refused(fields):
    with pytest.raises(ValueError, match="expected"):
        SequenceSpec(**fields)


arrays = hnp.arrays(
    st.sampled_from(["<f4", "i2", "i8", "u1"]),
    hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=4),
    elements={"min_value": 0, "max_value": 100},
)


@given(arrays | st.lists(st.text(), min_size=1) | st.text(min_size=1).filter(lambda t: t.strip()))
def test_what_is_kept_comes_back_and_content_alone_decides_the_digest(payload):
    kept = SequenceFeaturizer.keep(payload)
    again = SequenceFeaturizer.kept(kept)
    if isinstance(payload, np.ndarray):
        np.testing.assert_array_equal(again, payload.reshape(len(payload), -1))
    else:
        assert again == payload
    assert SequenceFeaturizer.keep(again) == kept
    digests = set()
    for one in (payload, again):
        hasher = hashlib.sha256()
        SequenceFeaturizer.digest(one, hasher)
        digests.add(hasher.hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"t{}",
        b't["a", 1]',
        b"t[",
        b"s\xff",
        b"n<f4",
        steps.as_bytes(given_of([1, 2]))[:-1],
        b"n<f8" + bytes(24),
        b"n|O8" + bytes(24),
    ],
)
def test_other_bytes_are_damage(data):
    with pytest.raises(DamagedError, match="expected a sequence as it was kept"):
        SequenceFeaturizer.kept(data)


def test_a_series_with_nan_is_not_kept_either():
    with pytest.raises(PayloadError, match="finite"):
        SequenceFeaturizer.keep([1.0, float("nan")])


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ([[0.1, 2], [3, 4]], "2 steps of 2 numbers: 0.1 2 3 4"),
        ([5], "1 step of 1 number: 5"),
        (np.arange(2000.0), "2,000 steps of 1 number: 0 1 2 3 4 5 6 7 ..."),
        (["log in", "buy"], "log in buy"),
        ("a  b\nc", "a b c"),
        (["x" * 150] * 9, "x" * 150 + " " + "x" * 49),
    ],
)
def test_what_is_shown_of_a_sequence(payload, shown):
    assert SequenceFeaturizer.preview(payload) == shown


@given(st.lists(series, min_size=2, max_size=5))
def test_series_are_compared_at_evenly_spaced_points(payloads):
    featurizer, prepared = fitted(payloads, PAIRS)
    features = featurizer.transform(prepared)
    drawn = []
    for i in range(len(payloads)):
        row = row_of(features, i).reshape(-1, 2)
        at = np.linspace(0, len(row) - 1, alike.POINTS)
        drawn.append(np.stack([np.interp(at, np.arange(len(row)), c) for c in row.T]))
    expected = [-np.sqrt(np.mean((drawn[0] - one) ** 2)) for one in drawn]
    found = featurizer.similarities(features.rows(0, 1), features)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    for i in range(len(payloads)):
        (alone,) = featurizer.similarities(features.rows(0, 1), features.rows(i, i + 1))
        assert alone == found[i]


@given(st.lists(sentences, min_size=2, max_size=5))
def test_tokens_are_compared_by_what_follows_what(payloads):
    featurizer, prepared = fitted(payloads, SequenceSpec("tokens", vocabulary_size=3))
    features = featurizer.transform(prepared)
    vocabulary = set(featurizer.vocabulary)

    def shares(tokens):
        known_ones = [token if token in vocabulary else None for token in tokens]
        both = [one for one in known_ones if one]
        both += [pair for pair in pairwise(known_ones) if all(pair)]
        counts = Counter(both)
        return {key: count / counts.total() for key, count in counts.items()}

    first = shares(payloads[0])
    expected = [
        sum(np.sqrt(share * first.get(key, 0)) for key, share in shares(one).items())
        for one in payloads
    ]
    found = featurizer.similarities(features.rows(0, 1), features)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for i in range(len(payloads)):
        (alone,) = featurizer.similarities(features.rows(0, 1), features.rows(i, i + 1))
        assert alone == found[i]


def test_the_same_tokens_in_another_order_are_less_alike():
    featurizer, prepared = fitted([list("abcabc"), list("abcabc"), list("acbacb")], TOKENS)
    features = featurizer.transform(prepared)
    same, other = featurizer.similarities(features.rows(0, 1), features)[1:]
    assert same == pytest.approx(1.0)
    assert other < 0.6


def test_each_token_is_left_out_everywhere_and_what_follows_moves_up():
    featurizer, prepared = fitted([list("abac"), ["a", "a"]], TOKENS)
    features = featurizer.transform([["a", "x", "b", "a"]])
    left = featurizer.left_out(None, features, 10)
    assert [str(part) for part in left.parts] == ["a", "b"]
    assert left.keys == ["a", "b"]
    number = {token: place + 1 for place, token in enumerate(featurizer.vocabulary)}
    assert row_of(left.features, 0).tolist() == [0, number["b"]]
    assert row_of(left.features, 1).tolist() == [number["a"], 0, number["a"]]
    only = featurizer.left_out(None, featurizer.transform([["a", "x"]]), 10)
    assert not known(only.features).any()  # without its only known token, nothing is known
    most = featurizer.left_out(None, features, 1)
    assert [str(part) for part in most.parts] == ["a"]
    assert most.n_parts == 2
    assert prepared[1] == ["a", "a"]


@pytest.mark.parametrize(
    ("n_steps", "most", "n_parts"), [(4, 300, 4), (100, 300, 25), (100, 5, 5), (33, 300, 17)]
)
def test_each_stretch_of_a_series_is_left_out(n_steps, most, n_parts):
    spec = SequenceSpec("numbers", 2, longest=200)
    rng = np.random.default_rng(0)
    featurizer, prepared = fitted([rng.normal(size=(n_steps, 2))], spec)
    features = featurizer.transform(prepared)
    left = featurizer.left_out(None, features, most)
    assert len(left.parts) == left.n_parts == n_parts
    whole = row_of(features, 0).reshape(-1, 2)
    covered = []
    for i, part in enumerate(left.parts):
        inside = np.arange(part.first, part.last + 1)
        covered += inside.tolist()
        expected = np.delete(whole, inside, axis=0)
        np.testing.assert_array_equal(row_of(left.features, i).reshape(-1, 2), expected)
    assert covered == list(range(n_steps))
    assert str(left.parts[0]) in ("step 0", "steps 0 to 3", "steps 0 to 19", "steps 0 to 1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vocabulary", np.frombuffer(b'["a"]', np.uint8)),
        ("vocabulary", np.frombuffer(b"{}", np.uint8)),
        ("mean", np.zeros(3, np.float32)),
        ("scale", np.zeros(2)),
        ("scale", np.full(2, np.nan, np.float32)),
    ],
)
def test_arrays_that_do_not_fit_the_spec_are_damage(name, value):
    featurizer, _ = fitted([[[1, 2], [3, 4]]], PAIRS)
    with pytest.raises(DamagedError, match="train it again"):
        SequenceFeaturizer.from_tensors(PAIRS, featurizer.tensors() | {name: value})


def test_a_column_that_is_always_the_same_is_no_noise():
    featurizer, prepared = fitted([[[1e6 + 0.1, 1], [1e6 + 0.1, 2]]], PAIRS)
    assert np.abs(featurizer.transform(prepared).values).max() < 2.0


def test_how_many_are_cut_is_said():
    payloads = [[1] * 5, [1] * 6, "a b c d e f g", None]
    assert cut_note(payloads, SequenceSpec("tokens", longest=5)).startswith("2 of 3 sequences")
    assert cut_note(payloads, SequenceSpec("tokens", longest=7)) == ""
