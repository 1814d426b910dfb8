"""P9: a reader sees exactly one commit, never an older one again. P10: one writer, taken over."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from hashret import Collection
from hashret.errors import HashretError, LockedError
from hashret.items import Item
from hashret.snapshot import Snapshot
from hashret.store.catalog import catalog
from indexer import Indexer
from tests.torture.bases import items_of, make
from tests.torture.scale import LONG, say
from tests.torture.sharing import holder

ROOT = Path(__file__).parents[2]
TAKE_OVERS, TURNS = (200, 50) if LONG else (5, 4)
#: By where the catalog is; a server is asked over its wire for every page.
READS = {"sqlite": 1_000_000, "postgresql": 100_000} if LONG else {"sqlite": 4_000}


def start(*arguments):
    command = [sys.executable, "-m", "tests.torture.sharing", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


@pytest.fixture
def path(tmp_path, each_catalog_if_long):
    return make(tmp_path / "c", "vector", 20)


def read_beside_a_writer(path, n_reads):
    """Read until so many items were read; the reads, the commits seen, and what was torn."""
    reads, torn, commits = 0, [], set()
    with start("replace", path, 10**6) as writer:
        try:
            with Collection.open(path) as collection:
                last = -1
                while (reads < n_reads or len(commits) < 3) and not torn:
                    try:
                        collection.refresh()
                        if collection.commit < last:
                            torn.append(f"back from commit {last} to {collection.commit}")
                        last = collection.commit
                        commits.add(last)
                        for _ in range(1 if len(commits) < 3 else 20):  # in one snapshot
                            seen = [item.metadata["n"] for item in collection.items()]
                            reads += len(seen)
                            turns = {n for n in seen if n >= 1000}
                            whole = len(turns) == 1 and set(seen) == turns
                            if len(seen) != 20 or (turns and not whole):
                                torn.append(f"commit {last}: {seen}")
                    except HashretError as error:
                        torn.append(str(error))
        finally:
            writer.kill()
    return reads, commits, torn


def test_p9_readers_see_one_commit_and_never_go_back(path, each_catalog_if_long):
    reads, commits, torn = read_beside_a_writer(path, READS[each_catalog_if_long])
    assert torn == []
    assert len(commits) >= 3
    where = each_catalog_if_long
    say("P9", f"{where}: {reads} reads over {len(commits)} commits, 0 torn, 0 backwards")


def staged_segments_are_seen(monkeypatch):
    monkeypatch.setattr(catalog, "visible", lambda table, commit: table.c.removed.is_(None))


def the_last_commit_is_followed(monkeypatch):
    def in_order(self, *, where=None):
        for item_id, _ in self.items.by_id():
            last = Snapshot.open(self.layout)
            yield from last.stored(last.require_rows([item_id]))

    monkeypatch.setattr(Snapshot, "in_order", in_order)


@pytest.mark.parametrize("plant", [staged_segments_are_seen, the_last_commit_is_followed])
def test_p9_the_harness_notices_a_broken_rule_of_snapshots(path, monkeypatch, plant):
    plant(monkeypatch)
    _, _, torn = read_beside_a_writer(path, 10**9)
    assert torn


def test_p10_no_update_is_lost_among_writers_that_wait(path):
    writers = [start("count", path, TURNS) for _ in range(3)]
    for writer in writers:
        writer.communicate(timeout=600)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    with Collection.open(path) as collection:
        assert collection.get("counter").metadata["n"] == 3 * TURNS
    say("P10", f"{3 * TURNS} updates by 3 writers, 0 lost")


def test_p10_without_the_lock_the_harness_would_notice(path):
    writers = [start("unlocked", path, 4) for _ in range(3)]
    for writer in writers:  # all three have read the counter before one of them writes it
        assert writer.stdout.readline() == "read\n"
    for writer in writers:
        writer.communicate("\n", timeout=600)
    failed = [writer.returncode for writer in writers] != [0, 0, 0]
    if not failed:
        with Collection.open(path) as collection:
            failed = collection.get("counter").metadata["n"] != 12
    assert failed


def test_p10_a_dead_writer_is_taken_over_and_a_living_one_is_named(path):
    taken = 0
    for turn in range(TAKE_OVERS):
        with holder(path) as process:
            if turn == 0:
                with pytest.raises(LockedError, match=f"process {process.pid} on "):
                    Indexer(path)
            process.kill()
        with Indexer(path, wait_seconds=5) as indexer:
            indexer.add([Item("turn", items_of("vector", 20)[0].payload, {"n": turn})])
            indexer.commit()
            taken += 1
    with Collection.open(path) as collection:
        assert collection.get("turn").metadata["n"] == TAKE_OVERS - 1
        assert "staged" not in collection
    say("P10", f"{taken}/{TAKE_OVERS} take-overs")


def test_p10_a_writer_waits_as_long_as_it_is_told(path):
    with holder(path):
        before = time.monotonic()
        with pytest.raises(LockedError):
            Indexer(path, wait_seconds=0.3)
        assert time.monotonic() - before >= 0.3
