"""What is not the collection's never blocks it, is never followed, and is what `repair` moves."""

import os
import shutil
import socket
import stat

import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.errors import NotACollectionError
from hashret.store.disk.aside import move, moves_aside
from hashret.store.disk.files import write_file
from hashret.store.disk.untrusted import create_plain, open_plain
from hashret.store.layout import Layout
from hashret.store.repair import plan as repair
from hashret.store.repair.verify import examine
from indexer import Indexer
from indexer.cli import main
from tests.torture.bases import items_of, make

SECRET = b"private" * 40


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make(tmp_path_factory.mktemp("base") / "c", "vector", 20)


@pytest.fixture
def path(base, tmp_path):
    return shutil.copytree(base, tmp_path / "c")


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "private").write_bytes(SECRET)
    return folder


def bind(path):
    here = os.open(path.parent, os.O_RDONLY)  # the path itself may be too long for a socket
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


def leave(path, what, outside):
    path.parent.mkdir(exist_ok=True)
    {
        "file": lambda: path.write_text("x"),
        "folder": path.mkdir,
        "full folder": lambda: shutil.copytree(outside, path),
        "link": lambda: path.symlink_to(outside / "private"),
        "link to a folder": lambda: path.symlink_to(outside),
        "link to nothing": lambda: path.symlink_to(outside / "new"),
        "hard link": lambda: path.hardlink_to(outside / "private"),
        "pipe": lambda: os.mkfifo(path),
        "socket": lambda: bind(path),
    }[what]()


KINDS = (
    *("file", "folder", "full folder", "link", "link to a folder", "link to nothing"),
    *("hard link", "pipe", "socket"),
)
PLACES = (
    "segments/.DS_Store",
    "segments/c000002-000000000020.npy",  # what the next commit calls its codes
    "segments/c000002-000000000020.npy.tmp",
    "segments/c000002-000000000020.arrow",
    "models/zzz",
    "models/m000002",
    "models/m000001/.DS_Store",
    "unfinished/.DS_Store",
    "unfinished/old.checkpoint",
    ".DS_Store",
    "damaged",
)


def state(outside):
    return {one.name: one.read_bytes() for one in outside.iterdir()}


@pytest.mark.parametrize("where", PLACES)
def test_no_leftover_blocks_a_writer_or_a_repair(base, path, outside, where):
    items = items_of("vector", 26)
    for n, what in enumerate(KINDS):
        if n:
            shutil.rmtree(path)
            shutil.copytree(base, path)
        leave(path / where, what, outside)
        with Indexer(path, workers=1) as indexer:
            indexer.remove([items[3].id])
            indexer.add(items[20:])
            indexer.commit()
        repair.apply(Layout.find(path))
        with Collection.open(path) as collection:
            assert len(collection) == 25, what
        assert examine(Layout.find(path)).is_sound
        assert state(outside) == {"private": SECRET}, what


def names(folder):
    return {str(one.relative_to(folder)): one.lstat().st_mode for one in folder.rglob("*")}


def test_a_repair_moves_exactly_what_its_plan_says(path, outside):
    for n, what in enumerate(KINDS):
        for folder in ("segments", "models", "models/m000001", "unfinished"):
            leave(path / folder / f"zzz {n}", what, outside)
    (path / "notes.txt").write_text("beside the collection's own: not in the way")
    before = names(path)
    plan = repair.plan(Layout.find(path))
    assert names(path) == before
    assert len(plan.moved) == 4 * len(KINDS)
    said = CliRunner().invoke(main, ["repair", str(path)]).output
    assert said.count("would move") == len(plan.moved)
    assert repair.apply(Layout.find(path)).moved == plan.moved
    after = names(path)
    for source, to in plan.moved.items():
        assert not os.path.lexists(source)
        assert after[str(to.relative_to(path))] == before[str(source.relative_to(path))]
    gone = {str(source.relative_to(path)) for source in plan.moved}
    stays = {
        name for name in before if not any(name == g or name.startswith(f"{g}/") for g in gone)
    }
    assert {name for name in after if not name.startswith("damaged")} == stays | {"unfinished"}
    assert "nothing to repair" in CliRunner().invoke(main, ["repair", str(path)]).output
    assert state(outside) == {"private": SECRET}


@pytest.mark.parametrize("what", KINDS[1:])
@pytest.mark.parametrize("which", ["segment", "records", "features", "model.json", "model"])
def test_what_stands_in_the_place_of_a_file_is_moved_as_it_is(path, outside, which, what):
    at = {
        "segment": lambda: next(path.glob("segments/*.npy")),
        "records": lambda: next(path.glob("segments/*.arrow")),
        "features": lambda: next(path.glob("segments/*.safetensors")),
        "model.json": lambda: path / "models" / "m000001" / "model.json",
        "model": lambda: path / "models" / "m000001",
    }[which]()
    at.rename(path.with_name("before"))
    leave(at, what, outside)
    mode = stat.S_IFMT(at.lstat().st_mode)
    assert not examine(Layout.find(path)).is_sound
    done = CliRunner().invoke(main, ["repair", str(path), "--apply"])
    if which.startswith("model"):  # the only one: there is nothing to go back to
        assert done.exit_code == 1
        assert "restore the collection from a copy" in done.output
        assert stat.S_IFMT(at.lstat().st_mode) == mode
    else:
        assert done.exit_code == 0, done.output
        aside = path / "damaged" / "segments" / at.name
        assert stat.S_IFMT(aside.lstat().st_mode) == mode
        assert examine(Layout.find(path)).is_sound
    assert state(outside) == {"private": SECRET}
    copies = [one for one in path.rglob("*") if one.is_file() and not one.is_symlink()]
    if what not in ("hard link", "full folder"):
        assert not any(one.read_bytes() == SECRET for one in copies)


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("where", ["damaged", "damaged/segments", "damaged/segments/{}"])
def test_what_waits_in_the_folder_of_the_damaged_is_not_followed(path, outside, where, what):
    segment = next(path.glob("segments/*.npy"))
    damaged = segment.read_bytes()[:-1]
    segment.write_bytes(damaged)
    place = path / where.format(segment.name)
    place.parent.mkdir(parents=True, exist_ok=True)
    leave(place, what, outside)
    made = repair.apply(Layout.find(path))
    assert made.moved[segment].read_bytes() == damaged
    assert examine(Layout.find(path)).is_sound
    assert state(outside) == {"private": SECRET}


def test_nothing_aside_is_replaced(tmp_path):
    for n in range(4):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "x").write_text(str(n))
        move(tmp_path, moves_aside(tmp_path, [tmp_path / "a" / "x", tmp_path / "a"]))
    kept = sorted(one.read_text() for one in (tmp_path / "damaged").rglob("x*") if one.is_file())
    assert kept == ["0", "1", "2", "3"]
    assert moves_aside(tmp_path, [tmp_path / "none"]) == {}


@pytest.mark.parametrize("what", ["link", "hard link", "link to nothing", "pipe", "file"])
def test_a_file_is_made_in_the_place_of_a_link_and_not_through_it(tmp_path, outside, what):
    for name in ("made", "written.tmp", "written"):
        leave(tmp_path / name, what, outside)
    with create_plain(tmp_path / "made") as stream:
        stream.write(b"new")
    write_file(tmp_path / "written", [b"new"])
    for name in ("made", "written"):
        with open_plain(tmp_path / name) as stream:
            assert stream.read() == b"new"
    assert state(outside) == {"private": SECRET}


@pytest.mark.parametrize("name", ["catalog.sqlite", "writer.lock", "catalog.sqlite-journal"])
def test_what_is_written_in_place_must_have_no_other_name(path, tmp_path, name):
    own = path / name
    own.touch()
    (tmp_path / "other").hardlink_to(own)
    before = own.read_bytes()
    with pytest.raises(NotACollectionError, match="hard links"), Indexer(path) as indexer:
        indexer.remove([])
    assert (tmp_path / "other").read_bytes() == before
    if name != "catalog.sqlite-journal":  # which a reader might have to roll back
        with Collection.open(path) as collection:
            assert len(collection) == 20
