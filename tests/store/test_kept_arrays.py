"""Arrays kept in the user's cache folder: mapped again, never trusted, never in the way."""

import os
import shutil

import numpy as np
import pytest

from hashret.store import machine_cache
from hashret.store.file_systems import Mount
from hashret.store.machine_cache import forget_arrays, read_arrays, write_arrays

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


def test_what_is_forgotten_is_gone():
    forget_arrays("a")
    write_arrays("a", ARRAYS)
    forget_arrays("a")
    assert read_arrays("a") == {}


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"\x80\x04."])
def test_damage_is_as_nothing(folder, content):
    write_arrays("a", ARRAYS)
    (folder / "a" / "rows.npy").write_bytes(content)
    assert read_arrays("a") == {}


def test_an_array_that_is_cut_short_is_as_nothing(folder):
    write_arrays("a", {"words": np.arange(4096, dtype=np.uint64)})
    file = folder / "a" / "words.npy"
    os.truncate(file, file.stat().st_size - 8)
    assert read_arrays("a") == {}


def test_nothing_is_unpickled(folder):
    write_arrays("a", ARRAYS)
    np.save(folder / "a" / "rows.npy", np.array([{}], object), allow_pickle=True)
    assert read_arrays("a") == {}


def test_those_go_that_were_not_wanted_for_longest(folder, monkeypatch):
    monkeypatch.setattr(machine_cache, "MOST", 13_000)
    arrays = {"words": np.zeros(1000, np.uint32)}
    for age, name in enumerate(["a", "b", "c"]):
        write_arrays(name, arrays)
        os.utime(folder / name, (1000 + age, 1000 + age))
    read_arrays("a")
    write_arrays("d", arrays)
    assert {path.name for path in folder.iterdir()} == {"a", "c", "d"}
    # one that is larger than all may be stays alone
    write_arrays("e", {"words": np.zeros(10_000, np.uint32)})
    assert {path.name for path in folder.iterdir()} == {"e"}


def test_a_disk_that_is_nearly_full_is_left_alone(folder, monkeypatch):
    size = sum(array.nbytes for array in ARRAYS.values())
    for free, kept in ((4 * size - 1, False), (4 * size, True)):
        usage = shutil._ntuple_diskusage(1 << 40, 0, free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
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
