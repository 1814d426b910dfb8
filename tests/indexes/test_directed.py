"""Probing by confidence: every set of flips once, in order, and the first by cost for certain."""

from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hashret.codes import Codes
from hashret.indexes.table.index import TableIndex
from hashret.indexes.table.multiprobe import flips_by_cost, probe_by_confidence
from tests.indexes.reference import make_codes

costs_of_8 = st.lists(st.integers(0, 20), min_size=8, max_size=8)


def cost_of(flips: int, costs: list[int]) -> int:
    return sum(cost for bit, cost in enumerate(costs) if flips >> bit & 1)


@given(st.lists(st.integers(0, 20), max_size=8))
def test_every_set_of_flips_comes_once_cheapest_first(costs):
    taken = list(flips_by_cost(costs))
    assert [cost for cost, _ in taken] == sorted(cost for cost, _ in taken)
    assert sorted(flips for _, flips in taken) == list(range(1 << len(costs)))
    assert all(cost == cost_of(flips, costs) for cost, flips in taken)


@given(
    costs_of_8, st.integers(1, 12), st.integers(1, 256), st.integers(0, 2**32), st.integers(1, 60)
)
def test_what_is_found_is_in_the_first_buckets(costs, k, budget, seed, n):
    rng = np.random.default_rng(seed)
    codes = Codes.pack(make_codes("clustered", n, 8, rng))
    centre = rng.integers(0, 256, 1, dtype=np.uint8)
    each = [cost_of(int(code) ^ int(centre[0]), costs) for code in codes.packed[:, 0]]
    found = probe_by_confidence(TableIndex(codes), centre, np.array(costs), k, budget)
    assert found.n_probes <= budget
    assert len(set(found.rows.tolist())) == len(found.rows)
    if found.complete:  # the first k by cost, and all that cost as much as the last
        last = sorted(each)[min(k, n) - 1]
        assert sorted(found.rows.tolist()) == [row for row in range(n) if each[row] <= last]
    else:  # all of the buckets that were looked at, and no other
        assert found.n_probes == budget
        probed = {int(centre[0]) ^ flips for _, flips in islice(flips_by_cost(costs), budget)}
        inside = [row for row in range(n) if int(codes.packed[row, 0]) in probed]
        assert sorted(found.rows.tolist()) == inside


def test_all_buckets_are_a_complete_answer():
    codes = Codes.pack(make_codes("uniform", 40, 8, np.random.default_rng(0)))
    found = probe_by_confidence(TableIndex(codes), codes.packed[0], np.arange(8), 40, 256)
    assert found.complete
    assert len(found.rows) == 40


def test_it_ends_when_k_are_found():
    codes = Codes.pack(make_codes("all-equal", 40, 64, np.random.default_rng(0)))
    found = probe_by_confidence(TableIndex(codes), codes.packed[0], np.arange(1, 65), 10, 10_000)
    assert (found.n_probes, len(found.rows), found.complete) == (1, 40, True)
