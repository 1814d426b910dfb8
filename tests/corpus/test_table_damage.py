"""Tables that are cut, damaged, or made to harm: reported, in bounded memory, to no other's cost."""

import bz2
import json
import lzma
import struct
import tracemalloc
import zlib
from datetime import date
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather

from hashret.workers import pool
from hashret.workers.pool import Limits, Workers
from hashret.workers.refusals import ERROR_CLASSES, Refused
from indexer import corpus
from indexer.corpus.tables import binary, compressed, rows
from tests.corpus.table_files import COMPRESS, FORMS, parquet, read, write


@pytest.fixture
def here(monkeypatch):
    """Binary tables are read in this process, which is quicker; the rows are the same."""
    monkeypatch.setattr(pool, "AVAILABLE", False)


@pytest.mark.parametrize("packed", [".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("cut", [1, 5, 100, 3000, -9, -1])
def test_a_stream_that_ends_early_gives_what_it_has_and_says_so(tmp_path, packed, cut):
    lines = "".join(json.dumps({"id": i, "text": f"text {i} {i**7}"}) + "\n" for i in range(5000))
    path = write(tmp_path / f"t.jsonl{packed}", COMPRESS[packed](lines.encode())[:cut])
    *found, last = read(path)
    assert [(x.id, x.payload) for x in found] == [
        (str(i), f"text {i} {i**7}") for i in range(len(found))
    ]
    assert last.error_class == "damaged-stream"


def test_an_xz_file_may_be_several_streams_with_padding(tmp_path):
    parts = [lzma.compress(f'{{"text": "{i}"}}\n'.encode()) for i in range(3)]
    path = write(tmp_path / "t.jsonl.xz", parts[0] + bytes(8) + parts[1] + parts[2] + bytes(4))
    assert [x.payload for x in read(path)] == ["0", "1", "2"]


def test_an_xz_stream_that_needs_too_much_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "_XZ_MEMORY", 1 << 20)
    (bad,) = read(write(tmp_path / "t.jsonl.xz", lzma.compress(b'{"text": "a"}')))
    assert bad.error_class == "damaged-stream"


def bomb(packed: str, n_bytes: int) -> bytes:
    """So many bytes of `x`, compressed."""
    if packed == ".zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            for _ in range(n_bytes >> 20):
                stream.write(b"x" * (1 << 20))
        return sink.getvalue().to_pybytes()
    made = {
        ".gz": lambda: zlib.compressobj(1, wbits=31),
        ".bz2": lambda: bz2.BZ2Compressor(1),
        ".xz": lambda: lzma.LZMACompressor(preset=0),
    }[packed]()
    return b"".join(
        [*(made.compress(b"x" * (1 << 20)) for _ in range(n_bytes >> 20)), made.flush()]
    )


@pytest.mark.parametrize("packed", [".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.json"])
def test_a_bomb_takes_little_memory(tmp_path, monkeypatch, name, packed):
    monkeypatch.setattr(rows, "MAX_CHARACTERS", 1 << 16)
    first = {"t.jsonl": b'{"text": "a"}\n', "t.csv": b"text\n", "t.json": b'[{"text": "a"}, '}[name]
    data = COMPRESS[packed](first) + bomb(packed, 32 << 20)
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    found = read(write(tmp_path / (name + packed), data))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found[-1].error_class == "too-large"
    assert peak < 16 << 20
    assert pa.total_allocated_bytes() <= before + (8 << 20)


def test_a_compressed_binary_table_has_a_limit(tmp_path, monkeypatch, here):
    monkeypatch.setattr(binary, "_MAX_DECOMPRESSED", 1 << 20)
    for name in ("t.parquet.gz", "t.arrow.xz", "t.db.bz2"):
        (bad,) = read(write(tmp_path / name, bomb(Path(name).suffix, 4 << 20)))
        assert bad.error_class == "too-large"


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.arrow", "t.db"])
def test_a_table_that_is_cut_is_reported(tmp_path, here, name):
    data = FORMS[name]([{"text": f"text {i}" * 50} for i in range(900)])
    for part in (0.3, 0.9):
        found = read(write(tmp_path / name, data[: int(len(data) * part)]))
        assert [x.payload for x in found[:-1]] == [f"text {i}" * 50 for i in range(len(found) - 1)]
        assert found[-1].error_class == "damaged-table"


@pytest.mark.parametrize("offset", [2**31 - 1, 0, -1])
def test_a_text_never_comes_from_elsewhere_in_its_file(tmp_path, here, offset):
    texts = [f"text {i}" for i in range(9)]
    sink = pa.BufferOutputStream()
    feather.write_feather(pa.table({"text": texts}), sink, compression="uncompressed")
    offsets = _offsets(texts)
    data = sink.getvalue().to_pybytes()
    assert data.count(offsets) == 1
    at = data.index(offsets) + 4 * 5
    damaged = data[:at] + struct.pack("<i", offset) + data[at + 4 :]
    (bad,) = read(write(tmp_path / "t.feather", damaged))
    assert bad.error_class == "damaged-table"


def _offsets(texts: list[str]) -> bytes:
    ends = list(accumulate(map(len, texts)))
    return struct.pack(f"<{len(ends) + 1}i", 0, *ends)


def mutated(data: bytes, at: int, way: int) -> bytes:
    out = bytearray(data)
    at %= len(out)
    if way == 0:
        return bytes(out[:at])
    out[at : at + 4] = [b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80"][
        way - 1
    ]
    return bytes(out)


def test_no_damaged_table_changes_what_another_gives(tmp_path):
    """Many mutations of each form, read by one worker, with a sound table after every ten."""
    table = [
        {"id": f"i{n}", "text": f"text {n}", "n": n, "l": [n, n + 1], "d": date(2024, 1, 1)}
        for n in range(100)
    ]
    plain = [{k: v for k, v in row.items() if k not in "ld"} for row in table]
    paths, sound = [], []
    for name in ("t.parquet", "t.feather", "t.arrow", "t.db"):
        data = FORMS[name](plain if name == "t.db" else table)
        for k in range(60):
            at = k * 104_729 if k % 3 else -(k + 1)  # the schema stands at one of the ends
            damaged = data if k % 10 == 9 else mutated(data, at, k % 5)
            paths.append(write(tmp_path / f"{k}{name}", damaged))
            sound.append(damaged == data)
    with Workers(
        "tests.corpus.table_tasks:whole_tables", limits=Limits(seconds=30), n=1
    ) as workers:
        results = [r for some in workers.map([paths[:120], paths[120:]]) for r in some]
    for is_sound, result in zip(sound, results, strict=True):
        if isinstance(result, Refused):
            assert result.error_class in ERROR_CLASSES
            assert not is_sound
        elif is_sound:
            assert [row["id"] for row in result[0]] == [row["id"] for row in table]
        else:
            assert result[1] in {"", "unclear", *ERROR_CLASSES}
    assert sum(isinstance(r, Refused) or r[1] == "damaged-table" for r in results) > 60


def test_a_damaged_table_ends_no_run(tmp_path):
    table = [{"text": f"text {i}"} for i in range(5)]
    paths = [tmp_path / "bad.parquet", tmp_path / "good.parquet"]
    write(paths[0], parquet(table)[:-20])
    write(paths[1], parquet(table))
    bad, *good = corpus.read(paths, "text")
    assert (bad.id, bad.error_class) == ("bad.parquet:1", "damaged-table")
    assert [x.payload for x in good] == [row["text"] for row in table]
