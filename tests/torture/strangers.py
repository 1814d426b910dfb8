"""Collections that a stranger made to harm: each a small change to a sound one.

`hostile_stores` names every change. `Store` is what a change works on: a copy of a sound
collection, with a way to make the catalog agree with whatever was put into a file, as a stranger
would.
"""

# ruff: noqa: S608 - the statements are this file's own
from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import pickle
import sqlite3
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from hashret.store.catalog import tables as t
from hashret.store.catalog.records import checksum, state_of
from hashret.store.disk.files import BLOCK, DIGEST
from hashret.store.layout import MODEL_FILES, PARTS
from tests.torture.hostile_arrow import records, texts

Change = Callable[["Store"], None]


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@dataclass
class Store:
    """A collection to change: its folder, a folder outside of it, and a path to betray code."""

    root: Path
    outside: Path
    canary: Path

    def sql(self, *statements: str, values: tuple[Any, ...] = ()) -> None:
        connection = sqlite3.connect(self.root / "catalog.sqlite", isolation_level=None)
        try:
            for statement in statements:
                connection.execute(statement, values)
            resign(connection, counts="commits" not in " ".join(statements))
        finally:
            connection.close()

    def declare(self, *statements: str) -> None:
        """Change the schema. The rows keep their checksums, and no trigger is set off by them."""
        connection = sqlite3.connect(self.root / "catalog.sqlite", isolation_level=None)
        try:
            for statement in statements:
                connection.execute(statement)
        finally:
            connection.close()

    @property
    def segment(self) -> Path:
        return next(self.root.glob("segments/*.npy"))

    @property
    def records(self) -> Path:
        return self.segment.with_suffix(".arrow")

    @property
    def features(self) -> Path:
        return next(self.root.glob("segments/*.safetensors"))

    def model(self, name: str) -> Path:
        return next(self.root.glob("models/*")) / name

    def put(self, path: Path, data: bytes, *, agree: bool = True) -> None:
        """Write a file and, if the two shall `agree`, its size and checksum into the catalog."""
        path.write_bytes(data)
        if not agree:
            return
        sha256 = hashlib.sha256(data).hexdigest()
        if path.parent.name == "segments":
            parts = sorted(PARTS.items(), key=lambda part: -len(part[1]))
            part = next(part for part, suffix in parts if path.name.endswith(suffix))
            blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
            digests = b"".join(hashlib.sha256(block).digest()[:DIGEST] for block in blocks)
            self.files(**{part: [len(data), sha256, base64.b64encode(digests).decode()]})
        elif path.suffix in (".json", ".safetensors"):
            connection = sqlite3.connect(self.root / "catalog.sqlite")
            (files,) = connection.execute("SELECT files FROM models").fetchone()
            connection.close()
            files = json.loads(files) | {path.name: [len(data), sha256]}
            self.sql("UPDATE models SET files = ?", values=(json.dumps(files),))

    def files(self, **parts: Any) -> None:
        """Change what the catalog says of the files of the segment; None leaves one out."""
        connection = sqlite3.connect(self.root / "catalog.sqlite")
        (stored,) = connection.execute("SELECT files FROM segments").fetchone()
        connection.close()
        files = json.loads(stored) | parts
        kept = {part: file for part, file in files.items() if file is not None}
        self.sql("UPDATE segments SET files = ?", values=(json.dumps(kept),))

    def describe(self, change: Callable[[dict[str, Any]], None]) -> None:
        path = self.model("model.json")
        description = json.loads(path.read_text())
        change(description)
        self.put(path, json.dumps(description).encode())

    def tensors(
        self,
        change: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]],
        path: Path | None = None,
    ) -> None:
        path = path or self.model("model.safetensors")
        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        header, rest = change(json.loads(data[8 : 8 + size]), data[8 + size :])
        text = json.dumps(header).encode()
        self.put(path, struct.pack("<Q", len(text)) + text + rest)

    def remove(self, rows: Any, segment: Any = None, cause: Any = "") -> None:
        """Say that rows of the segment are removed, as a blob or as anything."""
        if isinstance(rows, list):
            rows = np.array(rows, "<u4").tobytes()
        segment = self.segment.stem if segment is None else segment
        self.sql("INSERT INTO removals VALUES (?, 1, ?, ?, 0)", values=(segment, cause, rows))


def resign(connection: sqlite3.Connection, *, counts: bool = True) -> None:
    """Have every checksum in the catalog agree with whatever stands there now, where it can.

    And with `counts`, how many items there are.
    """
    with suppress(sqlite3.Error, TypeError, ValueError, OverflowError):
        removed: dict[Any, list[np.ndarray]] = {}
        for name, rows in connection.execute("SELECT segment, rows FROM removals"):
            removed.setdefault(name, []).append(np.frombuffer(rows, "<u4"))
        columns = "name, first_row, n_rows, n_coded"
        shown = [
            SimpleNamespace(
                name=name,
                first_row=first,
                n_rows=n,
                n_coded=coded,
                removed=np.unique(np.concatenate([np.empty(0, np.uint32), *removed.get(name, [])])),
            )
            for name, first, n, coded in connection.execute(
                f"SELECT {columns} FROM segments WHERE removed IS NULL ORDER BY first_row"
            )
        ]
        connection.execute("UPDATE commits SET state = ?", (state_of(shown),))
        if counts:
            n_items = sum(one.n_rows - len(one.removed) for one in shown)
            connection.execute("UPDATE commits SET n_items = ?", (n_items,))
    for table in ("segments", "removals", "models", "commits"):
        names = ", ".join(f'"{column.name}"' for column in t.metadata.tables[table].columns)
        for at, *row in _all(connection, f"SELECT rowid, {names} FROM {table}"):
            with suppress(sqlite3.Error):
                sums = (checksum(*row[:-1]), at)
                connection.execute(f"UPDATE {table} SET checksum = ? WHERE rowid = ?", sums)
    with suppress(sqlite3.Error):
        last = 'SELECT checksum FROM commits ORDER BY "commit" DESC LIMIT 1'
        ends = [
            (key, str(value or "")) for key, value in _all(connection, f"SELECT 'last', ({last})")
        ]
        facts = dict(_all(connection, "SELECT key, value FROM meta"))
        ends.append(("checksum", str(checksum(facts.get("format"), facts.get("kind")))))
        for key, value in ends:
            connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))


def _all(connection: sqlite3.Connection, query: str) -> list[Any]:
    try:
        return connection.execute(query).fetchall()
    except sqlite3.Error:
        return []


OWN = ("catalog.sqlite", "segments", "models", "writer.lock", "writer.json", "readers.lock")
_BESIDE = ("catalog.sqlite-journal", "catalog.sqlite-wal", "catalog.sqlite-shm")
_SLOTS = ("catalog.sqlite", "writer.lock", "writer.json", "readers.lock", *_BESIDE)
_NUMBERS = (-1, 0, 2**31, 2**62, 2**63 - 1, 1.5, "text", b"blob")
_VALUES = (-1, 0, 2**40, 1e308, "x", "os:system", None, [], [2**40], ["x"], {}, True, [[]])
_DEEP = "[" * 100_000 + "]" * 100_000


def hostile_stores() -> Iterator[tuple[str, Change]]:
    """Every hostile change by name; the names are unique."""
    for part in _PARTS:
        for name, change in part():
            yield f"{part.__name__}: {name}", change


def pickles() -> Iterator[tuple[str, Change]]:
    def put(slot: str, form: str, agree: bool, store: Store) -> None:
        data = _pickle_forms(store.canary)[form]
        own = {"segment": lambda: store.segment, "segment's records": lambda: store.records}
        path = own.get(
            slot, lambda: store.model(slot) if slot in MODEL_FILES else store.root / slot
        )()
        store.put(path, data, agree=agree)

    for form in _pickle_forms(Path("x")):
        for slot in (*_SLOTS, "segment", "segment's records", *MODEL_FILES):
            for agree in (True, False) if slot[0] in "sm" or slot in MODEL_FILES else (False,):
                yield f"{form} as {slot}, {agree}", partial(put, slot, form, agree)
        yield (
            f"{form} as removed rows",
            lambda s, f=form: s.remove(_pickle_forms(s.canary)[f]),
        )


def _pickle_forms(canary: Path) -> dict[str, bytes]:
    forms = {f"pickle {p}": pickle.dumps(Canary(canary), p) for p in (0, 2, 5)}
    array = io.BytesIO()
    np.save(array, np.array([Canary(canary)], object), allow_pickle=True)
    torch = io.BytesIO()
    with zipfile.ZipFile(torch, "w") as archive:
        archive.writestr("archive/data.pkl", forms["pickle 2"])
        archive.writestr("archive/version", "3\n")
    return forms | {"object array": array.getvalue(), "torch file": torch.getvalue()}


def names() -> Iterator[tuple[str, Change]]:
    bad = [
        *(
            "../../outside/file",
            "/etc/passwd",
            "..",
            ".",
            "",
            "a/b",
            "a\0b",
            "a\\b",
            "é",
            "x" * 5000,
        ),
        *("~", "C:evil", "-rf", ".hidden", "\u202e", "\n", "CON\n", 7, b"blob"),
    ]

    def segment(name: Any, store: Store) -> None:
        (store.outside / "file.npy").write_bytes(store.segment.read_bytes())
        store.sql("UPDATE segments SET name = ?", values=(name,))

    def model(name: Any, store: Store) -> None:
        folder = store.outside / "file"
        folder.mkdir(exist_ok=True)
        for file in ("model.json", "model.safetensors"):
            (folder / file).write_bytes(store.model(file).read_bytes())
        store.sql("UPDATE models SET name = ?", values=(name,))
        store.sql("UPDATE commits SET model = ?", values=(name,))
        store.sql("UPDATE segments SET model = ?", values=(name,))

    def file(name: Any, store: Store) -> None:
        store.sql("UPDATE models SET files = ?", values=(json.dumps({str(name): [1, "00"]}),))

    for name in bad:
        for what in (segment, model, file):
            yield f"{what.__name__} {name!r:.30}", partial(what, name)


def links() -> Iterator[tuple[str, Change]]:
    def replace(own: str, by: str, store: Store) -> None:
        path = store.root / own
        copy = store.outside / own
        if path.exists():
            path.rename(copy)
        else:
            copy.write_text("not to be overwritten")
        if copy.is_dir():
            (copy / "bystander.txt").write_text("precious")
        {
            "a link": lambda: path.symlink_to(copy),
            "a link to nothing": lambda: path.symlink_to(store.outside / "nothing"),
            "a link to itself": lambda: path.symlink_to(path),
            "a link to /dev/zero": lambda: path.symlink_to("/dev/zero"),
            "a link to the folder above": lambda: path.symlink_to(store.outside),
            "a pipe": lambda: os.mkfifo(path),
            "a folder or file": lambda: path.mkdir() if copy.is_file() else path.touch(),
        }[by]()

    kinds = (
        *("a link", "a link to nothing", "a link to itself", "a link to /dev/zero"),
        *("a link to the folder above", "a pipe", "a folder or file"),
    )
    for by in kinds:
        for own in (*OWN, *_BESIDE):
            yield f"{own} is {by}", partial(replace, own, by)

        def inner(which: str, by: str, store: Store) -> None:
            path = store.segment if which == "segment" else store.model(which)
            if which == "model":
                path = path.parent
            if by != "a link":  # as large as what is recorded, where that can be said
                store.files(codes=[0, "", ""])
            replace(str(path.relative_to(store.root)), by, _Inner(store))

        for which in ("segment", "model", "model.json", "model.safetensors"):
            yield f"{which} is {by}", partial(inner, which, by)


class _Inner(Store):
    """A store whose outside has the folders that a name inside needs."""

    def __init__(self, store: Store):
        super().__init__(store.root, store.outside / "deep", store.canary)
        for folder in ("segments", "models"):
            (self.outside / folder).mkdir(parents=True, exist_ok=True)
        for model in (store.root / "models").iterdir():
            (self.outside / "models" / model.name).mkdir(exist_ok=True)


_ENDLESS = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)"
TABLES = ("meta", "models", "commits", "segments", "removals")


def schemas() -> Iterator[tuple[str, Change]]:
    def view(table: str, body: str, store: Store) -> None:
        connection = sqlite3.connect(store.root / "catalog.sqlite", isolation_level=None)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA legacy_alter_table=ON")
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
        quoted = [f'"{column}"' for column in columns]
        connection.execute(body.format(table=table, columns=", ".join(quoted), first=quoted[0]))
        connection.close()

    bodies = {
        "endless view": "CREATE VIEW {table} AS " + _ENDLESS
        + " SELECT b.* FROM {table}_before b, r WHERE x < 0 OR x > 1000000000",
        "large view": "CREATE VIEW {table} AS SELECT {columns} FROM {table}_before, "
        "(SELECT zeroblob(60000000) UNION ALL SELECT zeroblob(60000000))",
        "plain view": "CREATE VIEW {table} AS SELECT * FROM {table}_before",
        "loading view": "CREATE VIEW {table} AS SELECT load_extension('evil'), * FROM {table}_before",
        "full-text table": "CREATE VIRTUAL TABLE {table} USING fts5({columns})",
        "r-tree": "CREATE VIRTUAL TABLE {table} USING rtree(a, b, c)",
    }  # fmt: skip
    for table in TABLES:
        for name, body in bodies.items():
            yield f"{name} {table}", partial(view, table, body)
        for event in ("INSERT ON", "UPDATE ON", "DELETE ON"):
            body = f"INSERT INTO meta {_ENDLESS} SELECT x, x FROM r"
            trigger = f"CREATE TRIGGER t AFTER {event} {table} BEGIN DELETE FROM meta; {body}; END"
            yield f"trigger {event} {table}", lambda s, q=trigger: s.declare(q)
        column = f"ALTER TABLE {table} ADD COLUMN z GENERATED ALWAYS AS (hex(zeroblob(30000000)))"
        yield f"computed column of {table}", lambda s, q=column: s.declare(q)
        yield f"extra column of {table}", lambda s, q=table: s.declare(f"ALTER TABLE {q} ADD z")
        index = (
            f"CREATE INDEX i ON {table} (abs(added))" if table in ("removals", "segments") else ""
        )
        if index:
            yield f"index over an expression on {table}", lambda s, q=index: s.declare(q)
        yield (
            f"no {table}",
            lambda s, q=table: s.declare("PRAGMA foreign_keys=OFF", f"DROP TABLE {q}"),
        )
        for name, sql in (("words", "CREATE words"), ("nothing", ""), ("deep", "(" * 50_000)):

            def rewrite(table: str, sql: str, store: Store) -> None:
                store.sql("PRAGMA writable_schema=ON")
                connection = sqlite3.connect(store.root / "catalog.sqlite", isolation_level=None)
                connection.execute("PRAGMA writable_schema=ON")
                connection.execute("UPDATE sqlite_master SET sql=? WHERE name=?", (sql, table))
                connection.close()

            yield f"schema of {table} is {name}", partial(rewrite, table, sql)
    for name in ("extra", "sqlite_hidden", "SEGMENTS2"):
        if not name.startswith("sqlite"):
            yield f"table {name}", lambda s, n=name: s.declare(f"CREATE TABLE {n} (x)")


def arrays() -> Iterator[tuple[str, Change]]:
    heads = {
        "rows": "{'descr': '|u1', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
        "negative rows": "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 4)}",
        "no rows": "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4)}",
        "wide": "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 9223372036854775807)}",
        "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (120, 4)}",
        "floats": "{'descr': '<f8', 'fortran_order': False, 'shape': (120, 4)}",
        "fortran": "{'descr': '|u1', 'fortran_order': True, 'shape': (120, 4)}",
        "a call": "__import__('os').mkdir('canary')",
        "a large power": "{'descr': '|u1', 'fortran_order': False, 'shape': (9**9**9, 4)}",
        "no dict": "[]",
        "nothing": "",
        "deep": "(" * 3000 + ")" * 3000,
        "fields": "{'descr': [('a', '|u1', (1000000,))], 'fortran_order': False, 'shape': (120,)}",
        "words": "{'descr': 'text', 'fortran_order': 'x', 'shape': 'y'}",
        "digits": "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 5000 + ", 4)}",
    }

    def head(text: str, store: Store) -> None:
        body = text.encode()
        packed = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body
        store.put(store.segment, packed + bytes(480))

    for name, text in heads.items():
        yield f"header of {name}", partial(head, text)
    begins = {
        "no magic": b"\x93NUMPX\x01\x00",
        "version 2 and 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        "version 3 and 4 GB": b"\x93NUMPY\x03\x00\xff\xff\xff\xff",
        "version 9": b"\x93NUMPY\x09\x00\x10\x00",
        "longer than it is": b"\x93NUMPY\x01\x00\xff\xff",
        "nothing": b"",
        "half a magic": b"\x93NUM",
        "an archive": b"PK\x03\x04",
    }
    for name, begin in begins.items():
        yield f"segment begins with {name}", lambda s, b=begin: s.put(s.segment, b + bytes(9))
    yield "segment cut", lambda s: s.put(s.segment, s.segment.read_bytes()[:-1])
    yield "segment with more", lambda s: s.put(s.segment, s.segment.read_bytes() + b"x")

    def raw(size: int, text: bytes, store: Store) -> None:
        store.put(store.model("model.safetensors"), struct.pack("<Q", size) + text)

    for size in (0, 2, 2**31, 2**63, 2**64 - 1, 100_000_001):
        yield f"safetensors header of {size}", partial(raw, size, b"{}")
    for name, text in {
        "deep": b'{"a":' + _DEEP.encode() + b"}",
        "digits": b'{"a":' + b"9" * 5000 + b"}",
        "twice": b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},' * 2 + b"}",
        "words": b"words",
    }.items():
        yield f"safetensors header with {name}", lambda s, t=text: raw(len(t), t, s)

    def entry(change: dict[str, Any], name: str, store: Store) -> None:
        store.tensors(lambda head, rest: (head | {name: head.get(name, {}) | change}, rest))

    for change in (
        *({"dtype": dtype} for dtype in ("F8_E4M3", "BF16", "BOGUS", "U8", "F64", "I64", 7)),
        *({"shape": shape} for shape in ([], [2**62], [2**32, 2**32], [-1], [0], "x", [1.5])),
        *({"data_offsets": o} for o in ([0, 2**62], [5, 1], [-1, 4], [0], "x", [0, 0])),
    ):
        yield f"first layer with {change}", partial(entry, change, "encoder.layers.0.weight")
    for missing in ("encoder.layers.0.weight", "encoder.layers.1.bias"):
        yield (
            f"no {missing}",
            lambda s, m=missing: s.tensors(
                lambda head, rest: ({k: v for k, v in head.items() if k != m}, rest)
            ),
        )
    for name in ("__class__", "evil.name", "encoder", ".", ""):
        yield f"tensor {name!r}", lambda s, n=name: s.tensors(
            lambda h, r: (h | {n: {"dtype": "U8", "shape": [1], "data_offsets": [len(r), len(r) + 1]}}, r + b"x")
        )  # fmt: skip


def kept_features() -> Iterator[tuple[str, Change]]:
    """The features beside a segment; dense ones have `values`, those of texts more."""

    def entry(name: str, change: dict[str, Any], store: Store) -> None:
        store.tensors(
            lambda head, rest: (head | {name: head.get(name, {}) | change}, rest), store.features
        )

    for name in ("values", "indptr", "indices"):
        for change in (
            *({"dtype": dtype} for dtype in ("F64", "F16", "U8", "BF16", "BOGUS")),
            *({"shape": shape} for shape in ([], [2**62], [2**32, 2**32], [-1], [60, 1])),
            *({"data_offsets": offsets} for offsets in ([0, 2**62], [9, 1], [0, 0])),
        ):
            yield f"{name} with {change}", partial(entry, name, change)
        yield (
            f"no {name}",
            lambda s, n=name: s.tensors(
                lambda head, rest: ({k: v for k, v in head.items() if k != n}, rest), s.features
            ),
        )
    for byte in (0x00, 0x7F, 0xFF):  # rows that begin and end anywhere, columns beyond the last
        yield (
            f"numbers of {byte:#x}",
            lambda s, b=byte: s.tensors(
                lambda head, rest: (head, bytes([b]) * len(rest)), s.features
            ),
        )
    for form in _pickle_forms(Path("x")):
        yield form, lambda s, f=form: s.put(s.features, _pickle_forms(s.canary)[f])
    for kind in ("a link", "/dev/zero", "a pipe"):

        def replace(kind: str, store: Store) -> None:
            path = store.features
            copy = store.outside / path.name
            path.rename(copy)
            if kind == "a pipe":
                os.mkfifo(path)
            else:
                path.symlink_to(copy if kind == "a link" else kind)
            if kind != "a link":
                store.files(features=[0, "", ""])

        yield f"is {kind}", partial(replace, kind)


def descriptions() -> Iterator[tuple[str, Change]]:
    for name, text in {
        "deep": _DEEP, "words": "words", "digits": "9" * 5000, "nothing": "", "a list": "[]",
        "NaN": "NaN", "null": "null", "a large text": '"' + "x" * 20_000_000 + '"', "bytes": "\0\0",
        "deep inside": '{"format": 1, "features": ' + _DEEP + "}",
    }.items():  # fmt: skip
        yield name, lambda s, t=text: s.put(s.model("model.json"), t.encode())

    def field(part: str, name: str, value: Any, store: Store) -> None:
        def change(description: dict[str, Any]) -> None:
            (description[part] if part else description)[name] = value

        store.describe(change)

    fields = {
        "": ("format", "features", "encoder", "decoder", "training"),
        "decoder": ("kind", "outputs", "n_bits", "n_outputs", "hidden", "scale"),
        "features": ("kind", "vocabulary_size", "n_features", "min_documents", "height", "unknown"),
        "encoder": (
            "kind", "n_features", "n_bits", "hidden", "input_scale", "clamps", "logit_scale",
            "width", "side", "cells", "n_filters",
        ),
    }  # fmt: skip
    for part, known in fields.items():
        for name in known:
            for value in _VALUES:
                yield f"{part}.{name} = {value!r}", partial(field, part, name, value)
        for name in known:

            def without(part: str, name: str, store: Store) -> None:
                store.describe(lambda d: (d[part] if part else d).pop(name, None))

            yield f"no {part}.{name}", partial(without, part, name)


def values() -> Iterator[tuple[str, Change]]:
    columns = {
        "segments": (
            *("first_row", "n_rows", "n_coded", "n_bits", "model", "files", "added", "removed"),
        ),
        "models": ("n_bits", "added", "files"),
        "commits": ('"commit"', "n_items", "n_uncoded", "created_at", "model", "state"),
    }
    for table, known in columns.items():
        for column in known:
            for value in _NUMBERS[:5] if column == '"commit"' else _NUMBERS:
                yield (
                    f"{table}.{column} = {value!r}",
                    lambda s, t=table, c=column, v=value: s.sql(
                        f"UPDATE {t} SET {c} = ?", values=(v,)
                    ),
                )
    for text in ("null", "[]", "{}", '{"model.json": 1}', '{"model.json": [1]}', _DEEP, "9" * 5000):
        yield (
            f"models.files = {text:.20}",
            lambda s, t=text: s.sql("UPDATE models SET files = ?", values=(t,)),
        )
    for value in ("0", "2", "999", "-1", "", "x" * 1_000_000, 2, b"1", None):
        yield (
            f"format = {value!r:.20}",
            lambda s, v=value: s.sql("UPDATE meta SET value = ? WHERE key = 'format'", values=(v,)),
        )
    for value in ("", "os:system", "../text", "other", "text", "x" * 5000, 7, b"text", None):
        yield (
            f"kind = {value!r:.20}",
            lambda s, v=value: s.sql("UPDATE meta SET value = ? WHERE key = 'kind'", values=(v,)),
        )


def removals() -> Iterator[tuple[str, Change]]:
    blobs = {
        "beyond the end": [10_000],
        "the largest number": [2**32 - 1],
        "unsorted": [5, 3, 9, 1],
        "twice": [3, 3, 3],
        "all": list(range(60)),
        "half a number": b"\1\0\0\0\2",
        "a text": "1, 2",
        "a number": 7,
        "many": b"\1\0\0\0" * 1_000_000,
        "nothing": b"",
    }
    for name, rows in blobs.items():
        yield f"rows: {name}", lambda s, r=rows: s.remove(r)
    for segment in ("c000009-000000000000", "", 7, b"x", "../../outside/file", "x" * 5000):
        yield f"segment {segment!r:.30}", lambda s, n=segment: s.remove([1], n)
    for cause in (7, b"x", "x" * 1_000_000, "../../outside/file"):
        yield f"cause {cause!r:.30}", lambda s, c=cause: s.remove([1], None, c)
    yield "no segments", lambda s: s.sql("DELETE FROM segments")
    yield "no models", lambda s: s.sql("DELETE FROM models")
    yield "no commits", lambda s: s.sql("DELETE FROM commits")
    yield (
        "two segments over each other",
        lambda s: s.sql(
            "CREATE TABLE twice AS SELECT * FROM segments",
            "UPDATE twice SET name = name || 'b'",
            "INSERT INTO segments SELECT * FROM twice",
            "DROP TABLE twice",
        ),
    )


def segment_files() -> Iterator[tuple[str, Change]]:
    """What the catalog says of the files of a segment."""
    bad = {
        "no list": "x",
        "too few": [1],
        "a negative size": [-1, "00", ""],
        "a vast size": [2**62, "00", ""],
        "a real size": [1.5, "00", ""],
        "digests that are no base64": [100, "00", "***"],
        "too few digests": [100_000, "00", base64.b64encode(bytes(16)).decode()],
        "many digests": [100, "00", base64.b64encode(bytes(1 << 20)).decode()],
        "nested": [[[]], {}, []],
        "left out": None,
    }
    for part in (*PARTS, "other"):
        for name, file in bad.items():
            yield f"{part}: {name}", lambda s, p=part, f=file: s.files(**{p: f})
    # not None, which the table does not take
    for text in ("null", "[]", "{}", "words", _DEEP, "9" * 5000, b"{}", 7):
        yield (
            f"all = {text!r:.20}",
            lambda s, v=text: s.sql("UPDATE segments SET files = ?", values=(v,)),
        )


def journals() -> Iterator[tuple[str, Change]]:
    def hot(store: Store, tail: bytes) -> None:
        """What a killed writer leaves, with something behind it."""
        catalog = store.root / "catalog.sqlite"
        journal = store.root / "catalog.sqlite-journal"
        connection = sqlite3.connect(catalog, isolation_level=None)
        connection.execute("PRAGMA cache_size=1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE filler (x)")
        connection.executemany("INSERT INTO filler VALUES (?)", [("y" * 1000,)] * 200)
        state, log = catalog.read_bytes(), journal.read_bytes()
        connection.execute("ROLLBACK")
        connection.close()
        sector, page = struct.unpack(">II", log[20:28])
        n_pages = struct.unpack(">i", log[8:12])[0]
        end = sector + n_pages * (page + 8) if n_pages > 0 else len(log)
        catalog.write_bytes(state)
        journal.write_bytes(log[:end] + tail)

    def naming_another(store: Store) -> None:
        victim = store.outside / "important.txt"
        victim.write_text("precious")
        name = os.fsencode(victim)
        checksum = sum(struct.unpack(f"{len(name)}b", name)) & 0xFFFFFFFF
        magic = bytes.fromhex("d9d505f920a163d7")
        lock_page = 0x40000000 // 4096 + 1
        tail = struct.pack(">I", lock_page) + name + struct.pack(">II", len(name), checksum)
        hot(store, tail + magic)

    yield "hot", lambda s: hot(s, b"")
    yield "hot with more", lambda s: hot(s, b"more" * 100)
    yield "hot, naming a file to delete", naming_another
    for n in (0, 1, 28, 512, 100_000):
        yield (
            f"of {n} zeros",
            lambda s, n=n: (s.root / "catalog.sqlite-journal").write_bytes(bytes(n)),
        )

    def header(at: int, data: bytes, store: Store) -> None:
        path = store.root / "catalog.sqlite"
        whole = bytearray(path.read_bytes())
        whole[at : at + len(data)] = data
        path.write_bytes(whole)

    for at, data, name in (
        (18, b"\x02\x02", "write-ahead log"), (16, b"\x00\x01", "page size"), (16, b"\0\0", "no page"),
        (20, b"\xff", "reserved"), (28, b"\x7f\xff\xff\xff", "pages"), (32, b"\x7f\xff\xff\xff", "free"),
        (44, b"\0\0\0\x63", "schema format"), (56, b"\0\0\0\x03", "UTF-16"), (60, b"\xff" * 4, "version"),
        (100, b"\x0d\xff\xff", "b-tree"), (100, b"\x05\0\0\0\0", "b-tree kind"), (0, b"SQLite", "same"),
        (52, b"\0\0\0\x09", "auto-vacuum"), (36, b"\xff" * 4, "free pages"), (96, b"\0" * 4, "library"),
    ):  # fmt: skip
        yield f"header: {name}", partial(header, at, data)


def planted() -> Iterator[tuple[str, Change]]:
    """What waits in the places that a writer or a repair makes its files in."""

    def bend(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    def plant(where: str, what: str, hurt: str, store: Store) -> None:
        where = where.format(segment=store.segment.name, model=store.model("x").parent.name)
        path, victim = store.root / where, store.outside / "victim"
        if where.startswith("damaged/") and hurt in ("features", "records"):
            path = path.with_suffix({"features": ".safetensors", "records": ".arrow"}[hurt])
        hurts = {
            "segment": lambda: store.segment,
            "features": lambda: store.features,
            "records": lambda: store.records,
        }
        if hurt == "catalog":
            catalog = store.root / "catalog.sqlite"
            catalog.write_bytes(bytes(4096) + catalog.read_bytes()[4096:])
        elif hurt:
            bend(hurts[hurt]())
        path.parent.mkdir(parents=True, exist_ok=True)
        victim.write_bytes(b"\0precious" * 100)
        {
            "link": lambda: path.symlink_to(victim),
            "link to a folder": lambda: path.symlink_to(store.outside),
            "link to nothing": lambda: path.symlink_to(store.outside / "new"),
            "hard link": lambda: path.hardlink_to(victim),
            "pipe": lambda: os.mkfifo(path),
            "folder": lambda: (path / "inner").mkdir(parents=True),
        }[what]()

    places = {
        "segment": ("damaged", "damaged/segments", "damaged/segments/{segment}"),
        "features": ("damaged", "damaged/segments/{segment}"),
        "records": ("damaged/segments/{segment}",),
        "catalog": ("damaged/catalog.sqlite", "catalog.sqlite.tmp", "catalog.sqlite.tmp-journal"),
        "": (
            *("segments/c000002-000000000060.npy", "segments/c000002-000000000060.npy.tmp"),
            *("segments/c000002-000000000060.safetensors.tmp", "segments/.DS_Store"),
            *("segments/c000002-000000000060.arrow", "segments/c000002-000000000060.arrow.tmp"),
            *("models/m000002", "models/zzz", "models/{model}/model.json.tmp", "models/{model}/x"),
            *("unfinished", "writer.json", "writer.lock", "readers.lock", "catalog.sqlite-journal"),
            *("catalog.json.tmp", "unfinished/encoding.checkpoint.tmp"),
        ),
    }
    kinds = ("link", "link to a folder", "link to nothing", "hard link", "pipe", "folder")
    for hurt, found in places.items():
        for where in found:
            for what in kinds:
                name = f"{what} at {where}" + (f", {hurt} damaged" if hurt else "")
                exists = where in ("writer.lock", "readers.lock", "writer.json")

                def change(store: Store, at: tuple[str, str, str], exists: bool = exists) -> None:
                    if exists:
                        (store.root / at[0]).unlink(missing_ok=True)
                    plant(*at, store)

                yield name, partial(change, at=(where, what, hurt))


_PARTS = (
    *(pickles, names, links, schemas, arrays, kept_features, descriptions, values, removals),
    *(segment_files, records, texts, journals, planted),
)
