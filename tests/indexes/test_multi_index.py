"""What multi-index hashing promises beyond the contract: little work, and a bound on it."""

from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.codes import Codes
from hashret.indexes.multi_index import substrings
from hashret.indexes.multi_index.index import MultiIndex
from hashret.indexes.multi_index.substrings import SubstringTable, cut, slot_bits
from tests.indexes.reference import WIDTHS, codes_and_queries, make_codes


@pytest.mark.parametrize("n_bits", WIDTHS)
@pytest.mark.parametrize("n", [0, 1, 1000, 10**9])
def test_the_substrings_partition_the_code(n_bits, n):
    parts = cut(n_bits, n)
    assert parts[0].start == 0
    assert all(a.start + a.length == b.start for a, b in pairwise(parts))
    assert parts[-1].start + parts[-1].length == n_bits
    assert max(p.length for p in parts) - min(p.length for p in parts) <= 1
    assert max(p.length for p in parts) <= 31


@pytest.mark.parametrize("n_bits", [72, 128])
def test_a_substring_is_its_bits(n_bits):
    codes = Codes.pack(make_codes("uniform", 20, n_bits, np.random.default_rng(0)))
    for part in cut(n_bits, 10**6):
        bits = codes.bits[:, part.start : part.start + part.length]
        expected = [sum(int(bit) << i for i, bit in enumerate(row)) for row in bits]
        assert part.of(codes.words).tolist() == expected


@given(codes_and_queries(), st.booleans())
def test_a_table_filled_in_chunks_has_each_code_in_its_slot(data, inline):
    codes, _ = data
    words, n = codes.words, len(codes)
    part = cut(codes.n_bits, n)[-1]
    offsets = np.full((1 << slot_bits(part.length, n)) + 1, 7, np.uint32)
    places, inlined = np.empty(n, np.uint32), np.empty(n, np.uint64) if inline else None
    with patch.object(substrings, "_CHUNK", 8):
        table = SubstringTable(words, part, offsets=offsets, places=places, inlined=inlined)
    slots = (table.hashed(words) >> table.shift).tolist()
    assert [places[a:b].tolist() for a, b in pairwise(offsets.tolist())] == [
        [row for row in range(n) if slots[row] == slot] for slot in range(len(offsets) - 1)
    ]
    if inlined is not None:
        assert inlined.tolist() == words[places, 0].tolist()


def near_pairs(n: int, n_bits: int) -> tuple[Codes, Codes]:
    """Uniform codes, and queries one bit away from the first of them."""
    bits = make_codes("uniform", n, n_bits, np.random.default_rng(0))
    queries = bits[:40].copy()
    queries[np.arange(40), np.arange(40)] ^= True
    return Codes.pack(bits), Codes.pack(queries)


@pytest.mark.parametrize("n_bits", [64, 128])
def test_a_near_neighbour_is_certified_with_little_work(n_bits):
    codes, queries = near_pairs(20_000, n_bits)
    found = MultiIndex(codes).search(queries, 1)
    assert found.rows.tolist() == list(range(40))
    assert (found.distances == 1).all()
    assert found.work.probed + found.work.compared < 20 * 40  # of 800,000 comparisons


def test_the_budget_bounds_the_work_before_the_scan():
    codes, queries = near_pairs(20_000, 64)
    generous = MultiIndex(codes, budget=10**9).search(queries, 10)
    bounded = MultiIndex(codes, budget=300).search(queries, 10)
    assert bounded.work.probed <= 300 * len(queries)
    # a kernel counts a candidate a quarter, since they follow one another in memory
    assert bounded.work.compared <= (4 * 300 + len(codes)) * len(queries)
    assert bounded.work.compared >= len(codes) * len(queries)  # uniform codes: all are given up
    assert (generous.rows == bounded.rows).all()


def test_a_crowded_slot_is_given_up_not_gathered():
    # alike in all substrings but the last, so that the others have one slot each
    bits = np.zeros((30_000, 64), bool)
    bits[:, -16:] = np.random.default_rng(0).permutation(1 << 16)[:30_000, None] >> range(16) & 1
    codes = Codes.pack(bits)
    found = MultiIndex(codes).search(codes[:2], 5)
    assert found.work.compared == 2 * len(codes)
    assert found.rows[[0, 5]].tolist() == [0, 1]


@pytest.mark.parametrize("n_bits", [64, 128])
def test_equal_codes_are_compared_once(n_bits):
    codes = Codes.pack(make_codes("all-equal", 30_000, n_bits, np.random.default_rng(0)))
    index = MultiIndex(codes)
    assert index.search(codes[:2], 5).work.compared <= 2 * index.n_tables
    assert index.within(codes[:2], 3).work.compared <= 2 * index.n_tables
    assert index.search(codes[:2], 5).rows.tolist() == [0, 1, 2, 3, 4] * 2
    assert index.within(codes[:2], 3).rows.tolist() == list(range(30_000)) * 2
