"""One contract for every index: the answers of a full comparison, whatever the path."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.arguments import resolve
from hashret.codes import Codes
from hashret.indexes import INDEXES
from hashret.indexes.clusters import ClusterIndex
from hashret.indexes.faiss_binary import FaissFlatIndex
from hashret.indexes.multi_index.index import MultiIndex
from hashret.indexes.planner.planner import PlannedIndex
from hashret.indexes.scan import ScanIndex
from hashret.indexes.table.index import TableIndex
from hashret.indexes.views.delta import UpdatedIndex
from hashret.indexes.views.subset import SubsetIndex
from hashret.row_numbers import Moves, RowNumbers
from tests.indexes.reference import as_lists, codes_and_queries, inside, make_codes, nearest


def updated(codes: Codes, every: int = 2) -> UpdatedIndex:
    """An index of the first two thirds, among as many rows that are gone; the rest is added.

    The gone ones equal those that stay, so that they crowd out the answers.
    """
    n_kept = 2 * len(codes) // 3
    kept = codes.packed[:n_kept]
    former = np.repeat(kept, every, axis=0)
    rows = np.r_[np.arange(0, len(former), every), len(former) + np.arange(len(codes) - n_kept)]
    moved = Moves(RowNumbers(np.arange(len(former))), RowNumbers(rows))
    return UpdatedIndex(ScanIndex(Codes(former)), moved, codes)


# Every index as built by name, and again with its thresholds so low or so high that a few
# hundred codes take the paths of millions.
BUILDS = {name: resolve(INDEXES, name, "index").build for name in INDEXES} | {
    "clusters, one": partial(ClusterIndex, at_most=1),
    "clusters, many": partial(ClusterIndex, at_most=60),
    "scan, small tiles": partial(ScanIndex, tile=7),
    "table, mostly probing": partial(TableIndex, probe_cost=0.05),
    "table, never probing": partial(TableIndex, probe_cost=1e9),
    "multi-index, never giving up": partial(MultiIndex, budget=10**6),
    "multi-index, giving up half way": partial(MultiIndex, budget=40),
    "updated, half gone": updated,
    "updated, most gone": partial(updated, every=9),
    "updated, nothing changed": UpdatedIndex.build,
    "a subset that is all": SubsetIndex.build,
    "multi-index over faiss": lambda codes: MultiIndex(
        codes, budget=0, linear=lambda: FaissFlatIndex(codes)
    ),
}
every_index = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())
few = settings(max_examples=25)
ks = st.one_of(st.integers(1, 12), st.integers(1, 400))
radii = st.one_of(st.integers(0, 4), st.integers(0, 520))


@every_index
@few
@given(codes_and_queries(), ks, st.booleans())
def test_search_gives_the_k_nearest(build, data, k, ties):
    codes, queries = data
    found = build(codes).search(queries, k, ties=ties)
    assert as_lists(found) == nearest(codes, queries, k, ties)
    for query, answer in enumerate(as_lists(found)):
        whole = len(answer) == len(codes)
        assert found.complete_radius[query] == (codes.n_bits if whole else answer[-1][0])


@every_index
@few
@given(codes_and_queries(), radii)
def test_within_gives_the_ball(build, data, radius):
    codes, queries = data
    found = build(codes).within(queries, radius)
    assert as_lists(found) == inside(codes, queries, [radius] * len(queries))
    assert (found.complete_radius == min(radius, codes.n_bits)).all()


@every_index
@few
@given(codes_and_queries(), st.data())
def test_each_query_can_have_its_own_radius(build, data, draw):
    codes, queries = data
    each = draw.draw(st.lists(radii, min_size=len(queries), max_size=len(queries)))
    found = build(codes).within(queries, np.array(each, np.int64))
    assert as_lists(found) == inside(codes, queries, each)
    assert found.complete_radius.tolist() == [min(radius, codes.n_bits) for radius in each]


@every_index
@settings(max_examples=10)
@given(codes_and_queries(max_n=120))
def test_balls_grow_without_duplicates_to_everything(build, data):
    codes, queries = data
    index = build(codes)
    before = [set() for _ in range(len(queries))]
    for radius in sorted({0, 1, 2, 3, 5, codes.n_bits // 2, codes.n_bits}):
        for query, answer in enumerate(as_lists(index.within(queries, radius))):
            rows = {row for _, row in answer}
            assert len(rows) == len(answer)
            assert before[query] <= rows
            before[query] = rows
    assert all(rows == set(range(len(codes))) for rows in before)


@every_index
def test_answers_have_the_promised_types(build):
    codes = Codes.pack(np.eye(16, dtype=bool))
    index = build(codes)
    for found in (index.search(codes, 3), index.within(codes, 2), index.within(codes, 0)):
        assert [a.dtype.name for a in (found.rows, found.distances, found.limits)] == [
            "int64",
            "int32",
            "int64",
        ]
        assert found.complete_radius.shape == (16,)
        assert found.complete_radius.dtype == np.int32
    assert len(index) == 16
    assert index.n_bits == 16
    assert index.n_bytes >= 0
    assert index.supports == {"search", "within"}
    assert index.exact


@every_index
def test_an_answer_says_how_it_came(build):
    codes = Codes.pack(np.random.default_rng(0).random((300, 32)) > 0.5)
    index = build(codes)
    for found in (
        index.search(codes[:3], 3),
        index.within(codes[:3], 4),
        index.within(codes[:1], 0),
    ):
        work = found.work
        assert set(work.path.split(" + ")) <= set(INDEXES) - {"auto"}
        assert work.probed + work.compared > 0
        assert work.n_tables == 0 or "table" in work.path or "multi-index" in work.path
        if work.path == "scan" and not isinstance(index, UpdatedIndex):
            assert work.compared >= len(found) * len(codes)


@every_index
def test_any_number_of_threads_may_ask(build):
    codes = Codes.pack(make_codes("clustered", 400, 64, np.random.default_rng(0)))
    index, scan = build(codes), ScanIndex(codes)
    questions = [(row, 1 + row % 7) for row in range(120)]

    def asked(question):
        row, bound = question
        query = codes[row : row + 1 + row % 5]
        return as_lists(index.search(query, bound)), as_lists(index.within(query, bound % 3))

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(asked, questions * 2))
    for (row, bound), (nearest_rows, ball) in zip(questions * 2, found, strict=True):
        query = codes[row : row + 1 + row % 5]
        assert nearest_rows == as_lists(scan.search(query, bound))
        assert ball == as_lists(scan.within(query, bound % 3))


@every_index
def test_empty_index_and_no_queries(build):
    none, some = Codes.empty(24), Codes.pack(np.ones((3, 24)))
    for codes, queries in [(none, some), (some, none), (none, none)]:
        index = build(codes)
        for found in (
            index.search(queries, 2),
            index.within(queries, 24),
            index.within(queries, 0),
        ):
            assert as_lists(found) == [[] for _ in range(len(queries))]


@every_index
def test_wrong_calls_are_refused(build):
    codes = Codes.pack(np.ones((3, 24)))
    index = build(codes)
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        index.search(codes, 0)
    with pytest.raises(ValueError, match="radius: expected 0 bits or more, got -1"):
        index.within(codes, -1)
    with pytest.raises(ValueError, match="got -2"):
        index.within(codes, np.array([0, 1, -2]))
    with pytest.raises(ValueError, match=r"shape \(3,\), got \(2,\)"):
        index.within(codes, np.array([0, 1]))
    with pytest.raises(TypeError, match="radius: expected an integer"):
        index.within(codes, 1.5)
    for ask in (lambda q: index.search(q, 1), lambda q: index.within(q, 1)):
        with pytest.raises(ValueError, match="expected 24 bits, got 32"):
            ask(Codes.empty(32))


@every_index
def test_the_codes_may_be_a_read_only_map(build, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "codes.npy", rng.integers(0, 4, (50, 8), dtype=np.uint8))
    codes = Codes(np.load(tmp_path / "codes.npy", mmap_mode="r"))
    assert as_lists(build(codes).search(codes, 3)) == nearest(codes, codes, 3, False)


def test_the_planner_is_the_default_and_listed():
    assert resolve(INDEXES, "auto", "index") is PlannedIndex
