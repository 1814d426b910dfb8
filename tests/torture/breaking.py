"""Break a writer at every step that it takes on disk, in a process where libc is `libc_faults.c`.

``python -m tests.torture.breaking kill|fail|lose[:WORKLOAD] BASE FOLDER LIMIT [PLANT]`` prints a
tally as JSON; of one workload, or of all that start from today's format. Each writer is a fork of this process, which has done everything once and started no thread.
"""

import ctypes
import errno
import json
import os
import re
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from hashret.errors import HashretError
from tests.torture import power, writers

COUNT, KILL, TEAR, FAIL = 1, 2, 3, 4
ERRORS = (errno.ENOSPC, errno.EIO, errno.EMFILE)
_SECONDS = 60


def libc() -> ctypes.CDLL:
    found = ctypes.CDLL(None)
    found.faults_arm.argtypes = [
        ctypes.c_char_p, ctypes.c_int, ctypes.c_long, ctypes.c_int, ctypes.c_char_p
    ]  # fmt: skip
    found.faults_calls.restype = ctypes.c_long
    return found


def forked(call) -> tuple[int, str]:
    """Run `call` in a fork; its exit status (negative: the signal) and what it returned."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            signal.alarm(_SECONDS)  # a hang is a death by SIGALRM
            text = call()
            os.write(writer, str(text).encode())
            status = 0
        except (HashretError, OSError) as error:
            os.write(writer, f"{type(error).__name__}: {error}"[:500].encode())
            status = 3
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}"[:500].encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        text = stream.read().decode()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text


def broken(workload, path, base, mode, k, error=0, log=None):
    """A workload whose k-th call on disk kills it or fails; its status and how often it struck."""

    def call():
        lib = libc()
        lib.faults_arm(str(path).encode(), mode, k, error, str(log).encode() if log else None)
        try:
            writers.run(workload, path, base)
            lib.faults_mark()
        except BaseException:
            if mode == FAIL and not lib.faults_hits():
                os._exit(71)
            raise
        return f"{lib.faults_calls()} {lib.faults_hits()}"

    return forked(call)


def rehearse(base, scratch, workloads):
    """Each workload once, so that no fork has anything to import or a statement to compile."""
    for workload in workloads:
        path = scratch / workload
        writers.fresh(path, base, workload)
        writers.run(workload, path, base)
        writers.state(path)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, (
        "a fork of a process with threads may hang"
    )


def outcomes(workload, path, base):
    """What a reader sees before the workload, and after it, and how many steps it takes."""
    writers.fresh(path, base, workload)
    before = writers.state(path)
    status, text = broken(workload, path, base, COUNT, 0)
    assert status == 0, text
    return before, writers.state(path), int(text.split()[0])


def seen_at(path):
    """What a reader sees, or how it failed.

    It reads in this process, in half the time of a fork: a reader that dies takes the harness with
    it, and one that hangs is a death by SIGALRM.
    """
    signal.alarm(_SECONDS)
    try:
        return writers.state(path)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)


def bad_after(path, base, workload, allowed, after, again=True):
    """Why the collection is not as it should be after an accident; None if it is."""
    seen = seen_at(path)
    if seen not in allowed:
        return f"seen: {seen[:200]}"
    if not again:
        return None
    status, text = forked(lambda: writers.finish(workload, path, base))
    if status != 0:
        return f"blocked: {text} (status {status})"
    seen = seen_at(path)
    return None if seen == after else f"after the next run: {seen[:200]}"


def kill(base, folder, limit, workloads=writers.STEPPED, planted=False):
    """P1: SIGKILL before, or in the middle of, every step of every workload.

    With a planted fault it ends where the first is noticed.
    """
    tally = {"points": 0, "kills": 0, "bad": []}
    plans = []
    for workload in workloads:
        path = folder / workload
        before, after, n = outcomes(workload, path, base)
        plans += [
            (workload, path, before, after, m, k) for k in range(1, n + 1) for m in (KILL, TEAR)
        ]
        tally["points"] += n
    for workload, path, before, after, mode, k in spread(plans, limit):
        writers.fresh(path, base, workload)
        status, text = broken(workload, path, base, mode, k)
        if status != -signal.SIGKILL:
            tally["bad"].append(f"{workload} {k}: not killed: {status} {text}")
            continue
        tally["kills"] += 1
        why = bad_after(path, base, workload, {before, after}, after)
        if why:
            tally["bad"].append(f"{workload} {mode} {k}: {why}")
        if planted and tally["bad"]:
            break
    return tally


def spread(plans, limit):
    """About so many of the plans: all of them as often as that goes, the rest evenly among them."""
    times, rest = divmod(limit, len(plans))
    return plans * times + (plans[:: -(-len(plans) // rest)] if rest else [])


def fail(base, folder, limit, workloads=writers.STEPPED, planted=False):
    """P3: the k-th call fails, k = 1, 2, ... until none is hit, for each error.

    With a planted fault it ends where the first is noticed.
    """
    # the short form takes every 61st step; of few a fault would be noticed by luck only
    stride = 1 if planted or limit >= 1000 else 61
    tally = {"runs": 0, "errors": 0, "bad": []}
    for workload in workloads:
        path = folder / workload
        before, after, _ = outcomes(workload, path, base)
        for error in ERRORS:
            k = 1 - stride
            while True:
                k += stride
                writers.fresh(path, base, workload)
                status, text = broken(workload, path, base, FAIL, k, error)
                tally["runs"] += 1
                if status not in (0, 3):
                    tally["bad"].append(f"{workload} {error} {k}: {status} {text}")
                if status == 0 and text.endswith(" 0"):
                    break
                tally["errors"] += status == 3
                allowed = {after} if status == 0 else {before, after}
                why = bad_after(path, base, workload, allowed, after)
                if why:
                    tally["bad"].append(f"{workload} {error} {k}: {status} {text}: {why}")
                if planted and tally["bad"]:
                    return tally
    return tally


def record(base, folder, workloads):
    """P2, first half: the log of one run of each workload, for `tests.torture.power` to replay."""
    tally = {}
    for workload in workloads:
        path = folder / workload
        before, after, _ = outcomes(workload, path, base)
        writers.fresh(path, base, workload)
        status, text = broken(workload, path, base, COUNT, 0, log=folder / f"{workload}.log")
        assert status == 0, text
        tally[workload] = [before, after]
    return tally


def lose(base, folder, limit, workloads=writers.WORKLOADS):
    """P2: power losses at every point of the log; then the same with each kind of sync left out."""
    logs = record(base, folder, workloads)
    tally = {"states": 0, "bad": [], "syncs": 0, "unnoticed": []}
    lost = folder / "lost"
    stride = 1 if limit >= 20_000 else 6  # the short form loses power after every 6th call
    for workload, (before, after) in logs.items():
        calls = power.read_log(folder / f"{workload}.log")
        path = folder / workload
        start = None if workload == "index" else base

        def judged(states, workload=workload, before=before, after=after):
            for acknowledged in states:
                allowed = {after} if acknowledged else {before, after}
                tally["states"] += 1
                again = tally["states"] % 10 == 0  # a writer after each would be most of the time
                yield bad_after(lost / workload, base, workload, allowed, after, again)

        whole = power.states(calls, path, start, lost, limit // 3, 0, stride)
        tally["bad"] += [f"{workload}: {why}" for why in judged(whole) if why]
        for site in sorted({sync_site(call, path) for call in calls if call.op == "S"}):
            left = [c for c in calls if c.op != "S" or sync_site(c, path) != site]
            tally["syncs"] += 1
            tries = [power.last_states(left, path, start, lost, 12, 1)]
            tries += [
                power.states(left, path, start, lost, limit // 3, seed, stride)
                for seed in range(1, 4 if stride == 1 else 9)
            ]
            if not any(any(judged(states)) for states in tries):
                tally["unnoticed"].append(f"{workload} {site}")
    return tally


def sync_site(call, root) -> str:
    """Which sync of the code this is: of a folder, or of a kind of file."""
    name = call.path.removeprefix(str(root)).strip("/")
    return re.sub(r"(c|m)\d{6}(-\d{12})?", r"\1N", name) or "."


if __name__ == "__main__":
    asked, base, folder, limit = sys.argv[1:5]
    verb, _, only = asked.partition(":")
    how = {"workloads": (only,)} if only else {}
    planted = len(sys.argv) > 5
    if planted:
        from tests.torture import faults

        getattr(faults, sys.argv[5])()
    with tempfile.TemporaryDirectory() as scratch:
        rehearse(Path(base), Path(scratch), how.get("workloads", writers.STEPPED))
        verbs = {
            "kill": partial(kill, planted=planted),
            "fail": partial(fail, planted=planted),
            "lose": lose,
        }
        made = verbs[verb](Path(base), Path(folder).resolve(), int(limit), **how)
    sys.stdout.write(json.dumps(made))
