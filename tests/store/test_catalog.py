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
)
from hashret.store.catalog.opening import create_catalog, open_catalog
from hashret.store.catalog.staging import Staging
from hashret.store.disk.files import write_file
from hashret.store.layout import Layout
from hashret.store.lock import writer_lock
from hashret.store.model_files import read_model, write_model
from hashret.store.segments.record_batch import batch_of, write_records
from hashret.store.segments.record_schema import ItemRecord
from hashret.store.segments.segment import Segment, open_codes, write_codes
from hashret.store.segments.stored_items import StoredItems
from hashret.store.segments.value_files import TEXTS, write_values
from indexer.ingest.seen import Seen
from tests.catalogs import change


def stage(layout, staging, ids, text="", model="m1"):
    """Stage one segment with an item for each id."""
    name, first = staging.new_segment()
    codes = write_codes(layout, name, Codes(np.full((len(ids), 2), staging.commit, np.uint8)))
    batch = batch_of([ItemRecord(one, bytes(16), {"text": text}, text) for one in ids])
    records = write_records(layout, name, batch)
    texts = write_values(layout, name, TEXTS, [text] * len(ids))
    n = len(ids)
    staging.add_segment(Segment(name, first, n, n, 16, model, codes, records, texts), ids)


def with_model(layout, staging):
    staging.add_model(write_model(layout, "m1", {"a": 1}, {"w": np.arange(6.0)}, 16))


pytestmark = pytest.mark.usefixtures("each_catalog")


@pytest.fixture
def layout(tmp_path):
    return Layout.create(tmp_path / "c")


@pytest.fixture
def catalog(layout):
    with create_catalog(layout, "text") as catalog:
        yield catalog


def with_three(path, address=None):
    """A collection of a, b, c at commit 1, closed."""
    layout = Layout.create(path)
    with create_catalog(layout, "text", address=address) as catalog:
        staging = Staging(catalog)
        with_model(layout, staging)
        stage(layout, staging, ["a", "b", "c"], "one")
        staging.finish("m1")
    return layout


@pytest.fixture
def filled(tmp_path):
    return with_three(tmp_path / "c")


def visible(catalog, commit):
    """id -> text at a commit, by every way of reading, which must agree."""
    items = StoredItems(catalog.layout, catalog.segments(commit))
    pairs = list(items.by_id())
    assert [item_id for item_id, _ in pairs] == sorted(item_id for item_id, _ in pairs)
    rows = items.find([item_id for item_id, _ in pairs])
    assert rows == dict(pairs)
    assert list(items.rows()) == sorted(rows.values())
    assert len(items) == len(rows)
    records = {row: items.record(row) for row in rows.values()}
    assert {record.id: row for row, record in records.items()} == rows
    assert all(items.text(row) == record.preview for row, record in records.items())
    return {item_id: records[row].preview for item_id, row in rows.items()}


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
    catalog = create_catalog(layout, "text")
    staging = Staging(catalog)
    with_model(layout, staging)
    for number, (what, chosen) in enumerate(steps):
        if what == "add" and chosen:
            stage(layout, staging, chosen, str(number))
            now = now | dict.fromkeys(chosen, str(number))
        elif what == "remove":
            staging.remove(list(staging.items.find(chosen).values()))
            now = {k: v for k, v in now.items() if k not in chosen}
        elif what == "drop":
            staging.drop_all_segments()
            now = {}
        elif what == "commit":
            record = staging.finish("m1")
            assert record.n_items == len(now)
            assert catalog.last_commit() == catalog.commit(record.commit) == record
            catalog.segments_of(record)
            committed = history[record.commit] = dict(now)
            staging = Staging(catalog)
        elif what in ("abandon", "crash"):
            if what == "abandon":
                staging.abandon()
            catalog.close()
            catalog = open_catalog(layout, write=True)
            staging, now = Staging(catalog), dict(committed)
            if len(history) == 1:
                with_model(layout, staging)
        for commit, expected in history.items():
            assert visible(catalog, commit) == expected
    catalog.close()


def test_items_are_removed_and_forgotten_with_their_segment(filled):
    with open_catalog(filled, write=True) as catalog:
        staging = Staging(catalog)
        stage(filled, staging, ["c", "d"], "two")
        staging.finish("m1")
        staging = Staging(catalog)
        staging.forget_segments([catalog.segments(2)[0].name])
        staging.finish("m1")
        assert visible(catalog, 3) == {"c": "two", "d": "two"}
        assert visible(catalog, 2) == {"a": "one", "b": "one", "c": "two", "d": "two"}


@pytest.mark.parametrize("refitted", [False, True])
def test_a_writer_goes_on_from_what_was_staged(filled, refitted):
    """It keeps the segments that the interrupted one staged, but no removal of its own."""
    with open_catalog(filled, write=True) as catalog:
        staging = Staging(catalog)
        if refitted:
            staging.drop_all_segments()
        stage(filled, staging, ["b", "d"], "two")
        stage(filled, staging, ["e"], "two")
        if not refitted:
            staging.remove([0])
    with open_catalog(filled, write=True) as catalog:
        staging = Staging(catalog, keep=True, refitted=refitted)
        assert staging.n_kept_anew() == (0 if refitted else 1)
        seen = ["a", "e"] if refitted else ["a", "b", "e"]
        came = Seen(staging.items, staging.kept_from, staging.next_row)
        _, known = came.see(seen)
        assert {one: row for one, (row, _) in known.items()} == (
            {"e": 5} if refitted else {"a": 0, "b": 3, "e": 5}
        )
        staging.give_up(came.unseen_kept())
        staging.finish("m1")
        assert visible(catalog, 2) == (
            {"e": "two"} if refitted else {"a": "one", "b": "two", "c": "one", "e": "two"}
        )
        assert visible(catalog, 1) == dict.fromkeys("abc", "one")


def test_an_item_whose_new_version_is_gone_is_back_in_its_former_one(filled):
    with open_catalog(filled, write=True) as catalog:
        stage(filled, Staging(catalog), ["b", "c"], "two")
    with open_catalog(filled, write=True) as catalog:
        staging = Staging(catalog, keep=True)
        (b,) = staging.items.find(["b"]).values()
        staging.give_up(np.array([b]))
        staging.finish("m1")
        assert visible(catalog, 2) == {"a": "one", "b": "one", "c": "two"}


_KILLED_WRITER = """
import os, signal, sys
sys.path.insert(0, {root!r})
from hashret.store.catalog import tables
from tests.store.test_catalog import *
layout = Layout.find({path!r})
with writer_lock(layout):
    catalog = open_catalog(layout, write=True)
    staging = Staging(catalog)
    stage(layout, staging, ["a", "d"], "two")
    (layout.segments / "half.npy.tmp").write_bytes(b"half")
    if {inside}:
        catalog.connection.begin()
        catalog.connection.execute(tables.segments.delete())
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("inside", [False, True])
def test_a_killed_writer_leaves_the_last_commit(filled, inside):
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    script = _KILLED_WRITER.format(root=root, path=str(filled.root), inside=inside)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with open_catalog(filled) as reader:
        assert visible(reader, reader.last_commit().commit) == dict.fromkeys("abc", "one")
    with writer_lock(filled), open_catalog(filled, write=True) as catalog:
        staging = Staging(catalog)  # the lock of the dead is free, its left-overs go
        assert not list(filled.segments.glob("*.tmp"))
        assert len(list(filled.segments.iterdir())) == 3, "codes, records and texts"
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


def read_codes(layout, segment):
    return open_codes(layout, segment)


def read_records(layout, segment):
    return StoredItems(layout, [segment]).record(segment.first_row)


def read_texts(layout, segment):
    return StoredItems(layout, [segment]).text(segment.first_row)


@pytest.mark.parametrize(
    ("part", "read"), [("codes", read_codes), ("records", read_records), ("texts", read_texts)]
)
@pytest.mark.parametrize("position", [0, 12, 128, -1])
def test_a_damaged_file_of_a_segment_is_found(filled, part, read, position):
    with open_catalog(filled) as catalog:
        (segment,) = catalog.segments(1)
        read(filled, segment)
        path = filled.segments / getattr(segment, part).name
        flip(path, position)
        with pytest.raises(DamagedError, match="SHA-256"):
            read(filled, segment)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DamagedError, match="bytes"):
            read(filled, segment)
        path.unlink()
        with pytest.raises(DamagedError, match="none"):
            read(filled, segment)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_damaged_model_is_found(filled, name):
    with open_catalog(filled) as catalog:
        record = catalog.model("m1")
        description, tensors = read_model(filled, record)
        assert description == {"a": 1}
        np.testing.assert_array_equal(tensors["w"], np.arange(6.0))
        flip(filled.models / "m1" / name, 5)
        with pytest.raises(DamagedError):
            read_model(filled, record)


def test_other_files_are_not_taken_for_a_catalog(filled, tmp_path, each_catalog):
    change(filled.root, "UPDATE meta SET value = '99' WHERE key = 'format'")
    with pytest.raises(FormatVersionError, match="99"):
        open_catalog(filled)
    filled.catalog.write_bytes(b"no database at all" * 100)
    with pytest.raises(DamagedError):
        open_catalog(filled)
    if each_catalog == "sqlite":
        filled.catalog.write_bytes(b"")
        with pytest.raises(DamagedError, match="hashret repair"):
            open_catalog(filled)
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path):
        with pytest.raises(NotACollectionError):
            Layout.create(path)


def test_a_collection_can_be_moved_and_copied(filled, tmp_path):
    shutil.copytree(filled.root, tmp_path / "other place #1?")
    copy = Layout.find(tmp_path / "other place #1?")
    with open_catalog(copy) as catalog:
        assert visible(catalog, 1) == dict.fromkeys("abc", "one")
        assert len(open_codes(copy, catalog.segments(1)[0])) == 3


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
