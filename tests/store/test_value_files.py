"""Texts of a segment come back as they were given, or as named damage."""

import errno
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashret.errors import DamagedError, StorageError
from hashret.store.disk.files import BLOCK, write_file
from hashret.store.layout import Layout
from hashret.store.segments.value_files import TEXTS, Values, write_values

GIVEN = st.lists(
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1
)


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return Layout.create(tmp_path_factory.mktemp("texts") / "c")


def stored(layout, given):
    file = write_values(layout, "s", TEXTS, given)
    return Values(TEXTS, layout.segments / file.name, file, len(given))


@example([None])
@example(["", None, "\0", "日本 \U0001f600"])
@given(GIVEN)
def test_texts_come_back_as_they_were_given(layout, given):
    texts = stored(layout, given)
    assert [texts.value(row) for row in range(len(given))] == given


@pytest.mark.parametrize("n", [1, 63, 64, 65, 128, 300])
def test_texts_of_any_number_are_read_in_any_order(layout, n):
    given = [f"text {i} " * (i % 9) if i % 7 else None for i in range(n)]
    texts = stored(layout, given)
    for row in (*range(n - 1, -1, -1), 0, n - 1, n // 2):
        assert texts.value(row) == given[row]


def test_threads_share_one(layout):
    given = [f"text {i} " * 50 for i in range(1000)]
    texts = stored(layout, given)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(texts.value, range(1000))) == given


def test_polars_reads_a_segments_texts(layout):
    given = [f"text {i}" for i in range(200)]
    file = write_values(layout, "s", TEXTS, given)
    assert pl.read_ipc(layout.segments / file.name)["text"].to_list() == given


def test_the_same_words_again_take_little_space(layout):
    file = write_values(layout, "s", TEXTS, ["the ship sails to the harbour at noon. " * 20] * 640)
    assert file.size < 640 * 800 / 20


def test_damage_is_met_by_whoever_reads_it(layout):
    given = ["".join(chr(33 + (i * j * 7919) % 9001) for j in range(400)) for i in range(640)]
    file = write_values(layout, "s", TEXTS, given)
    path = layout.segments / file.name
    sound = path.read_bytes()
    assert file.size > 4 * BLOCK
    at = 2 * BLOCK + 99
    path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
    texts = Values(TEXTS, path, file, len(given))
    assert texts.value(0) == given[0]
    assert texts.value(639) == given[639]
    found, damages = {}, set()
    for row in range(len(given)):
        try:
            found[row] = texts.value(row)
        except DamagedError as error:
            damages.add(str(error).split(" SHA-256 ")[0])
    assert damages == {f"{path}: expected"}
    assert len(found) > 200
    assert found == {row: given[row] for row in found}


def test_a_disk_that_does_not_answer_says_nothing_of_the_texts(layout, monkeypatch):
    file = write_values(layout, "s", TEXTS, ["a ship"])
    path = layout.segments / file.name

    def refused(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("hashret.store.disk.checked.open_recorded", refused)
    with pytest.raises(StorageError, match="too many open files"):
        Values(TEXTS, path, file, 1)


def ipc(tables, compression="zstd"):
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(sink, tables[0].schema, options=options) as writer:
        for one in tables:
            writer.write_batch(one)
    return sink.getvalue().to_pybytes()


def batch(values, kind=None, name="text"):
    return pa.RecordBatch.from_pydict({name: pa.array(values, kind or pa.string())})


STRANGE = {
    "nothing": b"",
    "no Arrow": b"ARROW1\0\0" + bytes(400),
    "one row": ipc([batch(["a"])]),
    "two batches": ipc([batch(["a", "b"]), batch(["c"])]),
    "more rows": ipc([batch(list("abcd"))]),
    "other column": ipc([batch(["a", "b", "c"], name="texts")]),
    "bytes": ipc([batch([b"a", b"b", b"c"], pa.binary())]),
    "numbers": ipc([batch([1, 2, 3], pa.int64())]),
}


@pytest.mark.parametrize("what", STRANGE)
def test_another_file_with_right_checksums_is_damage(layout, what):
    file = write_file(layout.segments / "strange.texts.arrow", [STRANGE[what]])
    with pytest.raises(DamagedError, match=r"strange\.texts\.arrow"):
        read_all(layout.segments / file.name, file)


def test_texts_that_are_no_utf8_are_damage(layout):
    raw = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    content = ipc([pa.RecordBatch.from_arrays([raw], names=["text"])])
    file = write_file(layout.segments / "strange.texts.arrow", [content])
    with pytest.raises(DamagedError, match="UTF"):
        read_all(layout.segments / file.name, file)


def read_all(path, file):
    texts = Values(TEXTS, path, file, 3)
    for row in range(3):
        texts.value(row)


PLAIN, PACKED = (ipc([batch(["a ship", None, "日本"])], kind) for kind in (None, "zstd"))


@settings(max_examples=300)
@given(
    st.sampled_from([PLAIN, PACKED]),
    st.lists(
        st.tuples(
            st.integers(0, len(PACKED) - 1), st.integers(0, 255), st.sampled_from([1, 2, 4, 8])
        ),
        min_size=1,
        max_size=4,
    ),
    st.none() | st.integers(0, len(PLAIN)),
)
def test_no_bytes_crash_a_reader(layout, content, changes, stop):
    """Whoever writes a file can write its checksums too: Arrow must not end the process."""
    changed = bytearray(content)
    for at, value, width in changes:
        changed[at : at + width] = bytes([value]) * min(width, len(changed) - at)
    file = write_file(layout.segments / "fuzzed.texts.arrow", [bytes(changed[:stop])])
    with suppress(DamagedError):
        read_all(layout.segments / file.name, file)


@pytest.mark.parametrize("length", [-1, -(2**62), 2**31, 2**62])
def test_a_hostile_length_does_not_end_the_process(layout, length):
    three = (3).to_bytes(8, "little")
    places = [at for at in range(0, len(PLAIN), 4) if PLAIN[at : at + 8] == three]
    assert places
    for at in places:
        content = PLAIN[:at] + length.to_bytes(8, "little", signed=True) + PLAIN[at + 8 :]
        file = write_file(layout.segments / "fuzzed.texts.arrow", [content])
        with suppress(DamagedError):
            read_all(layout.segments / file.name, file)
