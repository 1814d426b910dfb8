"""Codes and their neighbours against plain Python."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret import codes as codes_module
from hashret.codes import Codes, Neighbors, Work, ball_size, flip_masks, hamming, merge

widths = st.integers(1, 20).map(lambda n_bytes: 8 * n_bytes)


@st.composite
def bit_arrays(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.random((draw(st.integers(0, 12)), draw(widths))) < 0.5


@given(bit_arrays())
def test_bits_words_and_hex_say_the_same(bits):
    codes = Codes.pack(bits)
    assert (codes.bits == bits).all()
    assert codes.n_bits == bits.shape[1]
    assert len(codes) == len(bits)
    for row, expected in enumerate(bits):
        value = sum(int(bit) << j for j, bit in enumerate(expected))
        words = codes.words[row].tolist()
        assert sum(word << (64 * i) for i, word in enumerate(words)) == value
        assert int.from_bytes(bytes.fromhex(codes.hex(row)), "little") == value
        assert (Codes.from_hex(codes.hex(row)).packed == codes.packed[row]).all()
    assert codes.n_distinct() == len({code.tobytes() for code in codes.packed})


@given(bit_arrays(), st.data())
def test_hamming_counts_unlike_bits(bits, data):
    count = data.draw(st.integers(0, 3))
    queries = np.random.default_rng(count).random((count, bits.shape[1])) < 0.5
    expected = (queries[:, None] != bits[None]).sum(axis=2)
    distances = hamming(Codes.pack(queries), Codes.pack(bits))
    assert distances.shape == (count, len(bits))
    assert (distances == expected).all()


def test_words_of_whole_words_share_memory():
    codes = Codes(np.zeros((3, 16), np.uint8))
    assert np.shares_memory(codes.words, codes.packed)


def test_rows_and_parts_of_codes():
    codes = Codes.pack(np.eye(8))
    assert codes[2:4].hex(0) == "04"
    assert codes[np.array([7, 0])].hex(0) == "80"
    assert (Codes.concatenate([codes[:3], codes[3:]]).packed == codes.packed).all()
    assert len(Codes.empty(24)) == 0
    assert Codes.empty(24).n_bits == 24


def test_transposed_codes_are_made_contiguous():
    packed = np.arange(32, dtype=np.uint8).reshape(8, 4).T
    assert Codes(packed).packed.flags.c_contiguous
    assert (Codes(packed).packed == packed).all()


@pytest.mark.parametrize(
    "packed",
    [np.zeros(8, np.uint8), np.zeros((2, 8), np.int8), np.zeros((2, 0), np.uint8)],
)
def test_what_is_not_codes_is_refused(packed):
    with pytest.raises(ValueError, match="codes: expected a"):
        Codes(packed)


def test_bits_that_fill_no_byte_are_refused():
    with pytest.raises(ValueError, match="multiple of 8"):
        Codes.pack(np.zeros((2, 12)))
    with pytest.raises(ValueError, match="expected 16 bits, got 8"):
        hamming(Codes.empty(8), Codes.empty(16))
    with pytest.raises(ValueError, match="multiple of 8, got 12"):
        Codes.empty(12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Codes([[1, 2]]), "codes: expected ndarray, got list"),
        (lambda: Codes.empty("8"), "n_bits: expected a whole number, got '8'"),
        (lambda: Codes.empty(0), "n_bits: expected 8 to 65,536, a multiple of 8, got 0"),
        (lambda: Codes.empty(8 * 10**30), "n_bits: expected 8 to 65,536"),
        (lambda: Codes.from_hex(b"ff"), "code: expected str, got bytes"),
        (lambda: Codes.from_hex("xy"), "code: expected two hexadecimal digits for each byte"),
        (lambda: Codes.from_hex("abc"), "code: expected two hexadecimal digits for each byte"),
        (lambda: Codes.from_hex(""), "code: expected two hexadecimal digits for each byte"),
        (lambda: Codes.concatenate([]), "parts: expected Codes, one or more, got list"),
        (lambda: Codes.concatenate(["ff"]), "parts: expected Codes, one or more, got list"),
        (lambda: Codes.concatenate(None), "parts: expected Sequence, got NoneType"),
        (
            lambda: Codes.concatenate([Codes.empty(8), Codes.empty(16)]),
            "parts: expected codes of one length, got \\[8, 16\\] bits",
        ),
    ],
)
def test_what_makes_no_codes_is_said(call, says):
    with pytest.raises((TypeError, ValueError), match=says):
        call()


@pytest.mark.parametrize("odd", [-1, 2, 0.5, np.nan])
def test_what_is_neither_0_nor_1_is_no_bit(odd):
    bits = np.tile([odd, 1.0], (3, 4))
    with pytest.raises(ValueError, match="bits: expected booleans or 0 and 1"):
        Codes.pack(bits)
    assert Codes.pack(bits > 0.5).bits.tolist() == (bits > 0.5).tolist()


def test_an_answer_is_one_of_the_queries():
    found = build([(0, 5, 1), (2, 7, 3)], n_queries=3)
    assert [found[i][0].tolist() for i in range(-3, 3)] == 2 * [[5], [], [7]]
    for beyond in (-4, 3):
        with pytest.raises(IndexError, match="query: expected one of 3"):
            found[beyond]


@given(st.integers(1, 10), st.integers(0, 12))
def test_the_ball_counts_its_masks(n_bits, radius):
    masks = [flip_masks(n_bits, flips) for flips in range(min(radius, n_bits) + 1)]
    assert ball_size(n_bits, radius) == sum(len(mask) for mask in masks)
    assert sorted(np.concatenate(masks)[:, 0].tolist()) == [
        value for value in range(1 << n_bits) if value.bit_count() <= radius
    ]


def test_masks_of_long_codes_cross_words():
    masks = flip_masks(72, 2)
    assert masks.shape == (comb(72, 2), 2)
    assert (np.bitwise_count(masks).sum(axis=1) == 2).all()
    assert len(np.unique(masks, axis=0)) == len(masks)


triples = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2**31), st.integers(0, 64)),
    max_size=30,
    unique_by=lambda triple: triple[:2],
)


def build(found: list[tuple[int, int, int]], n_queries: int = 4) -> Neighbors:
    columns = np.array(found, np.int64).reshape(-1, 3).T
    return Neighbors.from_pairs(n_queries, *columns, 7, Work(probed=1, compared=2))


def listed(found: Neighbors) -> list[list[tuple[int, int]]]:
    return [
        list(zip(*(part.tolist() for part in found[q]), strict=True)) for q in range(len(found))
    ]


@given(triples, st.booleans())
def test_pairs_come_out_by_query_distance_and_row(found, wide):
    with pytest.MonkeyPatch.context() as patch:
        if wide:  # too many rows to pack a triple into one integer
            patch.setattr(codes_module, "_KEY_BITS", 0)
        answer = build(found)
    expected = [
        sorted(((r, d) for q, r, d in found if q == query), key=lambda pair: (pair[1], pair[0]))
        for query in range(4)
    ]
    assert listed(answer) == expected
    assert (answer.rows.dtype, answer.distances.dtype) == (np.int64, np.int32)
    assert answer.complete_radius.tolist() == [7] * 4


@given(triples, st.integers(1, 8), st.booleans())
def test_first_keeps_k_and_its_ties(found, k, ties):
    whole = build(found)
    for kept, answer in zip(listed(whole.first(k, ties=ties)), listed(whole), strict=True):
        last = answer[k - 1][1] if ties and len(answer) >= k else -1
        assert kept == [pair for i, pair in enumerate(answer) if i < k or pair[1] == last]


@given(triples, triples)
def test_merge_puts_batches_one_after_the_other(left, right):
    both = merge([build(left), build(right)])
    assert listed(both) == listed(build(left)) + listed(build(right))
    assert (both.work.probed, both.work.compared, len(both.complete_radius)) == (2, 4, 8)


def test_work_adds_up_and_counts_the_tables_of_a_path_once():
    def answer(n_queries: int, work: Work) -> Neighbors:
        return replace(build([], n_queries), work=work)

    found = merge(
        [
            answer(2, Work("multi-index", 6, 10, 20, 0, 30.0)),
            answer(9, Work("table", 1, 5)),
            answer(4, Work("multi-index + scan", 6, 1, 100, 3, 2.0)),
        ]
    )
    assert found.work == Work("table + multi-index + scan", 7, 16, 120, 3, 32.0)
    assert merge([answer(0, Work())]).work == Work()
