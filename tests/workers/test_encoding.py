"""Encoding by several workers: the same collection as by one, whatever becomes of a worker."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection, Item
from hashret.errors import HashretError
from indexer import Indexer
from indexer.cli import main
from indexer.corpus import Skipped
from indexer.ingest import encode, intake
from tests.torture.bases import items_of, make

BLOCK = 16


@pytest.fixture(scope="module", params=["text", "vector", "sequence"])
def base(request, tmp_path_factory):
    return make(tmp_path_factory.mktemp("base") / request.param, request.param)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(intake, "BATCH", BLOCK)


#: Processes that ran before a test began: a database server that the suite has started.
OTHERS: set[int] = set()


@pytest.fixture(autouse=True)
def _those_before(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "OTHERS", set(children()))


def children() -> list[int]:
    """The processes that this one has started since and that still run."""
    asked = ["ps", "-o", "pid=,stat=,comm=", "--ppid", str(os.getpid())]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    rows = [line.split(None, 2) for line in said.splitlines()]
    found = [int(pid) for pid, state, name in rows if "Z" not in state and name != "ps"]
    return [pid for pid in found if pid not in OTHERS]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def mixed(kind: str) -> list[Item | Skipped]:
    """Known items, changed ones, new ones, and every way not to become one, all mixed up."""
    known = items_of(kind, 60)
    changed = [replace(item, metadata={"n": -1}) for item in known[::3]]
    fresh = [replace(item, id=f"new {i}") for i, item in enumerate(items_of(kind, 200))]
    worst = {"text": "zzz qqq", "sequence": np.full((2, 2), np.nan)}
    bad = [
        Item("no known word", worst[kind] if kind in worst else known[0].payload * 0),
        Item("no text", 7),
        Item("", known[0].payload),
        Item("bad metadata", known[0].payload, {"x": {1}}),
        Skipped("unread", "it was hidden", "hidden"),
        fresh[3],
    ]
    rest = [item for i, item in enumerate(known) if i % 3]
    return [*fresh[:50], *bad, *changed, *fresh[50:120], *rest, *bad, *fresh[120:]]


def added(base: Path, path: Path, items, workers: int):
    """Everything that `add` leaves behind: segments, removed rows, files, counts and the order of its reports."""
    shutil.copytree(base, path)
    reported: list[Skipped] = []
    with Indexer(path, workers=workers, on_skipped=reported.append) as indexer:
        tally = indexer.add(items)
        indexer.commit()
    counts = (tally.added, tally.replaced, tally.unchanged, tally.skipped)
    with sqlite3.connect(path / "catalog.sqlite") as catalog:
        segments = catalog.execute("SELECT * FROM segments ORDER BY name").fetchall()
        removals = catalog.execute("SELECT * FROM removals ORDER BY segment, cause").fetchall()
    files = {file.name: file.read_bytes() for file in (path / "segments").iterdir()}
    return removals, segments, files, counts, reported


def test_any_number_of_workers_writes_the_same(base, tmp_path):
    alone = added(base, tmp_path / "1", mixed(base.name), 1)
    unknown = int(base.name == "text")  # stored without a code
    assert alone[3][:3] == (200 + unknown, 20, 40)
    assert len(alone[4]) > 10
    for workers in (2, 3):
        assert added(base, tmp_path / str(workers), mixed(base.name), workers) == alone
    assert not children()


def test_a_killed_worker_costs_nothing(base, tmp_path):
    killed: list[int] = []

    def killing():
        for i, item in enumerate(mixed(base.name)):
            if i in (7 * BLOCK, 12 * BLOCK):
                while not children():
                    time.sleep(0.01)
                for pid in children():
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            yield item

    alone = added(base, tmp_path / "1", mixed(base.name), 1)
    assert added(base, tmp_path / "2", killing(), 2) == alone
    assert len(killed) >= 2


def test_workers_that_always_die_end_the_run_with_an_error(base, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "ENCODING", "tests.workers.tasks:dies_of_any")
    with pytest.raises(HashretError, match=r"SIGKILL.*twice.*--workers 1"):
        added(base, tmp_path / "2", mixed(base.name), 2)
    assert not children()
    with Collection.open(tmp_path / "2") as collection:
        assert len(collection) == 60


def test_no_worker_starts_for_a_single_block_or_for_what_is_known(base, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "ENCODING", "tests.workers.tasks:no_start")
    few = [replace(item, id=f"new {i}") for i, item in enumerate(items_of(base.name, BLOCK))]
    assert added(base, tmp_path / "few", few, 2)[3][0] == BLOCK
    known = items_of(base.name, 60)
    assert added(base, tmp_path / "known", known, 2)[3][:3] == (0, 0, 60)


def test_only_so_many_blocks_are_read_ahead(base, tmp_path):
    path = shutil.copytree(base, tmp_path / "c")
    drawn, furthest, counted = 0, 0, 0

    def source():
        nonlocal drawn, furthest
        for i, item in enumerate(items_of(base.name, 60) * 10):
            drawn += 1
            furthest = max(furthest, drawn - counted)
            yield replace(item, id=f"new {i}")

    def watch(stage, done, total):
        nonlocal counted
        counted = done

    with Indexer(path, workers=2, on_progress=watch) as indexer:
        indexer.add(source())
    assert 2 * BLOCK < furthest <= (2 * 2 + 2) * BLOCK


def test_an_interrupted_run_leaves_no_worker(base, tmp_path):
    path = shutil.copytree(base, tmp_path / "c")
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background"
        " ignores it\n"
        "from dataclasses import replace\n"
        "from itertools import count\n"
        "from indexer import Indexer\nfrom indexer.ingest import intake\n"
        "from tests.torture.bases import items_of\n"
        "from tests.workers.test_encoding import children\n"
        f"intake.BATCH = {BLOCK}\n"
        "def endless():\n"
        "    for n in count():\n"
        f"        for i, item in enumerate(items_of({base.name!r}, 60)):\n"
        "            yield replace(item, id=f'{n} {i}')\n"
        "        if n == 20: print(*children(), flush=True)\n"
        "Indexer(sys.argv[1], workers=2).add(endless())\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    pids = list(map(int, run.stdout.readline().split()))
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode
    assert "KeyboardInterrupt" in said
    assert len(pids) == 2
    give_up = time.monotonic() + 30
    while any(map(is_running, pids)):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_at_least_one_worker(base):
    with pytest.raises(ValueError, match="workers: expected at least 1, got 0"):
        Indexer(base, workers=0)


def test_the_command_takes_a_number_of_workers(base, tmp_path):
    source = tmp_path / "notes.jsonl"
    if base.name == "vector":
        source = tmp_path / "vectors.npy"
        np.save(source, np.stack([item.payload for item in items_of("vector", 60)]))
    else:
        given = [item.payload for item in items_of(base.name, 60)]
        given = [one.tolist() if base.name == "sequence" else one for one in given]
        rows = [{"id": f"n{i}", base.name: one} for i, one in enumerate(given)]
        source.write_text("\n".join(map(json.dumps, rows)))
    path = shutil.copytree(base, tmp_path / "c")
    done = CliRunner().invoke(main, ["index", str(source), "--to", str(path), "--workers", "2"])
    assert done.exit_code == 0, done.output
    assert f"{path}: commit 2, 120 items" in done.output
    assert not children()
    refused = CliRunner().invoke(main, ["index", str(source), "--to", str(path), "--workers", "0"])
    assert refused.exit_code == 2
    assert "--workers" in refused.output
