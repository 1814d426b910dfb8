"""Compaction changes no answer, keeps what is read, and gives back the rest."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashret import Collection
from hashret.collection import verified
from hashret.errors import CollectionError
from hashret.store.catalog import leases
from hashret.store.catalog.catalog import Catalog
from hashret.store.disk import file_systems
from indexer import Indexer
from indexer.cli import main
from indexer.ingest import compact, intake
from indexer.ingest import segments as segment_writer
from tests.torture.bases import items_of, make

N = 30
needs_leases = pytest.mark.skipif(
    not leases.AVAILABLE, reason="only Linux has locks of open files, which tell who reads"
)


@pytest.fixture(scope="module", params=["text", "vector"])
def base(request, tmp_path_factory):
    return make(tmp_path_factory.mktemp("base") / request.param, request.param, N)


def contents(collection: Collection) -> list:
    """Everything that a reader can see, in the order of the codes as well as of the ids."""
    everything = np.arange(len(collection.codes))
    features = collection.features(everything) if collection.has_features else None
    if features is not None and not isinstance(features, np.ndarray):
        features = features.to_dense()
    answers = [
        [(hit.id, hit.distance, hit.score, hit.code, hit.metadata) for hit in hits]
        for hits in collection.query([i.payload for i in items_of(collection.kind, 3)], k=40)
    ]
    return [
        collection.codes.packed.tolist(),
        None if features is None else features.tolist(),
        [(i.id, i.metadata, i.code, i.preview, i.text) for i in collection.items()],
        collection.column("n"),
        answers,
    ]


def seen(path: Path) -> list:
    with Collection.open(path) as collection:
        return contents(collection)


def segments(path: Path) -> list[str]:
    return sorted(file.name for file in (path / "segments").glob("*.npy"))


def change(path: Path, store_features: bool | None, verb: str, which: list[int]) -> None:
    """One commit: items of these numbers added, replaced or removed."""
    with Indexer(path, store_features=store_features) as indexer, Collection.open(path) as now:
        items = items_of(indexer.kind, N)
        if verb == "add":
            indexer.add([replace(items[i], id=f"new-{i}", metadata={"n": i}) for i in which])
        elif verb == "replace":
            stamp = {"n": now.commit}
            indexer.add([replace(items[i], metadata=stamp) for i in which])
        else:
            indexer.remove([items[i].id for i in which if items[i].id in now])
        indexer.commit()


def scatter(path: Path) -> None:
    """A history that leaves five segments and rows that nobody shows."""
    for verb, which in (("add", [1, 2]), ("replace", [3, 4, 5]), ("remove", [0, 3, 29])):
        change(path, None, verb, which)
    change(path, None, "add", [7])
    change(path, None, "add", [2, 8])


history = st.lists(
    st.tuples(
        st.sampled_from([True, True, False]),
        st.sampled_from(["add", "replace", "remove"]),
        st.lists(st.integers(0, N - 1), min_size=1, max_size=8, unique=True),
    ),
    max_size=5,
)


@settings(
    deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history, history, st.sampled_from([7, 16, 40]))
def test_contents_stay_through_any_history(base, tmp_path_factory, first, second, full):
    path = shutil.copytree(base, tmp_path_factory.mktemp("c") / "c")
    for changes in (first, second):
        for step in changes:
            change(path, *step)
        before = seen(path)
        with pytest.MonkeyPatch.context() as patch, Indexer(path) as indexer:
            patch.setattr(compact, "COMPACTED", full)
            done = indexer.compact()
        assert seen(path) == before
        assert verified(path).is_sound
        if leases.AVAILABLE:
            assert done.segments[1] == len(segments(path))
    with pytest.MonkeyPatch.context() as patch, Indexer(path) as indexer:
        patch.setattr(compact, "COMPACTED", full)
        again = indexer.compact()
    assert (again.commit, again.segments, again.dropped) == (
        done.commit,
        (done.segments[1],) * 2,
        0,
    )


@needs_leases
def test_what_is_gone_is_given_back(base, tmp_path):
    path = shutil.copytree(base, tmp_path / "c")
    scatter(path)
    before, bare = seen(path), len(segments(path))
    with Indexer(path) as indexer:
        done = indexer.compact()
    assert bare == 5
    assert done.segments == (5, 1)
    assert (done.dropped, done.oldest) == (6, done.commit.commit)
    assert len(segments(path)) == 1
    with Collection.open(path) as collection:
        assert sum(collection.info()["bytes"].values()) == done.size[1] < done.size[0]
    assert seen(path) == before
    change(path, None, "add", [11])  # and life goes on
    with Collection.open(path) as collection:
        assert "new-11" in collection
        assert len(collection) == len(before[0]) + 1


@needs_leases
def test_an_open_snapshot_keeps_what_it_reads(base, tmp_path):
    path = shutil.copytree(base, tmp_path / "c")
    scatter(path)
    with Collection.open(path) as early:
        before = contents(early)
        change(path, None, "replace", [9, 10])
        with Collection.open(path) as late:
            for _ in range(2):
                with Indexer(path) as indexer:
                    done = indexer.compact()
                assert done.oldest == early.commit < late.commit < done.commit.commit
                assert contents(early) == before
        early.refresh()
        assert early.commit == done.commit.commit
        assert len(segments(path)) > 1
        with Indexer(path) as indexer:
            done = indexer.compact()
        assert done.oldest == done.commit.commit == early.commit
        assert len(segments(path)) == 1
        assert len(contents(early)[0]) == len(before[0])


_READER = """
import json, sys
from hashret import Collection
from tests.test_compaction import contents
with Collection.open(sys.argv[1]) as collection:
    print("open", flush=True)
    for line in sys.stdin:
        print(json.dumps(contents(collection), default=str), flush=True)
"""


@needs_leases
def test_a_reading_process_holds_its_snapshot_and_a_killed_one_lets_go(base, tmp_path):
    path = shutil.copytree(base, tmp_path / "c")
    scatter(path)
    before = json.loads(json.dumps(seen(path), default=str))
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        assert reader.stdout.readline() == "open\n"
        for verb in ("replace", "remove"):
            change(path, None, verb, [12, 13])
            with Indexer(path) as indexer:
                done = indexer.compact()
            assert done.oldest < done.commit.commit
        reader.stdin.write("what do you see?\n")  # only now are features and rows read
        reader.stdin.flush()
        assert json.loads(reader.stdout.readline()) == before
        os.kill(reader.pid, signal.SIGKILL)
    with Indexer(path) as indexer:
        done = indexer.compact()
    assert done.oldest == done.commit.commit
    assert len(segments(path)) == 1


@needs_leases
def test_a_reader_that_comes_too_late_moves_on(base, tmp_path, monkeypatch):
    """The commit that it found is gone when it wants to hold it: it takes the one there is."""
    path = shutil.copytree(base, tmp_path / "c")
    scatter(path)
    after = seen(path)
    moves = []

    def slow(self, how, commit, wait=leases.Lease._lock):
        if not moves:
            moves.append(commit)
            with Indexer(path) as indexer:
                assert indexer.compact().oldest > commit
        return wait(self, how, commit)

    monkeypatch.setattr(leases.Lease, "_lock", slow)
    with Collection.open(path) as collection:
        assert collection.commit > moves[0]
        assert contents(collection) == after


@needs_leases
def test_a_reader_that_is_overtaken_while_it_opens_reads_on(base, tmp_path, monkeypatch):
    """Which rows are removed it asks last: those of the segments that it holds must still be told."""
    path = shutil.copytree(base, tmp_path / "c")
    scatter(path)
    before = seen(path)
    held = []

    def slow(self, commit, ask=Catalog.segments):
        found = ask(self, commit)
        if not held:
            held.append(commit)
            with Indexer(path) as indexer:
                assert indexer.compact().oldest == commit
        return found

    monkeypatch.setattr(Catalog, "segments", slow)
    with Collection.open(path) as collection:
        assert collection.commit == held[0]
        assert contents(collection) == before
    with Indexer(path) as indexer:
        assert indexer.compact().oldest > held[0]
    assert seen(path) == before
    assert verified(path).is_sound


@pytest.mark.filterwarnings("ignore::hashret.errors.DurabilityWarning")
@pytest.mark.parametrize("where", ["no such locks", "a network"])
def test_where_nobody_says_what_is_read_nothing_is_deleted(base, where, tmp_path, monkeypatch):
    path = shutil.copytree(base, tmp_path / "c")
    scatter(path)
    if where == "a network":
        (tmp_path / "mountinfo").write_text("22 1 0:21 / / rw - nfs4 server:/ rw\n")
        monkeypatch.setattr(file_systems, "MOUNTS", tmp_path / "mountinfo")
    else:
        monkeypatch.setattr(leases, "AVAILABLE", False)
    with Collection.open(path) as collection:
        before = contents(collection)
        with Indexer(path) as indexer:
            done = indexer.compact()
        assert (done.oldest, done.segments) == (None, (5, 1))
        assert len(segments(path)) == 6
        assert contents(collection) == before
    assert seen(path) == before


def test_changes_are_committed_first(base, tmp_path):
    path = shutil.copytree(base, tmp_path / "c")
    with Indexer(path) as indexer:
        indexer.remove([items_of(base.name, 1)[0].id])
        with pytest.raises(CollectionError, match="expected nothing to commit"):
            indexer.compact()
        indexer.commit()
        assert indexer.compact().dropped == 1
    with Indexer(tmp_path / "new", base.name) as indexer, pytest.raises(CollectionError):
        indexer.compact()


def test_the_command(base, tmp_path):
    path = shutil.copytree(base, tmp_path / "c")
    scatter(path)
    with Collection.open(path):
        said = CliRunner().invoke(main, ["compact", str(path)])
    assert said.exit_code == 0
    assert "segments 5 to 1, rows dropped 6\n" in said.output
    assert "stays on disk" in said.output
    assert CliRunner().invoke(main, ["compact", str(tmp_path / "none")]).exit_code != 0
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_more_segments_than_open_files_are_merged_all_the_same(base, tmp_path, monkeypatch):
    """Of a real process that may open 130 files: three a segment would be 360."""
    path = shutil.copytree(base, tmp_path / "c")
    before = seen(path)
    script = (
        "import sys, resource; from indexer import Indexer;\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (130, 130))\n"
        "with Indexer(sys.argv[1]) as indexer:\n"
        "    print(*indexer.compact().segments)"
    )
    items = items_of(base.name, N)
    monkeypatch.setattr(segment_writer, "SEGMENT", 1)
    monkeypatch.setattr(intake, "BATCH", 1)
    for turn in (1, 2, 3, None):
        with Indexer(path, workers=1) as indexer:
            indexer.add([replace(one, metadata={"n": turn}) if turn else one for one in items])
            indexer.commit()
    told = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
        )
        told.append(tuple(map(int, done.stdout.split())))
    assert told[0][0] > 100
    assert told[0][1] < 20
    assert told[-1] == (1, 1)
    now = seen(path)
    assert (now[2], now[4]) == (before[2], before[4])
