"""Files of records and of texts that a stranger made to harm, signed by the catalog."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tests.torture.arrow_fuzz import mutated

if TYPE_CHECKING:
    from tests.torture.strangers import Change, Store

_DEEP = "[" * 100_000 + "]" * 100_000


def _batch(store: Store) -> pa.RecordBatch:
    return pa.ipc.open_file(store.records).get_batch(0)


def _packed(*batches: pa.RecordBatch, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    chosen = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_file(sink, batches[0].schema, options=chosen) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def _with(name: str, column: pa.Array, batch: pa.RecordBatch) -> pa.RecordBatch:
    names = [*dict.fromkeys([*batch.schema.names, name])]
    columns = [column if one == name else batch.column(one) for one in names]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _strings(values: list[bytes]) -> pa.Array:
    """A column of strings that need be no Unicode."""
    return pa.array(values, pa.binary()).view(pa.string())


def records() -> Iterator[tuple[str, Change]]:
    def changed(change: Callable[[pa.RecordBatch], pa.RecordBatch], store: Store) -> None:
        store.put(store.records, _packed(change(_batch(store))))

    def column(name: str, make: Callable[[int], pa.Array], store: Store) -> None:
        changed(lambda batch: _with(name, make(batch.num_rows), batch), store)

    odd: dict[str, list[tuple[str, Callable[[int], pa.Array]]]] = {
        "id": [
            ("numbers", lambda n: pa.array(range(n))),
            ("of no Unicode", lambda n: _strings([b"\xff\xfe"] * n)),
            ("of a surrogate", lambda n: _strings([b"\xed\xa0\x80"] * n)),
            ("all the same", lambda n: pa.array(["v-001"] * n)),
            ("missing", lambda n: pa.array([None] * n, pa.string())),
            ("of a megabyte", lambda n: pa.array(["x" * 1_000_000] * n)),
            ("of control letters", lambda n: pa.array([f"\x1b]0;title\x07{i}" for i in range(n)])),
            ("nothing", lambda n: pa.array([""] * n)),
            ("NUL", lambda n: pa.array(["\0"] * n)),
            ("large strings", lambda n: pa.array([str(i) for i in range(n)], pa.large_string())),
            ("a dictionary", lambda n: pa.array(["x"] * n).dictionary_encode()),
        ],
        "digest": [
            ("short", lambda n: pa.array([b"x"] * n, pa.binary(1))),
            ("of any length", lambda n: pa.array([b"x" * 16] * n)),
        ],
        "preview": [
            ("of no Unicode", lambda n: _strings([b"\xff"] * n)),
            ("of a megabyte", lambda n: pa.array(["x" * 1_000_000] * n)),
            ("missing", lambda n: pa.array([None] * n, pa.string())),
        ],
        "sorted_hash": [
            ("in no order", lambda n: pa.array(range(n, 0, -1), pa.uint64())),
            ("all the same", lambda n: pa.array([7] * n, pa.uint64())),
            ("signed", lambda n: pa.array(range(n), pa.int64())),
        ],
        "hash_row": [
            ("beyond the end", lambda n: pa.array([2**32 - 1] * n, pa.uint32())),
            ("all the same", lambda n: pa.array([0] * n, pa.uint32())),
        ],
        "metadata": [
            ("a text", lambda n: pa.array(["{}"] * n)),
            ("a list", lambda n: pa.array([[1]] * n)),
            ("nested", lambda n: pa.array([{"a": {"b": 1}}] * n)),
            ("timestamps", lambda n: pa.array([{"n": 1}] * n, pa.struct({"n": pa.timestamp("s")}))),
            ("without a key", lambda n: pa.array([{}] * n, pa.struct([]))),
            ("of many keys", lambda n: pa.array([{f"k{i}": i for i in range(5000)}] * n)),
            ("that is missing", lambda n: pa.array([None] * n, pa.struct({"n": pa.int64()}))),
            ("of one key twice", lambda n: pa.StructArray.from_arrays([pa.array([1] * n)] * 2, ["n"] * 2)),
            *(
                (f"of JSON {text[:12]}", lambda n, t=text: _json_column(t, n))
                for text in ("words", _DEEP, "9" * 5000, "NaN", "", '{"a":' * 50)
            ),
        ],
        "other_metadata": [
            (f"{text[:12]}", lambda n, t=text: pa.array([t] * n))
            for text in ("null", "[]", "words", _DEEP, '{"a":' + _DEEP + "}", '{"a": NaN}', "7")
        ],
        "extra": [("column", lambda n: pa.array(range(n)))],
    }  # fmt: skip
    for name, ways in odd.items():
        for how, make in ways:
            yield f"{name}: {how}", partial(column, name, make)
        if name not in ("metadata", "other_metadata", "extra"):
            yield f"{name}: no such column", partial(changed, lambda b, n=name: b.drop_columns([n]))
    yield "fewer rows", partial(changed, lambda batch: batch.slice(0, 5))
    yield "no rows", partial(changed, lambda batch: batch.slice(0, 0))
    yield (
        "more rows",
        partial(changed, lambda b: pa.Table.from_batches([b, b]).combine_chunks().to_batches()[0]),
    )
    yield "two batches", lambda s: s.put(s.records, _packed(_batch(s), _batch(s)))
    yield "compressed", lambda s: s.put(s.records, _packed(_batch(s), compression="zstd"))
    yield from _hostile_bytes("records", lambda store: store.records)

    def bomb(store: Store) -> None:
        text = pa.array(["x" * 3_000_000] * _batch(store).num_rows)
        store.put(store.records, _packed(_with("preview", text, _batch(store)), compression="zstd"))

    yield "a bomb", bomb


def _json_column(text: str, n: int) -> pa.Array:
    field = pa.field("n", pa.string(), metadata={b"hashret": b"json"})
    return pa.StructArray.from_arrays([pa.array([text] * n)], fields=[field])


def _hostile_bytes(part: str, find: Callable[[Store], Path]) -> Iterator[tuple[str, Change]]:
    """Files that are no Arrow, that end too early, whose lengths and offsets lead anywhere."""
    forms = {
        "nothing": b"",
        "the name alone": b"ARROW1",
        "two names": b"ARROW1\0\0ARROW1",
        "a vast footer": b"ARROW1\0\0" + b"\xff\xff\xff\x7f" + b"ARROW1",
        "a negative footer": b"ARROW1\0\0" + b"\xff\xff\xff\xff" + b"ARROW1",
        "an empty footer": b"ARROW1\0\0" + bytes(4) + b"ARROW1",
        "a Parquet file": b"PAR1" + bytes(100) + b"PAR1",
        "zeros": bytes(5000),
    }
    for name, data in forms.items():
        yield f"{part} is {name}", lambda s, d=data: s.put(find(s), d)
    for part_of in (2, 3, 10):
        yield (
            f"{part} cut to a part of {part_of}",
            lambda s, n=part_of: s.put(find(s), find(s).read_bytes()[: -(-os.path.getsize(find(s)) // n)]),  # noqa: PTH202
        )  # fmt: skip
    yield f"{part} with more", lambda s: s.put(find(s), find(s).read_bytes() + b"x")
    for seed in range(40):
        yield (
            f"{part} changed by {seed}",
            lambda s, n=seed: s.put(find(s), mutated(find(s).read_bytes(), random.Random(n))),
        )


def texts() -> Iterator[tuple[str, Change]]:
    def place(store: Store) -> Path:
        return store.segment.with_suffix(".texts.arrow")

    def put(make: Callable[[int], pa.Array], store: Store, **options: Any) -> None:
        column = make(64)
        batch = pa.RecordBatch.from_arrays([column], names=["text"])
        store.put(place(store), _packed(batch.slice(0, _batch(store).num_rows), **options))

    ways: dict[str, Callable[[int], pa.Array]] = {
        "sound": lambda n: pa.array([f"text {i}" for i in range(n)]),
        "missing": lambda n: pa.array([None] * n, pa.string()),
        "of no Unicode": lambda n: _strings([b"\xff"] * n),
        "numbers": lambda n: pa.array(range(n)),
        "a bomb of 30 megabytes": lambda n: pa.array(["x" * 500_000] * n),
    }
    for name, make in ways.items():
        for compression in ("zstd", "lz4", None):
            if compression or "bomb" not in name:
                yield f"{name}, {compression}", partial(put, make, compression=compression)

    def of_bytes(store: Store) -> Path:
        if not place(store).exists():
            put(ways["sound"], store, compression="zstd")
        return place(store)

    yield from _hostile_bytes("texts", of_bytes)

    def longer(store: Store) -> None:
        """A compressed buffer says that it is of 2 to the power of 60 bytes."""
        data = bytearray(of_bytes(store).read_bytes())
        at = data.index(bytes.fromhex("28b52ffd"))  # where a frame of zstd begins
        data[at - 8 : at] = struct.pack("<q", 1 << 60)
        store.put(place(store), bytes(data))

    yield "a vast size", longer
