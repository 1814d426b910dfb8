"""The planner's choices: nothing heavy for one question, the right path for many."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hashret.codes import Codes
from hashret.indexes import costs
from hashret.indexes.planner import PlannedIndex
from hashret.indexes.scan import ScanIndex
from tests.indexes.reference import as_lists, make_codes


def slow(monkeypatch, **changes):
    for name in ("NUMPY", "COMPILED"):
        monkeypatch.setattr(costs, name, replace(getattr(costs, name), **changes))


@pytest.fixture
def large(monkeypatch):
    """20,000 clustered codes that the planner takes for something slow to scan."""
    slow(monkeypatch, scan_word=100.0, flat_word=60.0)
    return Codes.pack(make_codes("clustered", 20_000, 64, np.random.default_rng(0)))


def test_one_question_is_a_scan():
    codes = Codes.pack(make_codes("clustered", 20_000, 64, np.random.default_rng(0)))
    index = PlannedIndex(codes)
    index.search(codes[:1], 10)
    index.within(codes[:1], 2)
    index.within(codes[:1], 0)
    assert index.built == {"scan"}


def test_many_buckets_build_the_table(large):
    index = PlannedIndex(large)
    found = index.within(large[:500], 0)
    assert (index.last_path, index.built) == ("table", {"table"})
    assert as_lists(found) == as_lists(ScanIndex(large).within(large[:500], 0))


def test_questions_one_by_one_earn_a_table(large):
    index = PlannedIndex(large)
    paths = []
    for row in range(20):
        index.within(large[row : row + 1], 0)
        paths.append(index.last_path)
    assert paths[0] == "scan"
    assert paths[-1] == "table"


def test_a_wider_ball_takes_substrings(large):
    index = PlannedIndex(large)
    found = index.within(large[:300], 3)
    assert index.last_path == "multi-index"
    assert as_lists(found) == as_lists(ScanIndex(large).within(large[:300], 3))


def test_the_widest_ball_is_compared_whole(large):
    index = PlannedIndex(large[:2000])
    found = index.within(large[:5], 64)
    assert index.last_path == "scan"
    assert len(found.rows) == 5 * 2000


def test_where_substrings_fail_the_rest_of_the_batch_is_compared_whole(monkeypatch):
    slow(monkeypatch, scan_word=100.0, flat_word=20.0)
    monkeypatch.setattr(costs, "FLAT_LOAD", 0.0)
    codes = Codes.pack(make_codes("uniform", 20_000, 64, np.random.default_rng(0)))
    index = PlannedIndex(codes)
    found = index.search(codes[:300], 10)
    assert index.built >= {"multi-index", "faiss-flat"}
    assert index.last_path == "faiss-flat"
    assert as_lists(found) == as_lists(ScanIndex(codes).search(codes[:300], 10))
    index.search(codes[:300], 10)
    assert index.last_path == "faiss-flat"  # it has learned


def test_where_substrings_serve_they_stay(large, monkeypatch):
    index = PlannedIndex(large)
    queries = large[:300]
    found = index.search(queries, 2)
    again = index.search(queries, 2)
    assert index.last_path == "multi-index"
    reference = as_lists(ScanIndex(large).search(queries, 2))
    assert as_lists(found) == as_lists(again) == reference


def test_one_question_in_a_fresh_process_loads_neither_faiss_nor_torch():
    script = (
        "import sys, numpy as np; from hashret.codes import Codes; "
        "from hashret.indexes import INDEXES; "
        "assert 'hashret.indexes.scan' not in sys.modules; "
        "from hashret.registry import resolve; "
        "codes = Codes(np.zeros((50, 8), np.uint8)); "
        "resolve(INDEXES, 'auto', 'index').build(codes).search(codes[:1], 3); "
        "print([m for m in ('faiss', 'torch', 'scipy', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
