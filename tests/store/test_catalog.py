"""Snapshots against a plain model of them; crashes; damage; one writer."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashret.codes import Codes
from hashret.errors import (
    DamagedError,
    FormatVersionError,
    LockedError,
    NotACollectionError,
    PayloadError,
)
from hashret.store.catalog import tables
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import ItemRecord
from hashret.store.catalog.staging import Staging
from hashret.store.files import write_file
from hashret.store.layout import Layout
from hashret.store.lock import writer_lock
from hashret.store.model_files import read_model, write_model
from hashret.store.segments import SegmentRecord, open_segment, write_segment
from tests.catalogs import change, connected


def stage(layout, staging, ids, text="", model="m1"):
    """Stage one segment with an item for each id."""
    first = staging.next_row
    codes = Codes(np.full((len(ids), 2), staging.commit, np.uint8))
    name = f"c{staging.commit}-{first}"
    file = write_segment(layout, name, codes)
    items = [
        ItemRecord(first + i, item_id, bytes(32), {"text": text}, text)
        for i, item_id in enumerate(ids)
    ]
    staging.add_segment(SegmentRecord(name, first, len(ids), 16, file), model, items)


def with_model(layout, staging):
    staging.add_model(write_model(layout, "m1", {"a": 1}, {"w": np.arange(6.0)}, 16))


pytestmark = pytest.mark.usefixtures("each_catalog")


@pytest.fixture
def layout(tmp_path):
    return Layout.create(tmp_path / "c")


@pytest.fixture
def catalog(layout):
    with Catalog.create(layout, "text") as catalog:
        yield catalog


@pytest.fixture
def filled(layout):
    """A collection of a, b, c at commit 1, closed."""
    with Catalog.create(layout, "text") as catalog:
        staging = Staging(catalog)
        with_model(layout, staging)
        stage(layout, staging, ["a", "b", "c"], "one")
        staging.finish("m1")
    return layout


def visible(catalog, commit):
    """id -> text at a commit, by every way of reading, which must agree."""
    pages = [record for page in catalog.item_pages(commit, page=2) for record in page]
    assert [record.id for record in pages] == sorted(record.id for record in pages)
    rows = catalog.rows([record.id for record in pages], commit)
    assert rows == {record.id: record.row for record in pages}
    records = catalog.items(rows.values())
    in_segments = {
        row for s in catalog.segments(commit) for row in range(s.first_row, s.first_row + s.n_rows)
    }
    removed = set(catalog.removed_rows(commit).tolist())
    assert in_segments - removed == set(rows.values())
    return {records[row].id: records[row].preview for row in rows.values()}


ids = st.lists(st.sampled_from("abcdefg"), unique=True, max_size=5)
steps = st.lists(
    st.tuples(st.sampled_from(["add", "add", "remove", "commit", "abandon", "crash", "drop"]), ids),
    max_size=14,
)


REPLACED_AND_REMOVED = [
    *[("add", ["a", "b"]), ("commit", []), ("add", ["a"]), ("commit", [])],
    *[("remove", ["b"]), ("commit", []), ("drop", []), ("add", ["b"]), ("commit", [])],
]


@settings(max_examples=25)
@example(REPLACED_AND_REMOVED)
@given(steps)
def test_every_snapshot_stands_whatever_comes_after(tmp_path_factory, steps):
    layout = Layout.create(tmp_path_factory.mktemp("c") / "c")
    committed, now, history = {}, {}, {0: {}}
    catalog = Catalog.create(layout, "text")
    staging = Staging(catalog)
    with_model(layout, staging)
    for number, (what, chosen) in enumerate(steps):
        if what == "add" and chosen:
            stage(layout, staging, chosen, str(number))
            now = now | dict.fromkeys(chosen, str(number))
        elif what == "remove":
            staging.remove([row for row, _ in staging.known(chosen).values()])
            now = {k: v for k, v in now.items() if k not in chosen}
        elif what == "drop":
            staging.drop_all_segments()
            now = {}
        elif what == "commit":
            record = staging.finish("m1")
            assert record.n_items == len(now)
            committed = history[record.commit] = dict(now)
            staging = Staging(catalog)
        elif what in ("abandon", "crash"):
            if what == "abandon":
                staging.abandon()
            catalog.close()
            catalog = Catalog.open(layout, write=True)
            staging, now = Staging(catalog), dict(committed)
            if len(history) == 1:
                with_model(layout, staging)
        for commit, expected in history.items():
            assert visible(catalog, commit) == expected
    catalog.close()


def test_seen_and_unseen(filled):
    with Catalog.open(filled, write=True) as catalog:
        staging = Staging(catalog)
        assert staging.see(["a", "x", "a"]) == set()
        assert staging.see(["a", "y"]) == {"a"}
        stage(filled, staging, ["y"])
        assert [pair[1] for page in staging.unseen(page=1) for pair in page] == ["b", "c"]
        with pytest.raises(PayloadError):
            staging.see(["\ud800"])


def test_first_by_id(filled):
    with Catalog.open(filled) as catalog:
        assert catalog.first_by_id([2, 1, 0], 2) == [0, 1]
        assert catalog.first_by_id([2, 1, 0], 0) == []


_KILLED_WRITER = """
import os, signal, sys
sys.path.insert(0, {root!r})
from tests.store.test_catalog import *
layout = Layout.find({path!r})
with writer_lock(layout):
    catalog = Catalog.open(layout, write=True)
    staging = Staging(catalog)
    stage(layout, staging, ["a", "d"], "two")
    (layout.segments / "half.npy.tmp").write_bytes(b"half")
    if {inside}:
        catalog.connection.begin()
        catalog.connection.execute(tables.items.delete())
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("inside", [False, True])
def test_a_killed_writer_leaves_the_last_commit(filled, inside):
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    script = _KILLED_WRITER.format(root=root, path=str(filled.root), inside=inside)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with Catalog.open(filled) as reader:
        assert visible(reader, reader.last_commit().commit) == dict.fromkeys("abc", "one")
    with writer_lock(filled), Catalog.open(filled, write=True) as catalog:
        staging = Staging(catalog)  # the lock of the dead is free, its left-overs go
        assert not list(filled.segments.glob("*.tmp"))
        assert len(list(filled.segments.iterdir())) == 1
        stage(filled, staging, ["d"], "three")
        staging.finish("m1")
        assert visible(catalog, 2) == {"a": "one", "b": "one", "c": "one", "d": "three"}


def test_one_writer_and_it_is_named(filled):
    script = (
        "from hashret.store.layout import Layout\nfrom hashret.store.lock import writer_lock\n"
        f"with writer_lock(Layout.find({str(filled.root)!r})):\n"
        "    print('held', flush=True)\n    input()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(LockedError, match=f"process {holder.pid}"), writer_lock(filled):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with writer_lock(filled, wait_seconds=5):
        pass


def flip(path, position, bit=0):
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


@pytest.mark.parametrize("position", [0, 12, 128, -1])
def test_a_damaged_segment_is_found(filled, position):
    with Catalog.open(filled) as catalog:
        (record,) = catalog.segments(1)
        assert len(open_segment(filled, record)) == 3
        path = filled.segments / record.file.name
        flip(path, position)
        with pytest.raises(DamagedError, match="SHA-256"):
            open_segment(filled, record)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DamagedError, match="bytes"):
            open_segment(filled, record)
        path.unlink()
        with pytest.raises(DamagedError, match="none"):
            open_segment(filled, record)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_damaged_model_is_found(filled, name):
    with Catalog.open(filled) as catalog:
        record = catalog.model("m1")
        description, tensors = read_model(filled, record)
        assert description == {"a": 1}
        np.testing.assert_array_equal(tensors["w"], np.arange(6.0))
        flip(filled.models / "m1" / name, 5)
        with pytest.raises(DamagedError):
            read_model(filled, record)


@pytest.mark.parametrize(
    ("column", "value"),
    [("preview", "x"), ("id", "z"), ("added", 0), ("content_hash", b"0")],
)
def test_a_changed_row_is_found(filled, column, value):
    rows = tables.items
    with connected(filled.root) as connection:
        connection.execute(rows.update().where(rows.c.row == 1).values({column: value}))
    with Catalog.open(filled) as catalog:
        with pytest.raises(DamagedError, match="row 1"):
            catalog.items([0, 1, 2])
        with pytest.raises(DamagedError):
            list(catalog.item_pages(1))
        with pytest.raises(DamagedError, match="expected 2 rows"):
            catalog.items([0, 99])


def test_other_files_are_not_taken_for_a_catalog(filled, tmp_path, each_catalog):
    change(filled.root, "UPDATE meta SET value = '99' WHERE key = 'format'")
    with pytest.raises(FormatVersionError, match="99"):
        Catalog.open(filled)
    filled.catalog.write_bytes(b"no database at all" * 100)
    with pytest.raises(DamagedError):
        Catalog.open(filled)
    if each_catalog == "sqlite":
        filled.catalog.write_bytes(b"")
        with pytest.raises(DamagedError, match="hashret repair"):
            Catalog.open(filled)
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path):
        with pytest.raises(NotACollectionError):
            Layout.create(path)


def test_a_collection_can_be_moved_and_copied(filled, tmp_path):
    shutil.copytree(filled.root, tmp_path / "other place #1?")
    copy = Layout.find(tmp_path / "other place #1?")
    with Catalog.open(copy) as catalog:
        assert visible(catalog, 1) == dict.fromkeys("abc", "one")
        assert len(open_segment(copy, catalog.segments(1)[0])) == 3


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "f"
    write_file(path, [b"old"])

    def failing():
        yield b"new"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_file(path, failing())
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
