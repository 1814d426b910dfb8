"""Each code once: nothing is lost or doubled, and whoever builds on it answers as before."""

import numpy as np
import pytest
from hypothesis import given

from hashret.codes import Codes
from hashret.indexes import distinct
from hashret.indexes.clusters import ClusterIndex
from hashret.indexes.distinct import DistinctCodes
from hashret.indexes.multi_index.index import MultiIndex
from hashret.indexes.scan import ScanIndex
from tests.indexes.reference import as_lists, codes_and_queries, make_codes


@given(codes_and_queries())
def test_every_row_is_named_once_by_its_own_code(data):
    codes, _ = data
    each = DistinctCodes.of(codes)
    which, rows = each.runs.rows_of(each.references)
    assert sorted(rows.tolist()) == list(range(len(codes)))
    assert (each.codes.packed[which] == codes.packed[rows]).all()
    repeat = codes.n_distinct() <= len(codes) * 7 / 8  # no hash of so few meets another's
    assert len(each) == (codes.n_distinct() if repeat else len(codes))
    assert each.runs.lengths(each.references).sum() == len(codes)


@given(codes_and_queries())
def test_codes_come_by_their_first_rows_and_rows_ascend(data):
    each = DistinctCodes.of(data[0])
    which, rows = each.runs.rows_of(each.references)
    firsts = rows[np.flatnonzero(np.diff(which, prepend=-1))]
    assert (np.diff(firsts.astype(np.int64)) > 0).all()
    assert (np.diff(rows.astype(np.int64))[np.diff(which) == 0] > 0).all()


def test_where_few_codes_repeat_all_are_taken_as_they_are():
    codes = Codes.pack(np.eye(64, dtype=bool)[[*range(64), 5, 6]])
    each = DistinctCodes.of(codes)
    assert each.codes is codes
    assert each.references.tolist() == list(range(66))
    assert each.runs.n_bytes == 4  # of no run the limit


@pytest.mark.parametrize("index_of", [MultiIndex, ClusterIndex])
@pytest.mark.parametrize("n_bits", [16, 64, 128])
def test_a_code_that_stands_there_twice_changes_no_answer(index_of, n_bits, monkeypatch):
    """As where hashes meet: here all do, so that only neighbouring rows with one code are a run."""
    monkeypatch.setattr(distinct.LinearHash, "__call__", lambda self, words: 0 * words[:, 0])
    once = make_codes("duplicates", 200, n_bits, np.random.default_rng(0))
    codes = Codes.pack(np.concatenate([np.repeat(once, 2, axis=0), once]))
    queries = codes[:20]
    each = DistinctCodes.of(codes)
    assert codes.n_distinct() < len(each) < len(codes)
    monkeypatch.undo()
    monkeypatch.setattr(DistinctCodes, "of", lambda _: each)
    index, scan = index_of(codes), ScanIndex(codes)
    for k in (1, 3, 150, 599):
        for ties in (False, True):
            expected = as_lists(scan.search(queries, k, ties=ties))
            assert as_lists(index.search(queries, k, ties=ties)) == expected
    assert as_lists(index.within(queries, 2)) == as_lists(scan.within(queries, 2))


@pytest.mark.parametrize("index_of", [MultiIndex, ClusterIndex])
@pytest.mark.parametrize("n_bits", [64, 128])
def test_of_many_long_runs_at_one_distance_the_first_rows_are_taken(index_of, n_bits):
    bits = np.zeros((50 * n_bits, n_bits), bool)
    bits[np.arange(len(bits)), np.random.default_rng(0).permutation(len(bits)) % n_bits] = True
    codes, query = Codes.pack(bits), Codes.pack(np.zeros((1, n_bits), bool))
    index = index_of(codes)
    assert len(DistinctCodes.of(codes)) == n_bits
    for k in (1, 70, 1000):
        assert index.search(query, k).rows.tolist() == list(range(k))
    assert index.search(query, 5, ties=True).rows.tolist() == list(range(len(codes)))
    assert index.within(query, 1).rows.tolist() == list(range(len(codes)))


def test_more_rows_than_references_can_name_are_refused(monkeypatch):
    monkeypatch.setattr(distinct, "RUN", 3)
    assert len(DistinctCodes.of(Codes.pack(np.eye(3, 8, dtype=bool)))) == 3
    with pytest.raises(ValueError, match=r"expected at most .* got 4"):
        DistinctCodes.of(Codes.pack(np.eye(4, 8, dtype=bool)))
