"""Approximate indexes: what they still promise, and that they are as good as they say."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.arguments import resolve
from hashret.codes import Codes, hamming
from hashret.indexes import APPROXIMATE, INDEXES
from hashret.indexes.base import approximation_of
from hashret.indexes.faiss_approximate import (
    FaissHashIndex,
    FaissHNSWIndex,
    FaissIVFIndex,
    FaissMultiHashIndex,
)
from hashret.indexes.faiss_binary import FaissFlatIndex
from hashret.indexes.views.delta import UpdatedApproximateIndex
from hashret.row_numbers import Moves, RowNumbers
from tests.indexes.reference import as_lists, codes_and_queries, make_codes, nearest

NAMED = {name: resolve(APPROXIMATE, name, "index").build for name in APPROXIMATE}


def updated(codes: Codes) -> UpdatedApproximateIndex:
    """An HNSW of every other row that equals one of the first two thirds; the rest is added."""
    n_kept = 2 * len(codes) // 3
    former = Codes(np.repeat(codes.packed[:n_kept], 2, axis=0))
    rows = np.r_[np.arange(0, len(former), 2), len(former) + np.arange(len(codes) - n_kept)]
    moved = Moves(RowNumbers(np.arange(len(former))), RowNumbers(rows))
    return UpdatedApproximateIndex(FaissHNSWIndex(former), moved, codes)


# as built by name, and so starved that most answers come back short
BUILDS = NAMED | {
    "hnsw, narrow": partial(FaissHNSWIndex, M=2, efConstruction=1, efSearch=1),
    "ivf, a code or two a list": lambda codes: FaissIVFIndex(
        codes, nlist=max(1, len(codes) // 3), nprobe=1
    ),
    "hash, no flips": partial(FaissHashIndex, b=8, nflip=0),
    "multihash, no flips": partial(FaissMultiHashIndex, nhash=1, b=8, nflip=0),
    "updated": updated,
}
every_index = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())
by_name = pytest.mark.parametrize("name", sorted(NAMED))


@every_index
@settings(max_examples=25)
@given(codes_and_queries(), st.one_of(st.integers(1, 12), st.integers(1, 400)), st.booleans())
def test_k_true_distances_and_no_row_twice(build, data, k, ties):
    codes, queries = data
    found = build(codes).search(queries, k, ties=ties)
    distances = hamming(queries, codes)
    for query, answer in enumerate(as_lists(found)):
        assert answer == sorted(answer)
        assert len({row for _, row in answer}) == len(answer)
        assert all(distances[query, row] == distance for distance, row in answer)
        assert len(answer) >= min(k, len(codes))
        if not ties:
            assert len(answer) == min(k, len(codes))
        elif len(answer) > k:
            assert answer[-1][0] == answer[k - 1][0]
    assert (found.complete_radius == -1).all()


@every_index
@given(codes_and_queries(max_n=55), st.integers(1, 60))
@settings(max_examples=10)
def test_all_of_a_small_collection_is_searched(build, data, k):
    codes, queries = data
    assert as_lists(build(codes).search(queries, k)) == nearest(codes, queries, k, False)


def measured(index, codes: Codes, queries: Codes, k: int) -> np.ndarray:
    """The recall of each query, ties at the k-th distance being as good as one another."""
    truth = FaissFlatIndex(codes).search(queries, k).distances.reshape(len(queries), k)
    found = index.search(queries, k).distances.reshape(len(queries), k)
    return (found <= truth[:, -1:]).mean(axis=1)


@pytest.mark.parametrize("n_bits", [32, 64, 128])
@by_name
def test_the_recall_said_is_the_recall_met(name, n_bits):
    rng = np.random.default_rng(n_bits)
    centres = rng.random((60, n_bits)) < 0.5
    bits = centres[rng.integers(0, 60, 9000)] ^ (rng.random((9000, n_bits)) < 0.1)
    codes, queries = Codes.pack(bits[:8000]), Codes.pack(bits[8000:])
    index = NAMED[name](codes)
    said = index.approximation
    assert (said.index, said.k, said.n_queries) == (name, 10, 256)
    met = measured(index, codes, queries, 10)
    # two samples of one distribution: five standard errors of the difference of their means
    error = met.std() * np.sqrt(1 / said.n_queries + 1 / len(met))
    assert abs(said.recall - met.mean()) <= 5 * error + 1e-9


@by_name
def test_a_worse_index_says_so(name):
    rng = np.random.default_rng(1)
    codes = Codes.pack(make_codes("uniform", 4000, 64, rng))
    starved = {
        "faiss-hnsw": {"M": 2, "efConstruction": 1, "efSearch": 1},
        "faiss-ivf": {"nlist": 500, "nprobe": 1},
        "faiss-hash": {"b": 6, "nflip": 0},
        "faiss-multihash": {"nhash": 1, "b": 6, "nflip": 0},
    }
    index = resolve(APPROXIMATE, name, "index")(codes, **starved[name])
    assert dict(index.approximation.parameters) == starved[name]
    queries = Codes.pack(make_codes("uniform", 200, 64, rng))
    met = measured(index, codes, queries, 10).mean()
    assert met < 0.9
    assert abs(index.approximation.recall - met) < 0.15


def test_ever_more_flips_find_everything():
    rng = np.random.default_rng(2)
    bits = make_codes("clustered", 2000, 32, rng)
    codes, queries = Codes.pack(bits[:1900]), Codes.pack(bits[1900:])
    recall = [
        measured(FaissHashIndex(codes, b=8, nflip=nflip), codes, queries, 10).mean()
        for nflip in (1, 8)
    ]
    assert recall[0] < recall[1] == 1.0


@by_name
def test_what_it_is(name):
    rng = np.random.default_rng(3)
    codes = Codes.pack(make_codes("clustered", 500, 64, rng))
    index = NAMED[name](codes)
    assert (len(index), index.n_bits) == (500, 64)
    assert not index.exact
    assert index.supports == {"search"}
    assert index.n_bytes > codes.packed.nbytes
    assert approximation_of(index) is index.approximation
    assert str(index.approximation).startswith(f"approximate ({name}): recall@10 ")
    with pytest.raises(ValueError, match=f"every row within a radius, got {name}"):
        index.within(codes, 3)
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        index.search(codes, 0)
    with pytest.raises(ValueError, match="expected 64 bits, got 32"):
        index.search(Codes.empty(32), 1)


@by_name
def test_the_same_codes_give_the_same_index(name):
    rng = np.random.default_rng(4)
    codes = Codes.pack(make_codes("uniform", 1500, 64, rng))
    one, other = NAMED[name](codes), NAMED[name](codes)
    assert one.approximation == other.approximation
    assert as_lists(one.search(codes[:50], 5)) == as_lists(other.search(codes[:50], 5))


@pytest.mark.parametrize("n", [0, 1, 3])
@by_name
def test_too_few_codes_to_measure(name, n):
    index = NAMED[name](Codes.empty(64) if n == 0 else Codes.pack(np.eye(64)[:n]))
    assert index.approximation.recall is None
    assert "not measured" in str(index.approximation)
    assert len(index.search(Codes.pack(np.eye(64)[:2]), 10).rows) == 2 * n


@pytest.mark.parametrize(
    ("index", "wrong", "says"),
    [
        (FaissHNSWIndex, {"M": 1}, "M: expected at least 2, got 1"),
        (FaissHNSWIndex, {"efSearch": 0}, "efSearch: expected at least 1, got 0"),
        (FaissIVFIndex, {"nlist": 0}, "nlist: expected at least 1, got 0"),
        (FaissIVFIndex, {"nlist": 300}, "got 300 lists for 500 codes"),
        (FaissIVFIndex, {"nprobe": 0}, "nprobe: expected at least 1, got 0"),
        (FaissHashIndex, {"b": 33}, "b: expected 1 to 32 bits, got 33"),
        (FaissHashIndex, {"nflip": -1}, "nflip: expected at least 0, got -1"),
        (FaissMultiHashIndex, {"nhash": 5, "b": 16}, "expected at most 4 tables over 16 of 64"),
    ],
)
def test_wrong_parameters_are_refused(index, wrong, says):
    codes = Codes.pack(np.random.default_rng(5).random((500, 64)) < 0.5)
    with pytest.raises(ValueError, match=says):
        index(codes, **wrong)


def test_exact_and_approximate_names_are_told_apart():
    assert not set(INDEXES) & set(APPROXIMATE)
    assert all(resolve(INDEXES, name, "index").exact for name in INDEXES)
    codes = Codes.pack(np.eye(16))
    assert all(approximation_of(resolve(INDEXES, n, "index").build(codes)) is None for n in INDEXES)


def test_an_index_that_only_says_that_it_is_not_exact_is_labelled():
    class Guessing(FaissFlatIndex):
        exact = False

    said = approximation_of(Guessing(Codes.pack(np.eye(16))))
    assert said is not None
    assert (said.index, said.recall) == ("Guessing", None)
