"""What clusters promise beyond the contract: few comparisons, and the same with every size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret import kernels as compiled
from hashret.codes import Codes
from hashret.indexes.clusters import ClusterIndex, assigned, choose_centres
from hashret.indexes.scan import ScanIndex
from tests.indexes.reference import (
    FAMILIES,
    WIDTHS,
    around,
    as_lists,
    codes_and_queries,
    make_codes,
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_bits", [8, 72, 128])
def test_thousands_are_answered_as_a_scan_does(family, n_bits):
    """So many that tiles, blocks of queries and what is kept of a query overflow."""
    rng = np.random.default_rng(0)
    codes = Codes.pack(make_codes(family, 4000, n_bits, rng))
    queries = Codes.pack(make_codes(family, 300, n_bits, rng))
    index, scan = ClusterIndex(codes), ScanIndex(codes)
    asks = [lambda i: i.within(queries, np.arange(300) % 7), lambda i: i.search(queries, 3)]
    asks += [lambda i, k=k: i.search(queries[:3], k, ties=True) for k in (1, 90, 3999)]
    asks += [lambda i: i.search(queries[:1], 1200), lambda i: i.search(queries, 70)]
    for ask in asks:
        found, expected = ask(index), ask(scan)
        for part in ("limits", "rows", "distances", "complete_radius"):
            assert (getattr(found, part) == getattr(expected, part)).all()


@settings(max_examples=30)
@given(codes_and_queries(), st.integers(0, 400), st.integers(1, 20), st.integers(0, 30))
def test_answers_do_not_depend_on_the_number_of_centres(data, n_centres, k, radius):
    codes, queries = data
    index, one = (ClusterIndex(codes, at_most=m) for m in (n_centres, 1))
    assert as_lists(index.search(queries, k)) == as_lists(one.search(queries, k))
    assert as_lists(index.within(queries, radius)) == as_lists(one.within(queries, radius))


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_the_nearest_centre_is_that_of_a_full_comparison(n_bits):
    codes = Codes.pack(make_codes("uniform", 500, n_bits, np.random.default_rng(0)))
    centres = choose_centres(codes, 40)
    clusters, distances = assigned(codes, centres)
    near = (codes.bits[:, None] != centres.bits[None]).sum(axis=2)
    assert (clusters == near.argmin(axis=1)).all()
    assert (distances == near.min(axis=1)).all()


def test_centres_are_distinct_and_there_is_one_of_any():
    codes = around(2000, 64, 20, 0.05)
    for wanted in (0, 1, 30, 10**6):
        centres = choose_centres(codes, wanted)
        assert 1 <= len(centres) <= max(1, wanted)
        assert centres.n_distinct() == len(centres)
    assert len(choose_centres(codes[:1], 5)) == 1
    assert len(choose_centres(Codes.empty(64), 5)) == 0


@pytest.mark.parametrize("n_bits", [64, 128])
def test_of_clustered_codes_few_are_compared(n_bits):
    codes, queries = around(20_000, n_bits, 100, 0.06), around(50, n_bits, 100, 0.06, seed=2)
    index = ClusterIndex(codes)
    for found in (index.within(queries, 3), index.search(queries, 10)):
        assert found.work.compared < len(queries) * len(codes) / 8
        assert 0 < found.work.probed < len(queries) * 70  # half the root of 20,000 are the clusters


def test_of_uniform_codes_all_are_compared_and_nothing_is_lost():
    codes = Codes.pack(make_codes("uniform", 5000, 128, np.random.default_rng(0)))
    found = ClusterIndex(codes).search(codes[:20], 10)
    assert found.work.compared > 20 * len(codes) / 2
    assert as_lists(found) == as_lists(ScanIndex(codes).search(codes[:20], 10))


def test_kernels_build_and_answer_what_numpy_does(kernels, monkeypatch):
    codes, queries = around(3000, 72, 30, 0.05), around(20, 72, 30, 0.05, seed=2)
    index = ClusterIndex(codes)
    here = [index.within(queries, 9), index.search(queries, 5)]
    held = index.n_bytes, index._arrays
    monkeypatch.setattr(compiled, "_refused", False)
    if kernels == "compiled":
        monkeypatch.setattr(compiled, "_loaded", None)
    else:
        pytest.importorskip("numba", reason="the extra hashret[fast] is not installed")
        assert compiled.enable() is not None
    other = ClusterIndex(codes)
    assert other.n_bytes == held[0]
    for mine, theirs in zip(held[1], other._arrays, strict=True):
        assert (mine == theirs).all()
    assert here[0].work.compared == index.within(queries, 9).work.compared
    assert [as_lists(f) for f in here] == [
        as_lists(f) for f in (index.within(queries, 9), index.search(queries, 5))
    ]
