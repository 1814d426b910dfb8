import os
import socket
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import files
from indexer.corpus.folders.walk import walk
from indexer.corpus.leaving_out import Rules


@given(st.binary(min_size=1, max_size=40))
def test_an_id_gives_back_the_name_of_any_file(name):
    relative = os.fsdecode(name)
    item_id = files.id_of(relative)
    item_id.encode("utf-8")
    if files.id_metadata(relative):
        assert files.path_of(item_id) == relative
    else:
        assert item_id == relative


def test_a_folder_is_walked_in_the_order_of_relative_paths(tmp_path):
    names = ["a.txt", "a/b.txt", "a-b.txt", "a/b/c.txt", "B.txt", "a0.txt", "é.txt", "z/a.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [entry.relative for entry in walk(tmp_path, Rules())]
    assert found == sorted(names, key=str.encode)


def test_an_entry_says_where_and_how_large(tmp_path):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "b.txt"
    path.write_bytes(b"12345")
    os.utime(path, (0, 1_704_110_400.9))
    (entry,) = walk(tmp_path, Rules())
    assert entry == files.Entry(path, "a/b.txt", 5, "2024-01-01T12:00:00Z")
    assert entry.metadata == {"folder": "a", "size": 5, "modified": "2024-01-01T12:00:00Z"}


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1.5, "1969-12-31T23:59:58Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (253_402_300_800, ""),
        (-62_135_596_800, ""),  # the year 1, which strftime writes with one digit
        (float("inf"), ""),
        (float("nan"), ""),
        (1e300, ""),
    ],
)
def test_a_time_that_no_calendar_has_is_left_out(seconds, says):
    assert files.time_of(seconds) == says


@pytest.mark.parametrize("follow", [False, True])
def test_what_is_no_regular_file_is_not_opened(tmp_path, follow, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)
        server.bind("socket")
    for name in ("pipe", "socket", "."):
        with pytest.raises(Refused) as refused:
            files.open_regular(tmp_path / name, follow=follow)
        assert refused.value.error_class == "not-a-regular-file"
    with pytest.raises(Refused, match="got a device"):
        files.open_regular(Path("/dev/null"), follow=follow)


def test_a_file_that_became_a_pipe_or_a_link_before_it_was_opened(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("words")
    real = os.open

    def exchanged_for(make):
        def opening(path, flags):
            Path(path).unlink()
            make(path)
            return real(path, flags)

        return opening

    for make in (os.mkfifo, lambda path: Path(path).symlink_to("/etc/hostname")):
        monkeypatch.setattr(files.os, "open", exchanged_for(make))
        with pytest.raises(Refused) as refused:
            files.open_regular(tmp_path / "file")
        assert refused.value.error_class in {"not-a-regular-file", "symlink"}
        (tmp_path / "file").unlink()
        (tmp_path / "file").write_text("words")


def test_a_link_is_followed_only_when_asked(tmp_path):
    (tmp_path / "file").write_bytes(b"words")
    (tmp_path / "link").symlink_to("file")
    assert files.read_bytes(tmp_path / "link", 5, follow=True) == b"words"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link-to-pipe").symlink_to("pipe")
    for name in ("link", "link-to-pipe"):
        with pytest.raises(Refused, match="symbolic link"):
            files.read_bytes(tmp_path / name, 5)


def test_the_limit_of_size_is_inclusive(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read_bytes(tmp_path / "file", 5) == b"12345"
    with pytest.raises(Refused) as refused:
        files.read_bytes(tmp_path / "file", 4)
    assert refused.value.error_class == "too-large"


def test_a_file_over_the_limit_is_not_read(tmp_path):
    with (tmp_path / "file").open("wb") as stream:
        stream.truncate(9 << 20)
    tracemalloc.start()
    with pytest.raises(Refused, match="got 9,437,184"):
        files.read_bytes(tmp_path / "file", 8 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    (tmp_path / "file").write_text("words")
    (tmp_path / "file").chmod(0)
    with pytest.raises(Refused) as refused:
        files.read_bytes(tmp_path / "file", 5)
    assert refused.value.error_class == "unreadable"


def test_what_vanishes_while_a_folder_is_walked_is_reported(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).touch()
    walking = walk(tmp_path, Rules())
    next(walking)
    (tmp_path / "b").unlink()
    (missing,) = walking
    assert isinstance(missing, Skipped)
    assert missing.error_class == "missing-file"
