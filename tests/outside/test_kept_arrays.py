"""Arrays kept in the user's cache folder: mapped again, if every byte is right; never in the way."""

import json
import os
import shutil
import time
from hashlib import sha256

import numpy as np
import pytest

from hashret.outside import machine_cache
from hashret.outside.machine_cache import SHARE, read_arrays, write_arrays
from hashret.store.disk.file_systems import Mount

ARRAYS = {"words": np.arange(5, dtype=np.uint64), "rows": np.arange(3, dtype=np.uint32)}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "hashret" / "arrays"


def test_what_is_written_is_mapped(folder):
    assert read_arrays("a") == {}
    write_arrays("a", ARRAYS)
    found = read_arrays("a")
    assert found.keys() == ARRAYS.keys()
    for name, array in found.items():
        assert array.dtype == ARRAYS[name].dtype
        assert array.tolist() == ARRAYS[name].tolist()
        assert isinstance(array.base, np.memmap)
        assert not array.flags.writeable
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_others_of_the_same_name_take_their_place():
    write_arrays("a", ARRAYS)
    mapped = read_arrays("a")
    write_arrays("a", {"words": np.zeros(2, np.uint64)})
    assert read_arrays("a").keys() == {"words"}
    assert mapped["words"].tolist() == [0, 1, 2, 3, 4]  # who has them goes on with them


def rewrite_sums(folder, name="a"):
    """The checksums of what stands there now, as someone who makes files up would write them."""
    sums = {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.u*")}
    (folder / "sums.json").write_text(json.dumps({"name": name, **sums}))


@pytest.mark.parametrize("file", ["words.u8", "rows.u4", "sums.json"])
@pytest.mark.parametrize("place", [0, 10, -1])
def test_a_byte_that_is_another_makes_all_as_nothing(folder, file, place):
    write_arrays("a", ARRAYS)
    content = bytearray((folder / "a" / file).read_bytes())
    content[place] ^= 1
    (folder / "a" / file).write_bytes(content)
    assert read_arrays("a") == {}
    write_arrays("a", ARRAYS)
    assert read_arrays("a").keys() == ARRAYS.keys()


def test_a_file_too_few_or_too_many_is_damage(folder):
    write_arrays("a", ARRAYS)
    (folder / "a" / "more.u4").write_bytes((folder / "a" / "rows.u4").read_bytes())
    assert read_arrays("a") == {}
    for name in ("more.u4", "rows.u4"):
        (folder / "a" / name).unlink()
    assert read_arrays("a") == {}


def test_what_stands_under_another_name_is_not_taken(folder):
    write_arrays("a", ARRAYS)
    (folder / "a").rename(folder / "b")
    assert read_arrays("b") == {}


@pytest.mark.parametrize("content", [bytes(7), bytes(2), b"\x80\x04."])
def test_files_made_up_with_their_checksums_are_as_nothing(folder, content):
    write_arrays("a", ARRAYS)
    (folder / "a" / "rows.u4").write_bytes(content)
    rewrite_sums(folder / "a")
    assert read_arrays("a") == {}


def test_an_array_of_nothing_is_kept():
    write_arrays("a", {"rows": np.empty(0, np.uint32), "words": np.zeros(1, np.uint64)})
    found = read_arrays("a")
    assert (found["rows"].dtype, len(found["rows"])) == (np.uint32, 0)


@pytest.mark.parametrize(
    "content", ["", "[", "[" * 100_000, "[]", "null", '{"name": "a"}', "\udcff"]
)
def test_checksums_that_cannot_be_read_are_as_none(folder, content):
    write_arrays("a", ARRAYS)
    (folder / "a" / "sums.json").write_bytes(content.encode(errors="surrogateescape"))
    assert read_arrays("a") == {}


def test_no_pipe_is_waited_for(folder):
    write_arrays("a", ARRAYS)
    (folder / "a" / "rows.u4").unlink()
    os.mkfifo(folder / "a" / "rows.u4")
    assert read_arrays("a") == {}


@pytest.fixture
def with_room(folder, monkeypatch):
    """Pretend that so many bytes would be free if nothing were kept."""

    def pretend(n):
        def usage(_):
            kept = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            return shutil._ntuple_diskusage(n, kept, n - kept)

        monkeypatch.setattr(shutil, "disk_usage", usage)

    return pretend


def test_those_go_that_were_not_wanted_for_longest(folder, with_room):
    with_room(SHARE * 13_500)
    arrays = {"words": np.zeros(1000, np.uint32)}
    now = time.time()
    for age, name in enumerate(["a", "b", "c"]):
        write_arrays(name, arrays)
        os.utime(folder / name, (now - 100 + age,) * 2)
    read_arrays("a")
    write_arrays("d", arrays)
    assert {path.name for path in folder.iterdir()} == {"a", "c", "d"}
    # what is larger than all may be is not kept, and drives nothing out
    write_arrays("e", {"words": np.zeros(10_000, np.uint32)})
    assert {path.name for path in folder.iterdir()} == {"a", "c", "d"}


def test_what_nobody_wanted_for_a_month_goes(folder):
    write_arrays("a", ARRAYS)
    write_arrays("b", ARRAYS)
    for name, days in (("a", 31), ("b", 29)):
        os.utime(folder / name, (time.time() - days * 24 * 3600,) * 2)
    write_arrays("c", ARRAYS)
    assert {path.name for path in folder.iterdir()} == {"b", "c"}


@pytest.mark.parametrize(("missing", "kept"), [(1, False), (0, True)])
def test_a_disk_that_is_nearly_full_is_left_alone(with_room, missing, kept):
    with_room(SHARE * sum(array.nbytes for array in ARRAYS.values()) - missing)
    write_arrays("a", ARRAYS)
    assert bool(read_arrays("a")) == kept


def test_nothing_is_kept_on_a_network(folder, monkeypatch):
    def mounted(_):
        return Mount("/", "nfs4")

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(machine_cache, "network_mount", mounted)
        write_arrays("a", ARRAYS)
        assert not any(folder.iterdir())
    write_arrays("a", ARRAYS)
    monkeypatch.setattr(machine_cache, "network_mount", mounted)
    assert read_arrays("a") == {}


def test_where_nothing_can_be_written_nothing_is(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    write_arrays("a", ARRAYS)
    assert read_arrays("a") == {}
