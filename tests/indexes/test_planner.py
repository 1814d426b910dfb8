"""The planner's choices: nothing heavy for one question, the right path for many."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hashret import kernels
from hashret.codes import Codes
from hashret.indexes import faiss_binary
from hashret.indexes.clusters import ClusterIndex
from hashret.indexes.costs import Call, fading
from hashret.indexes.planner import cost_model, timings
from hashret.indexes.planner.cost_model import Prospects
from hashret.indexes.planner.planner import PlannedIndex
from hashret.indexes.scan import ScanIndex
from tests.indexes.reference import around, as_lists, make_codes


def dotted(changes):
    """Costs by the names that `cost_model` has for them: "multi-index.work" for multi_work."""
    paths = {"multi": "multi-index", "flat": "faiss-flat"}
    parts = [(*name.split("_"), value) for name, value in changes.items()]
    return {f"{paths.get(path, path)}.{field}": value for path, field, value in parts}


def slow(monkeypatch, **changes):
    """Estimates of another machine, which no clock corrects; clusters compare as slowly as a scan."""
    monkeypatch.setattr(timings, "_PRIOR", 1e12)
    for with_kernels, given in dict(cost_model.GIVEN).items():
        known = cost_model.as_numbers(given)
        known["clusters.word"] *= changes["scan_word"] / known["scan.word"]
        slower = cost_model.from_numbers(known | dotted(changes))
        monkeypatch.setitem(cost_model.GIVEN, with_kernels, slower)


def main_path(found):
    """The path that answered most of the queries."""
    return found.work.path.split(" + ")[0]


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
    assert (main_path(found), index.built) == ("table", {"table"})
    assert as_lists(found) == as_lists(ScanIndex(large).within(large[:500], 0))


def test_questions_one_by_one_earn_a_table(large):
    index = PlannedIndex(large)
    paths = []
    for row in range(20):
        paths.append(main_path(index.within(large[row : row + 1], 0)))
    assert paths[0] == "scan"
    assert paths[-1] == "table"


def test_a_cheap_build_does_not_come_first_where_a_better_one_is_nearly_earned(large, monkeypatch):
    index = PlannedIndex(large)
    builds = {"table": 1.4e8, "multi-index": 1e8, "faiss-flat": 1e12, "clusters": 1e12}
    monkeypatch.setattr(index, "_build_cost", builds.__getitem__)
    for row in range(200):
        index.within(large[row : row + 1], 0)
    assert index.built == {"scan", "table"}


def test_a_wider_ball_takes_substrings(large):
    index = PlannedIndex(large)
    found = index.within(large[:300], 3)
    assert main_path(found) == "multi-index"
    assert as_lists(found) == as_lists(ScanIndex(large).within(large[:300], 3))


def test_an_answer_names_all_its_paths(large, monkeypatch):
    index, taken = PlannedIndex(large), []
    answers = index._answers
    monkeypatch.setattr(
        index, "_answers", lambda name, *given: (taken.append(name), answers(name, *given))[1]
    )
    for _ in range(50):
        taken.clear()
        named = index.within(large[:3000], 3).work.path.split(" + ")
        assert set(taken) <= set(named) <= {*taken, named[0], "scan"}  # for queries given up
        assert len(named) == len(set(named))
        if len(set(taken)) > 1:
            return
    pytest.fail("no batch was split for a trial")


def test_threads_share_what_one_of_them_built(large):
    index, scan = PlannedIndex(large), ScanIndex(large)
    questions = [(start, radius) for start in range(0, 2000, 100) for radius in (0, 0, 1, 3)]

    def asked(question):
        start, radius = question
        queries = large[start : start + 1 + start % 7]
        return as_lists(index.within(queries, radius)), as_lists(index.search(queries, 1 + radius))

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(asked, questions * 3))
    assert len(index.built) > 1
    for (start, radius), (ball, nearest) in zip(questions * 3, found, strict=True):
        queries = large[start : start + 1 + start % 7]
        assert ball == as_lists(scan.within(queries, radius))
        assert nearest == as_lists(scan.search(queries, 1 + radius))


def test_the_widest_ball_is_compared_whole(large):
    index = PlannedIndex(large[:2000])
    found = index.within(large[:5], 64)
    assert main_path(found) == "scan"
    assert len(found.rows) == 5 * 2000


def test_where_substrings_fail_the_rest_of_the_batch_is_compared_whole(monkeypatch):
    slow(monkeypatch, scan_word=100.0, flat_word=20.0)
    monkeypatch.setattr(faiss_binary, "_LOAD_NS", 0.0)
    codes = Codes.pack(make_codes("uniform", 20_000, 64, np.random.default_rng(0)))
    index = PlannedIndex(codes)
    found = index.search(codes[:300], 10)
    assert index.built >= {"multi-index", "faiss-flat"}
    assert main_path(found) == "faiss-flat"
    assert as_lists(found) == as_lists(ScanIndex(codes).search(codes[:300], 10))
    assert main_path(index.search(codes[:300], 10)) == "faiss-flat"  # it has learned


def test_where_substrings_serve_they_stay(monkeypatch):
    slow(monkeypatch, scan_word=100.0, flat_word=60.0)
    codes = Codes.pack(make_codes("uniform", 20_000, 64, np.random.default_rng(0)))
    index = PlannedIndex(codes)
    queries = codes[:300]
    found = index.search(queries, 1)
    again = index.search(queries, 1)
    assert main_path(again) == "multi-index"
    assert as_lists(found) == as_lists(again) == as_lists(ScanIndex(codes).search(queries, 1))


@pytest.mark.parametrize("batch", [1, 300])
def test_clusters_are_built_where_neighbours_are_far_and_codes_clustered(monkeypatch, batch):
    slow(monkeypatch, scan_word=100.0, flat_word=100.0, multi_work=1e6, clusters_pair=0.1)
    monkeypatch.setattr(cost_model, "LOOK", 1e5)
    codes, queries = around(20_000, 128, 60, 0.05), around(300, 128, 60, 0.05, seed=2)
    index = PlannedIndex(codes)
    scan, paths = ScanIndex(codes), []
    for start in range(0, 300, batch):
        some = queries[start : start + batch]
        found = index.search(some, 10)
        assert as_lists(found) == as_lists(scan.search(some, 10))
        paths.append(main_path(found))
    # the planner may have another path on trial in one of them
    assert "clusters" in paths[-3:]
    assert "clusters" in [main_path(index.within(queries, 7)) for _ in range(3)]


def test_an_answer_may_teach_that_its_path_was_none(monkeypatch):
    slow(monkeypatch, scan_word=100.0, flat_word=100.0, multi_work=1e6, clusters_pair=0.1)
    monkeypatch.setattr(cost_model, "LOOK", 1e5)
    codes, queries = around(20_000, 128, 60, 0.05), around(300, 128, 60, 0.05, seed=2)
    index = PlannedIndex(codes)
    index.search(queries[:1], 10)  # tells how far answers reach
    learn = Prospects.learn

    def learn_that_it_is_far(prospects, question, n_queries, found):
        learn(prospects, question, n_queries, found)
        prospects._reach[question.kind] = 128.0

    monkeypatch.setattr(Prospects, "learn", learn_that_it_is_far)
    # the first few queries only warm a path; what they teach must not stop those after them
    found = index.search(queries, 10)
    assert "clusters" in index.built
    assert as_lists(found) == as_lists(ScanIndex(codes).search(queries, 10))


@pytest.mark.parametrize("times", [10, 30])
def test_clusters_of_uniform_codes_are_built_only_to_be_tried(monkeypatch, times):
    """Once the questions have taken 16 times the build; and then the clock decides."""
    monkeypatch.setattr(cost_model, "LOOK", 0.0)
    monkeypatch.setattr(kernels, "available", lambda: False)
    codes = Codes.pack(make_codes("uniform", 2000, 64, np.random.default_rng(0)))
    index, now = PlannedIndex(codes), [0]
    monkeypatch.setattr(timings, "clock", lambda: now[0])
    prospects = index._prospects.expected
    believed = {"scan": 100_000.0, "clusters": 150_000.0}
    monkeypatch.setattr(
        index._prospects,
        "expected",
        lambda *asked: {name: believed[name] for name in prospects(*asked) if name in believed},
    )
    monkeypatch.setattr(index, "_build_cost", lambda name: 1e6)
    index._parts["scan"] = Timed(ScanIndex(codes), now, 0, 100_000.0, lambda: 1.0)
    dearer = Timed(ScanIndex(codes), now, 0, 300_000.0, lambda: 1.0)
    monkeypatch.setitem(index._builders, "clusters", lambda: dearer)
    for _ in range(10 * times):
        index.search(codes[:1], 10)
    assert ("clusters" in index.built) == (times > 16)
    if "clusters" in index.built:
        paths = []
        for _ in range(1000):
            index.search(codes[:1], 10)
            paths.append(last_asked(index))
        assert paths.count("scan") > 950


def test_a_look_is_taken_when_it_costs_little_beside_the_questions(monkeypatch):
    monkeypatch.setattr(kernels, "available", lambda: False)
    codes = around(20_000, 64, 100, 0.06)
    index = PlannedIndex(codes)
    index.search(codes[:1], 10)
    index.within(codes[:10], 3)
    assert index._prospects.may_look
    monkeypatch.setattr(cost_model, "LOOK", 1e4)
    index.search(codes[:500], 10)
    assert not index._prospects.may_look
    few = PlannedIndex(codes[:200])
    few.search(codes[:500], 10)
    assert "clusters" not in few.built
    assert not few._prospects.may_look


def test_how_far_answers_reach_is_a_fading_mean():
    reach = fading(None, 20.0, 1)
    assert reach == 20
    for _ in range(100):
        reach = fading(reach, 6.0, 8)
    assert reach == pytest.approx(6)


def test_a_sample_tells_what_clusters_would_compare():
    codes, queries = around(40_000, 64, 200, 0.08), around(200, 64, 200, 0.08, seed=2)
    prospects, index = Prospects(codes), ClusterIndex(codes)
    prospects.look()
    for radius in (1, 3, 6):
        told = prospects._share(Call(1, radius=radius))
        compared = index.within(queries, radius).work.compared / len(queries) - len(index._centres)
        assert told == pytest.approx(compared / len(codes), rel=0.5)
        assert index.share(queries, radius) == pytest.approx(compared / len(codes))


@pytest.fixture
def clocked(monkeypatch):
    """Codes, a planner over them, and its clock, which only `Timed` paths move."""
    codes = Codes.pack(make_codes("uniform", 300, 64, np.random.default_rng(0)))
    now = [0]
    monkeypatch.setattr(timings, "clock", lambda: now[0])
    monkeypatch.setattr(kernels, "available", lambda: False)  # no kernels are about to be loaded
    return codes, PlannedIndex(codes), now


def believe(monkeypatch, index, each):
    """Estimates of so many ns a query by each path, whatever the question."""
    monkeypatch.setattr(
        index,
        "_expected",
        lambda asked, _: {name: asked.n_queries * ns for name, ns in each.items()},
    )


class Timed:
    """An index whose answers take so many ns of a clock of their own, times what `noise` draws."""

    asked = None  # the one that was asked last

    def __init__(self, index, clock, call, each, noise):
        self._index, self._clock, self._times, self._noise = index, clock, (call, each), noise
        self._last = None  # the last question and its answer: thousands of questions are alike

    def __getattr__(self, name):
        return getattr(self._index, name)

    def search(self, queries, k, *, ties=False):
        Timed.asked = self
        call, each = self._times
        self._clock[0] += int((call + each * len(queries)) * self._noise())
        if self._last is None or self._last[0] is not queries or self._last[1:3] != (k, ties):
            self._last = queries, k, ties, self._index.search(queries, k, ties=ties)
        return self._last[3]


def last_asked(index):
    """The name of the `Timed` path that was asked last."""
    return next(name for name, part in index._parts.items() if part is Timed.asked)


@pytest.mark.parametrize("batch", [1, 20, 500])
@pytest.mark.parametrize("best", ["scan", "multi-index", "faiss-flat"])
@pytest.mark.parametrize("estimates", ["right", "wrong"])
def test_whatever_the_estimates_the_clock_decides(monkeypatch, clocked, batch, best, estimates):
    """All that is spent stays within a tenth of the best path's, but for the first trials."""
    codes, index, now = clocked
    rng = np.random.default_rng(1)
    each = {name: 20_000.0 * (1 if name == best else 4) for name in index._builders}
    for name in ("scan", "multi-index", "faiss-flat"):
        path = Timed(ScanIndex(codes), now, 3000, each[name], lambda: rng.uniform(0.5, 1.5))
        monkeypatch.setitem(index._parts, name, path)
    believed = {name: each[name] if estimates == "right" else 40_000.0 for name in index._parts}
    if estimates == "wrong":
        believed[best] = 110_000.0
    believe(monkeypatch, index, believed)
    queries = codes[np.resize(np.arange(300), batch)]
    n_calls = 40_000 // batch if batch > 1 else 6000
    reference = as_lists(ScanIndex(codes).search(queries, 3))
    for call in range(n_calls):
        found = index.search(queries, 3)
        if call < 30:
            assert as_lists(found) == reference
    ideal = n_calls * (3000 + each[best] * batch)
    assert now[0] < 1.1 * ideal + 3e7


def test_a_path_far_dearer_than_believed_is_left_as_soon_as_that_is_known(monkeypatch, clocked):
    """It is not settled on for as many calls as what was believed would allow."""
    codes, index, now = clocked
    for name, each in (("scan", 100_000.0), ("table", 10_000.0)):
        index._parts[name] = Timed(ScanIndex(codes), now, 0, each, lambda: 1.0)
    believed = {"scan": 500.0, "table": 1000.0}
    believe(monkeypatch, index, believed)
    paths = []
    for _ in range(6):
        index.search(codes[np.arange(200)], 3)
        paths.append(last_asked(index))
    assert paths[0] == "scan"
    assert paths[-3:] == ["table"] * 3


def test_a_path_whose_one_trial_was_slow_by_chance_is_soon_tried_again(monkeypatch, clocked):
    """Its first two calls take ten times as long, as where memory must be got for large answers."""
    codes, index, now = clocked
    unlucky = iter([10.0, 10.0])
    paths = {
        "scan": Timed(ScanIndex(codes), now, 0, 30_000.0, lambda: 1.0),
        "table": Timed(ScanIndex(codes), now, 0, 10_000.0, lambda: next(unlucky, 1.0)),
    }
    index._parts.update(paths)
    believed = {"scan": 30_000.0, "table": 10_000.0}
    believe(monkeypatch, index, believed)
    queries = codes[np.arange(200)]
    for _ in range(20):
        index.search(queries, 3)
    assert last_asked(index) == "table"


def test_a_trial_shows_what_is_done_once_for_a_whole_batch(monkeypatch, clocked):
    """Most of its time goes into what all queries share: some of them say it is the slower path."""
    codes, index, now = clocked
    index._parts["scan"] = Timed(ScanIndex(codes), now, 0, 12_000.0, lambda: 1.0)
    index._parts["table"] = Timed(ScanIndex(codes), now, 1.2e6, 4_000.0, lambda: 1.0)
    believe(monkeypatch, index, {"scan": 9_000.0, "table": 10_000.0})
    for _ in range(60):
        index.search(codes[np.arange(200)], 3)
    assert last_asked(index) == "table"


def test_a_path_whose_caches_take_several_calls_to_fill_is_not_thought_slow(monkeypatch, clocked):
    """The table takes four times as long while its memory is cold: in the calls after the scan's."""
    codes, index, now = clocked
    since = [0]  # calls of the table since the scan was asked

    def cold():
        since[0] += 1
        return 4.0 if since[0] <= 6 else 1.0

    def other():
        since[0] = 0
        return 1.0

    index._parts["scan"] = Timed(ScanIndex(codes), now, 0, 20_000.0, other)
    index._parts["table"] = Timed(ScanIndex(codes), now, 0, 15_000.0, cold)
    believe(monkeypatch, index, {"scan": 20_000.0, "table": 25_000.0})
    for _ in range(3000):
        index.search(codes[:1], 3)
    assert last_asked(index) == "table"


def test_a_build_is_earned_without_a_thought_at_each_question(monkeypatch, clocked):
    """A path that saves a fifth is built when it would have paid, not before and not much later."""
    codes, index, now = clocked
    index._parts["scan"] = Timed(ScanIndex(codes), now, 0, 100_000.0, lambda: 1.0)
    faster = Timed(ScanIndex(codes), now, 0, 80_000.0, lambda: 1.0)
    monkeypatch.setitem(index._builders, "table", lambda: faster)
    monkeypatch.setattr(index, "_build_cost", lambda name: 1000 * 20_000.0)
    believed = {"scan": 100_000.0, "table": 80_000.0}
    monkeypatch.setattr(index, "_expected", lambda question, _: believed)
    monkeypatch.setattr(timings, "_PRIOR", 1e12)  # the estimates are right
    thoughts = []
    choose = index._choose
    monkeypatch.setattr(index, "_choose", lambda *known: thoughts.append(1) or choose(*known))
    n_asked = 0
    while "table" not in index.built:
        index.search(codes[:1], 3)
        n_asked, n_thoughts = n_asked + 1, len(thoughts)
    assert 900 < n_asked <= 1000 + timings._MOST  # calls that follow each other
    assert len(thoughts) < 100
    index.search(codes[:1], 3)  # what was thought before the build holds no longer
    assert len(thoughts) == n_thoughts + 1


class Cold(Timed):
    """One whose first call after another path's takes 60 us more: its memory was pushed out."""

    last = None

    def search(self, queries, k, *, ties=False):
        self._clock[0] += 0 if Cold.last is self else 60_000
        Cold.last = self
        return super().search(queries, k, ties=ties)


@pytest.mark.parametrize("batch", [1, 20, 200])
def test_a_path_is_not_judged_by_its_first_call_after_another_path(monkeypatch, clocked, batch):
    """A trial is several calls in a row, and the first of them is not timed."""
    codes, index, now = clocked
    for name, each in (("scan", 40_000.0), ("table", 20_000.0)):
        index._parts[name] = Cold(ScanIndex(codes), now, each, 0, lambda: 1.0)
    believed = {"scan": 20_000.0, "table": 60_000.0}
    monkeypatch.setattr(index, "_expected", lambda question, _: believed)
    queries = codes[np.arange(batch)]
    taken = []
    for _ in range(3000):
        index.search(queries, 3)
        taken.append(last_asked(index))
    assert taken[-500:].count("table") > 480


@pytest.mark.parametrize(("believed", "tried"), [(3, True), (7, True), (9, False)])
def test_a_path_not_built_is_tried_unless_it_is_believed_far_dearer(
    monkeypatch, clocked, believed, tried
):
    """What is believed to take 3 or 7 times the scan's time takes half of it."""
    codes, index, now = clocked
    index._parts["scan"] = Timed(ScanIndex(codes), now, 0, 20_000.0, lambda: 1.0)
    faster = Timed(ScanIndex(codes), now, 0, 10_000.0, lambda: 1.0)
    monkeypatch.setitem(index._builders, "table", lambda: faster)
    monkeypatch.setattr(index, "_build_cost", lambda name: 20_000.0)
    estimates = {"scan": 20_000.0, "table": believed * 20_000.0}
    believe(monkeypatch, index, estimates)
    for _ in range(3000):
        index.search(codes[:1], 3)
    assert ("table" in index.built) == tried
    if (
        believed == 3
    ):  # at 7 it takes so many trials to outweigh the estimate as 60,000 questions buy
        assert last_asked(index) == "table"


def test_one_question_in_a_fresh_process_loads_neither_faiss_nor_torch():
    script = (
        "import sys, numpy as np; from hashret.codes import Codes; "
        "from hashret.indexes import INDEXES; "
        "assert 'hashret.indexes.scan' not in sys.modules; "
        "from hashret.arguments import resolve; "
        "codes = Codes(np.zeros((50, 8), np.uint8)); "
        "resolve(INDEXES, 'auto', 'index').build(codes).search(codes[:1], 3); "
        "print([m for m in ('faiss', 'torch', 'scipy', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("told", "compiles"), [("1", False), ("0", True)])
def test_numba_that_is_told_not_to_compile_is_not_asked(told, compiles):
    script = (
        "import numpy as np; from hashret.codes import Codes; "
        "from hashret import kernels; from hashret.indexes.table.index import TableIndex; "
        "print(kernels.enable() is not None); "
        "codes = Codes(np.arange(80, dtype=np.uint8).reshape(10, 8)); "
        "print(TableIndex(codes).within(codes, 0).rows.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"NUMBA_DISABLE_JIT": told},
    )
    assert done.stdout.split("\n")[:2] == [str(compiles), str(list(range(10)))]
