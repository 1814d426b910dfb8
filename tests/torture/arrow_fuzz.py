"""Files of records and texts with bytes changed and signed anew: damage by name, nothing else.

``python -m tests.torture.arrow_fuzz FOLDER FIRST COUNT`` prints the turn before each try, so that
whoever reads it knows which one ended the process, and a line of JSON for each that was bad.
"""

import hashlib
import json
import random
import resource
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

from hashret.errors import DamagedError
from hashret.store.disk.files import FileRecord
from hashret.store.layout import Layout
from hashret.store.segments.record_batch import batch_of, write_records
from hashret.store.segments.record_schema import ItemRecord, hashes
from hashret.store.segments.records import Records
from hashret.store.segments.value_files import TEXTS, Values, write_values
from hashret.where.columns import satisfied
from hashret.where.grammar import parse

_MEMORY = 3 << 30
_N = 150
_NUMBERS = (
    0,
    1,
    7,
    63,
    64,
    255,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**63,
    2**64 - 1,
)


def sound(folder: Path) -> dict[str, bytes]:
    """The bytes of small files of each kind."""
    layout = Layout.create(folder / "sound")
    metadata: list[dict[str, Any]] = [
        {"n": n, "f": n / 3, "b": n % 2 == 0, "s": f"é{n}", "mixed": n if n % 3 else "x"}
        for n in range(_N)
    ]
    for n, one in enumerate(metadata):
        if n % 5 == 0:
            del one["n"], one["s"], one["b"]
        one[("\ud800", "k")[n % 2]] = [n]
    items = [
        ItemRecord(f"item {n}", bytes([n]) * 16, one, "preview " * (n % 4), f"text {n} " * 9)
        for n, one in enumerate(metadata)
    ]
    write_records(layout, "records", batch_of(items))
    write_records(layout, "plain", batch_of([ItemRecord("a", bytes(16), {}, "")] * 3))
    write_values(
        layout, "texts", TEXTS, [None if n % 9 == 0 else one.text for n, one in enumerate(items)]
    )
    return {path.name: path.read_bytes() for path in sorted(layout.segments.iterdir())}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The same file with a few places changed, mostly of the numbers that describe it."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        # what describes the columns stands at both ends
        near = rng.random()
        at = rng.randrange(len(data))
        if near < 0.4:
            at = rng.randrange(min(len(data), 3000))
        elif near < 0.8:
            at = len(data) - 1 - rng.randrange(min(len(data), 3000))
        how = rng.randrange(5)
        if how == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            changed[at] = rng.randrange(256)
        elif how == 2:
            size, form = rng.choice(((2, "<H"), (4, "<I"), (8, "<Q")))
            at -= at % size
            number = struct.pack(form, rng.choice(_NUMBERS) % (1 << 8 * size))
            changed[at : at + size] = number[: len(changed) - at]
        elif how == 3:
            size = rng.choice((4, 8))
            at -= at % size
            there = int.from_bytes(changed[at : at + size], "little")
            near_it = max(0, there + rng.choice((-64, -8, -1, 1, 8, 64))) % (1 << 8 * size)
            changed[at : at + size] = near_it.to_bytes(size, "little")[: len(changed) - at]
        else:
            to = rng.randrange(len(data))
            size = rng.choice((4, 8, 24, 64))
            changed[at : at + size] = changed[to : to + size][: len(changed) - at]
            del changed[len(data) :]
    if rng.random() < 0.05:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


def read_all(path: Path, record: FileRecord, n: int) -> None:
    """Read a file in every way that there is."""
    if "texts" in path.name:
        texts = Values(TEXTS, path, record, n)
        for row in range(0, n, 7):
            texts.value(row)
        texts.require_all()
        return
    records = Records.open(path, record, n)
    ids = [records.id(row) for row in range(n)]
    for row in range(n):
        records.record(row)
    for some in (ids[:3], ids):
        if all(_is_storable(one) for one in some):
            records.index.find([*zip(some, hashes(some).tolist(), strict=True)])
    list(records.by_id())
    list(records.index.vouched())
    for text in ("n > 3 and s != 'x'", "b or f < 2", "mixed == 'x' or k == 1", "id > 'b'"):
        satisfied(parse(text), records)
    records.rows(np.arange(0, n, 2))
    records.require_all()


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def main(folder: Path, first: int, count: int) -> None:
    files = sound(folder)
    for turn in range(first, first + count):
        sys.stdout.write(f"{turn}\n")
        sys.stdout.flush()
        rng = random.Random(turn)
        name = rng.choice(sorted(files))
        n = 3 if name.startswith("plain") else _N
        data = mutated(files[name], rng)
        path = folder / name
        path.write_bytes(data)
        record = FileRecord(name, len(data), hashlib.sha256(data).hexdigest())
        try:
            read_all(path, record, n)
        except DamagedError:
            pass
        except BaseException as error:
            sys.stdout.write(json.dumps([turn, name, f"{type(error).__name__}: {error}"]) + "\n")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
