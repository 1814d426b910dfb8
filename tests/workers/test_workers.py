"""Workers that hang, die and bloat: the bad item is refused, every other one comes back."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hashret.errors import HashretError
from hashret.workers.pool import Limits, Workers
from hashret.workers.refusals import Refused

TASK = "tests.workers.tasks:misbehave"
LIMITS = Limits(memory_bytes=1 << 30, seconds=0.5)


def classes(results):
    return [r.error_class if isinstance(r, Refused) else "used" for r in results]


def all_of(batches, **options):
    with Workers(TASK, **{"limits": LIMITS, **options}) as workers:
        return list(workers.map(batches))


@pytest.mark.parametrize("n", [1, 3])
def test_results_come_one_for_one_and_in_order(n):
    batches = [[["good", 10 * b + i] for i in range(b)] for b in (3, 0, 1, 7, 2, 0)]
    found = all_of(batches, args=[None], n=n)
    assert found == [[[value, None] for _, value in batch] for batch in batches]


@pytest.mark.parametrize(
    ("bad", "error_class"),
    [
        (["hang", 0], "over-time"),
        (["spin", 0], "over-time"),
        (["segfault", 0], "decoder-died"),
        (["abort", 0], "decoder-died"),
        (["kill", 0], "decoder-died"),
        (["exit", 0], "decoder-died"),
        (["bloat", 2 << 30], "over-memory"),
        (["native bloat", 2 << 30], "over-memory"),
        (["refuse", "why"], "bad-text"),
    ],
)
def test_one_bad_item_costs_no_other_its_place(bad, error_class):
    place, batch = 2, [["good", i] for i in range(5)]
    batch[place] = bad
    (found,) = all_of([batch])
    assert classes(found) == ["used"] * place + [error_class] + ["used"] * (4 - place)
    assert [r[0] for i, r in enumerate(found) if i != place] == [i for i in range(5) if i != place]
    assert found[place].reason


@pytest.mark.parametrize("n", [1, 2])
def test_a_batch_of_nothing_but_bad_items(n):
    kinds = ["abort", "refuse", "segfault", "kill", "exit"]
    found = all_of([[[kind, 0] for kind in kinds], [["good", 1]]], n=n)
    assert classes(found[0]) == ["bad-text" if k == "refuse" else "decoder-died" for k in kinds]
    assert classes(found[1]) == ["used"]


def test_a_failure_with_no_item_in_hand_is_found_in_halves():
    batch = [*"abcde", "bad", *"fg", "bad"]
    with Workers("tests.workers.tasks:whole_batch") as workers:
        (found,) = workers.map([batch])
    assert classes(found) == ["decoder-died" if item == "bad" else "used" for item in batch]
    assert [r for r in found if isinstance(r, str)] == [*"ABCDEFG"]


def test_a_worker_stays_for_the_next_batch():
    with Workers(TASK, limits=LIMITS) as workers:
        pids = {pid for (pid,) in workers.map([[["pid", 0]]] * 20)}
        assert len(pids) == 1
        assert pids == {pid for (pid,) in workers.map([[["pid", 0]]])}
        assert os.getpid() not in pids


def test_a_worker_writes_no_file(tmp_path):
    ((said,),) = all_of([[["write", str(tmp_path / "planted")]]])
    assert said == "File too large"
    assert not (tmp_path / "planted").exists() or (tmp_path / "planted").stat().st_size == 0


def test_a_caller_who_is_away_costs_no_item_its_time():
    with Workers(TASK, limits=LIMITS, n=2) as workers:
        results = workers.map([[["good", b"x" * (4 << 20)]]] * 6)
        for found in results:
            time.sleep(0.2)  # six of them: longer than the limit on one item
            assert classes(found) == ["used"]


def test_giving_up_in_the_middle_leaves_nothing_behind():
    with Workers(TASK, limits=LIMITS, n=2) as workers:
        results = workers.map([[["pid", i]] for i in range(9)])
        (pid,) = next(results)
        results.close()
        assert classes(next(workers.map([[["good", 5]]]))) == ["used"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_data_crosses_the_line_unchanged():
    given = [
        None, True, -3, 2.5, float("inf"), "ä\0\U0001f600", "caf\udce9", b"\0\xff", Path("a/b"),
        {"k": [1, {"$": ["array", 0]}]}, [],
    ]  # fmt: skip
    ((found, *args),) = all_of([[["good", given]]], args=["one", 2])[0]
    assert found == given
    assert args == ["one", 2]
    array = np.arange(6, dtype=">u2").reshape(2, 3)
    ((back,),) = all_of([[["good", array]]])[0]
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    with pytest.raises(TypeError, match="expected plain data"):
        all_of([[["good", object()]]])


@pytest.mark.parametrize(
    ("task", "says"), [("no_start", "no such model"), ("dies_at_start", "SIGABRT")]
)
def test_workers_that_cannot_start_say_why(task, says):
    with (
        Workers(f"tests.workers.tasks:{task}") as workers,
        pytest.raises(HashretError, match=says),
    ):
        list(workers.map([[1]]))


def test_a_worker_dies_with_its_killed_run():
    script = (
        "import os, signal; from hashret.workers.pool import Limits, Workers\n"
        f"found = Workers({TASK!r}, limits=Limits(seconds=0.1)).map([[['pid', 0]], [['spin', 0]]])\n"
        "print(next(found)[0], flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    pid = int(done.stdout)
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError(f"worker {pid} outlived its run")
